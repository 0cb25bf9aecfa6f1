package driftwatch

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
)

// evidence is the event of a stream with the given findings.
func evidence(t *testing.T, n int64, digest, findings string) api.Event {
	t.Helper()
	end := time.Date(2026, 5, 1, 0, int(n), 0, 0, time.UTC)
	after, err := json.Marshal(api.DriftEvidence{
		Model: "iris", Version: n % 2, Role: "stable", State: drift.Detected, ProfileDigest: digest,
		Verdict: api.DriftVerdict{State: drift.Detected, Rows: 100, Window: api.Span{Start: end.Add(-time.Minute), End: end}},
		Window:  json.RawMessage(`{}`), After: json.RawMessage(`{"findings":[` + findings + `]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	return api.Event{Seq: n, Type: api.EventDriftState, After: after}
}

// TestFold: a snapshot is equivalent to the events before it, and a watcher continues from it.
func TestFold(t *testing.T) {
	const drifts, missing = `{"feature":"x","kind":"input","statistic":"g","state":"DETECTED","began":"2026-05-01T00:00:00Z"}`,
		`{"feature":"y","kind":"input","statistic":"missing","state":"DETECTED","began":"2026-05-01T00:01:00Z"}`
	events := []api.Event{
		{Seq: 1, Type: api.EventRouteSet},
		evidence(t, 2, "a", drifts), evidence(t, 3, "a", drifts), evidence(t, 4, "a", drifts+","+missing),
		evidence(t, 5, "b", missing), evidence(t, 6, "a", ""), evidence(t, 7, "b", missing+","+drifts),
	}
	whole := NewFold()
	for i, e := range events {
		if err := whole.Apply(e); err != nil {
			t.Fatal(err)
		}
		resumed := NewFold()
		state, err := whole.Snapshot()
		if err == nil {
			err = resumed.Restore(state)
		}
		if err != nil {
			t.Fatal(err)
		}
		equal := cmp.Options{cmp.Exporter(func(reflect.Type) bool { return true }), cmp.Comparer(func(a, b map[string]violation) bool {
			return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
		})}
		if diff := cmp.Diff(whole, resumed, equal); diff != "" {
			t.Fatalf("after event %d a snapshot is another fold: %s", i+1, diff)
		}
	}
	w := New(journal.Memory(), zap.NewNop())
	w.Resume(whole)
	for n, digest := range []string{"a", "b"} {
		s := drift.Stream{Version: infer.Version{Model: "iris", Number: int64(n)}, Role: "stable"}
		saved, told := w.saved[s], w.told[s]
		if saved.digest != digest || told.digest != digest || !saved.untold || saved.past.Status.State != drift.Detected {
			t.Errorf("version %d: %+v, %+v", n, saved, told)
		}
	}
	if err := whole.Apply(api.Event{Type: api.EventDriftState, After: json.RawMessage(`[]`)}); err == nil {
		t.Error("applied what is not evidence")
	}
	for _, state := range []string{"", "{}", fmt.Sprintf(`[{"version":%q}]`, "x")} {
		if whole.Restore([]byte(state)) == nil || len(whole.streams) != 2 {
			t.Errorf("restored from %q", state)
		}
	}
}

// TestFormerNaN: drift that an earlier release called nan keeps its signal, although its finding
// has another name now.
func TestFormerNaN(t *testing.T) {
	finding := func(statistic string) string {
		return `{"feature":"y","kind":"input","statistic":"` + statistic + `","state":"DETECTED","began":"2026-05-01T00:01:00Z"}`
	}
	fold := NewFold()
	if err := fold.Apply(evidence(t, 1, "a", finding("nan"))); err != nil {
		t.Fatal(err)
	}
	state, err := fold.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	former := strings.ReplaceAll(string(state), `"input y missing":{`, `"input y nan":{`) // as that release saved it
	if former == string(state) {
		t.Fatalf("no violation in %s", state)
	}
	restored := NewFold()
	if err := restored.Restore([]byte(former)); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]*Fold{"events": fold, "snapshot": restored} {
		told := f.streams[drift.Stream{Version: infer.Version{Model: "iris", Number: 1}, Role: "stable"}].told
		want := violation{"input y nan", time.Date(2026, 5, 1, 0, 1, 0, 0, time.UTC)}
		now, err := detectorState(json.RawMessage(`{"findings":[` + finding("missing") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := standing(found(now)); got != told.recorded {
			t.Errorf("%s: %q stands, and %q is recorded", name, got, told.recorded)
		}
		told.look(found(now))
		if got := told.violated["input y missing"]; got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}
