package driftwatch

import (
	"encoding/json"
	"testing"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
)

func TestWhatIsNoLongerInTheRepositoryIsForgotten(t *testing.T) {
	w := New(journal.Memory(), zap.NewNop())
	stream := func(n int64) drift.Stream {
		return drift.Stream{Version: infer.Version{Model: "iris", Number: n}, Role: "stable"}
	}
	for n := range int64(4) {
		w.saved[stream(n)] = savedDetector{}
		w.toldOf(stream(n), "digest")
	}
	w.watches[stream(0)] = watch{} // this one is still watched
	w.Forget(func(v infer.Version) bool { return v.Number >= 2 })
	for n, want := range []bool{false, false, true, true} {
		if _, saved := w.saved[stream(int64(n))]; saved != want {
			t.Errorf("version %d: saved %v", n, saved)
		}
		if told := w.told[stream(int64(n))] != nil; told != (want || n == 0) {
			t.Errorf("version %d: told %v", n, told)
		}
	}
}

// TestResume: a detector's state is read once. An unreadable state is dropped, but the stream
// stays.
func TestResume(t *testing.T) {
	f := func(after string, findings int, recorded string) {
		t.Helper()
		w := New(journal.Memory(), zap.NewNop())
		e := api.Event{Type: api.EventDriftState, After: encoded(api.DriftEvidence{
			Model: "iris", Version: 1, Role: "stable", State: drift.Detected, ProfileDigest: "sha256:0", After: json.RawMessage(after),
		})}
		fold := NewFold()
		if err := fold.Apply(e); err != nil {
			t.Fatalf("%s: %v", after, err)
		}
		w.Resume(fold)
		s := drift.Stream{Version: infer.Version{Model: "iris", Number: 1}, Role: "stable"}
		saved := w.saved[s]
		if saved.digest != "sha256:0" || saved.past.Status.State != drift.Detected || len(saved.past.State.Findings) != findings {
			t.Errorf("%s: saved %+v, %+v", after, saved, saved.past)
		}
		if told := w.told[s]; told.recorded != recorded || told.drifting.IsZero() != (recorded == "") {
			t.Errorf("%s: told %+v", after, told)
		}
	}
	const suspected = `{"feature":"b","kind":"input","statistic":"g","state":"SUSPECTED","began":"2026-05-04T12:05:00Z"}`
	f(`{"findings":[{"feature":"a","kind":"input","statistic":"g","state":"DETECTED","began":"2026-05-04T12:05:00Z"},`+suspected+`]}`, 2, "input a g")
	f(`{"findings":[`+suspected+`]}`, 1, "")
	f(`{"findings":7}`, 0, "")
	f(`null`, 0, "")
}
