package drift_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice.io/sluice/internal/drift"
)

func TestCheckWindow(t *testing.T) {
	p := &drift.Profile{Features: []drift.Feature{feature("a", []float64{1, 2, 3}), feature("b", []float64{5})}}
	f := func(window, want string) {
		t.Helper()
		var w drift.Window
		if err := json.Unmarshal([]byte(window), &w); err != nil {
			t.Fatal(err)
		}
		err := drift.CheckWindow(p, &w)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", window, err, want)
		}
	}
	counts := func(a string) string {
		return `{"rows":5,"counts":[` + a + `,{"bins":[0,5,0]}]}`
	}
	f(counts(`{"bins":[1,2,1],"missing":1,"below":1,"above":3}`), "")
	f(counts(`{"bins":[1,0,0]}`), "") // fewer than rows: the other rows had no such tensor
	f(`{"start":"2026-11-01T00:00:00Z","end":"2026-10-01T00:00:00Z"}`, "ends before")
	f(`{"rows":5}`, "0 features, but the profile has 2")
	f(`{"rows":9007199254740993}`, "2^53")
	f(counts(`{"bins":[1,2]}`), "feature a: it has 2 bins, but the profile has 3")
	f(counts(`{"bins":[1,2,3]}`), "more values than the window has rows, 5")
	f(counts(`{"bins":[1,2,2],"nan":1}`), "more values than")
	f(counts(`{"bins":[18446744073709551615,2,0]}`), "more values than")
	f(counts(`{"bins":[1,2,0],"pos_inf":18446744073709551615}`), "more values than")
	f(counts(`{"bins":[1,2,0],"below":4}`), "out of range than finite ones, 3")
	f(counts(`{"bins":[1,2,0],"below":2,"above":2}`), "out of range than finite ones, 3")
	f(counts(`{"bins":[1,2,0],"squares":-1}`), "negative")
}

// FuzzJudge judges every window that passes the check.
func FuzzJudge(f *testing.F) {
	rng := rand.New(rand.NewPCG(19, 1))
	p := &drift.Profile{Features: []drift.Feature{
		feature("normal", take(6, normal(rng))), feature("constant", []float64{5, 5}), feature("none", nil),
	}}
	f.Add([]byte(`{"rows":100,"counts":[{"bins":[50,0,0,0,0,50]},{"bins":[100,0,0],"below":100},{"bins":[0],"missing":100}]}`))
	f.Add([]byte(`{"rows":60,"counts":[{"bins":[10,10,10,10,10,10],"sum":1e308,"squares":1e308},{"bins":[0,0,60]},{"bins":[60]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var w drift.Window
		if json.Unmarshal(data, &w) != nil || drift.CheckWindow(p, &w) != nil {
			return
		}
		o := drift.CompleteOptions()
		o.MinRows = 1
		d := detector(t, p, o)
		for range 10 {
			valid(t, d.Judge(w))
		}
		s := d.Snapshot()
		if _, err := drift.Restore(p, s.Options, s); err != nil {
			t.Error(err)
		}
	})
}
