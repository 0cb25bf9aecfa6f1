package trail

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// few is a journal of a few events.
type few []api.Event

func (f few) LastAt(time.Time) (int64, error) { return int64(len(f)), nil }

func (f few) Each(_ Query, visit func(api.Event) error) error {
	for _, e := range f {
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

// FuzzApply: Apply applies or refuses any event. A refused event changes nothing. After any
// event, the state can be used.
func FuzzApply(f *testing.F) {
	for _, kind := range []string{
		api.EventVersionLoaded, api.EventVersionReplaced, api.EventVersionRetired, api.EventVersionUnloaded, api.EventVersionFailed,
		api.EventBreakerOpened, api.EventBreakerClosed,
	} {
		f.Add(kind, "models/iris/1", `{"model":"iris","version":1,"role":"live","digest":"b","loaded_at":"2026-01-02T03:04:05.6Z","cause":"poll","reason":"r"}`)
		f.Add(kind, "models/iris/1", `{"model":"iris","version":1,"role":"shadow"}`)
	}
	f.Add(api.EventDefaultChanged, "models/iris", `{"model":"iris","version":7,"was":1}`)
	f.Add(api.EventGatewayStarted, "gateway", `{"version":"1","before":{"how":"killed","last_alive":"2026-01-02T03:04:05.6Z"}}`)
	f.Add(api.EventGatewayStopped, "gateway", ``)
	f.Add(api.EventRouteSet, "routes/iris", `{"name":"iris","variants":[{"version":1,"weight":10000}],"shadows":[{"version":2}],"fallback":"stable"}`)
	f.Add(api.EventRouteSet, "routes/iris", `{"name":"iris","fallback":"stable"}`)
	f.Add(api.EventRouteDeleted, "routes/iris", `null`)
	f.Fuzz(func(t *testing.T, kind, subject, after string) {
		build := func() *State {
			s := NewState()
			v := infer.Version{Model: "iris", Number: 1}
			s.serving[Place{Version: v}], s.serving[Place{Version: v, Shadow: true}] = Loaded{Digest: "a"}, Loaded{Digest: "a"}
			s.defaults["iris"], s.open[v] = 1, true
			s.fail(Place{Version: infer.Version{Model: "iris", Number: 2}}, Failure{Reason: "r"})
			return s
		}
		s := build()
		e := api.Event{Seq: 2, Time: time.Unix(2, 0), Type: kind, Subject: subject, After: []byte(after)}
		if s.Apply(e) != nil {
			if diff := cmp.Diff(build(), s, cmp.AllowUnexported(State{}, failed{})); diff != "" {
				t.Error(diff)
			}
		}
		s.Advance(Snapshot{}, func(string) Cause { return Cause{Cause: api.CausePoll} })
		start := api.Event{Seq: 1, Time: time.Unix(1, 0), Type: api.EventGatewayStarted, Subject: api.SubjectGateway, After: []byte(`{}`)}
		for _, name := range []string{"iris", "wine"} {
			_, _ = At(few{start, e}, name, time.Unix(3, 0), time.Unix(4, 0))
			_, _ = At(few{e}, name, time.Unix(3, 0), time.Unix(4, 0))
		}
	})
}
