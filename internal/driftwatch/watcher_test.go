package driftwatch

import (
	"testing"

	"go.uber.org/zap"

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
	w.watches[stream(0)] = watch{} // runs yet
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
