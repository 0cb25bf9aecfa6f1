package trail_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/trail"
)

// BenchmarkAdvance finds one replaced version of 5,000.
func BenchmarkAdvance(b *testing.B) {
	snapshot := func() trail.Snapshot {
		s := of(nil, map[string]int64{})
		for i := range 5_000 {
			model := fmt.Sprintf("model-%d", i)
			s.Serving[trail.Place{Version: infer.Version{Model: model, Number: 1}}] = trail.Loaded{
				Digest: fmt.Sprintf("sha256:%064d", i), At: time.Unix(int64(i), 0),
			}
			s.Default[model] = 1
		}
		return s
	}
	state := trail.NewState()
	for _, e := range state.Advance(snapshot(), always(api.CauseStart, gatewayItself)) {
		if err := state.Apply(e); err != nil {
			b.Fatal(err)
		}
	}
	next := snapshot()
	next.Serving[trail.Place{Version: infer.Version{Model: "model-7", Number: 1}}] = trail.Loaded{Digest: "sha256:new", At: time.Unix(9, 9)}
	b.ReportAllocs()
	for b.Loop() {
		if n := len(state.Advance(next, always(api.CausePoll, gatewayItself))); n != 1 {
			b.Fatalf("%d events", n)
		}
	}
}

// BenchmarkAt asks a journal of 100,000 events about one model of a thousand, and about the
// only model.
func BenchmarkAt(b *testing.B) {
	for _, models := range []int{1_000, 1} {
		log := journal.Memory()
		if _, err := log.Append(0, api.Event{Type: api.EventGatewayStarted, Subject: api.SubjectGateway, After: []byte(`{"version":"1"}`)}); err != nil {
			b.Fatal(err)
		}
		at := time.Now()
		for i := range 100_000 {
			model := "iris"
			if i%models != 0 {
				model = fmt.Sprintf("model-%d", i%models)
			}
			after, err := json.Marshal(api.VersionChange{
				Model: model, Version: 1, Role: api.RoleLive, Digest: fmt.Sprintf("sha256:%064d", i), Was: fmt.Sprintf("sha256:%064d", i-models),
				LoadedAt: &at, Cause: api.CausePoll,
			})
			if err != nil {
				b.Fatal(err)
			}
			e := api.Event{Time: at, Type: api.EventVersionReplaced, Subject: "models/" + model + "/1", Origin: api.OriginGateway, After: after}
			if _, err := log.Append(journal.Any, e); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprintf("models=%d", models), func(b *testing.B) {
			for b.Loop() {
				if _, err := trail.At(source{log, false}, "iris", at, at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
