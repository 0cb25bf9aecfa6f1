package drift_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice.io/sluice/internal/drift"
)

// gaps makes a profile of a normal feature that is missing in 10 % of the rows, marked by missing
// values, by NaN, or by both in turn.
func gaps(t *testing.T, mark func(i int) (value float64, missing bool)) *drift.Profile {
	t.Helper()
	rng := rand.New(rand.NewPCG(31, 1))
	b := newBuilder([]drift.Feature{{Name: "x", Kind: drift.KindInput, Tensor: "x", Datatype: "FP32"}}, drift.BuilderOptions{})
	for i := range 5000 {
		value, missing := rng.NormFloat64(), false
		if i%10 == 0 {
			value, missing = mark(i)
		}
		b.Add([]float64{value}, []bool{missing})
	}
	return b.Profile(drift.Meta{})
}

// former returns a profile in the form of earlier releases, with half of the missing values counted
// as NaN.
func former(t *testing.T, p *drift.Profile) *drift.Profile {
	t.Helper()
	var text bytes.Buffer
	if err := p.Write(&text); err != nil {
		t.Fatal(err)
	}
	old := strings.ReplaceAll(text.String(), `"missing":500`, `"missing":200,"nan":300`)
	if strings.Count(old, `"nan":300`) != 2 {
		t.Fatalf("not of all rows read and of the sample: %s", old)
	}
	back, err := drift.Read(strings.NewReader(old), drift.MaxProfileBytes)
	if err != nil {
		t.Fatal(err)
	}
	if digest, err := back.Digest(); err != nil || digest == digestOf(t, p) {
		t.Errorf("digest %s, %v: it names the file, which is another one", digest, err)
	}
	return back
}

func digestOf(t *testing.T, p *drift.Profile) string {
	t.Helper()
	digest, err := p.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// TestMissingIsOneThing: a model that was trained with missing values gets NaN for them, which is
// not an alarm. More of either is one.
func TestMissingIsOneThing(t *testing.T) {
	empty := gaps(t, func(int) (float64, bool) { return 0, true })
	profiles := map[string]*drift.Profile{
		"missing": empty,
		"NaN":     gaps(t, func(int) (float64, bool) { return math.NaN(), false }),
		"both":    gaps(t, func(i int) (float64, bool) { return math.NaN(), i%20 == 0 }),
	}
	for name, p := range profiles {
		if f := &p.Features[0]; f.Read.Missing != 500 || f.Read.NaN != 0 || f.Reference.Missing != 500 || f.Reference.NaN != 0 || digestOf(t, p) != digestOf(t, empty) {
			t.Errorf("%s: %+v, %+v", name, f.Read, f.Reference)
		}
	}
	profiles["of an earlier version"] = former(t, empty)
	for name, p := range profiles {
		f := func(share float64, nan bool, want string) {
			t.Helper()
			rng := rand.New(rand.NewPCG(32, 1))
			d := detector(t, p, drift.CompleteOptions())
			for k := range 5 {
				w := window(p, k, 0, func(int) source { return nil })
				w.Rows = 1000
				for i := range 1000 {
					switch {
					case float64(i) >= 1000*share:
						w.Counts[0].Add(&p.Features[0], rng.NormFloat64())
					case nan:
						w.Counts[0].Add(&p.Features[0], math.NaN())
					default:
						w.Counts[0].AddMissing()
					}
				}
				v := d.Judge(w)
				if v.State != want {
					t.Errorf("%s: %v of the rows, NaN %v: %s, want %s: %+v", name, share, nan, v.State, want, v.Quality)
				}
				if want == drift.Detected && (len(v.Quality) != 1 || v.Quality[0].Statistic != "missing" || math.Abs(v.Quality[0].Effect-(share-.1)) > .001) {
					t.Errorf("%s: %+v", name, v.Quality)
				}
			}
		}
		f(.1, true, drift.OK)
		f(.1, false, drift.OK)
		f(.2, true, drift.Detected)
		f(.2, false, drift.Detected)
	}
}

// TestRestoreOfFormerNaN: a state of an earlier release becomes the state of missing values: the
// more severe of two, or the older.
func TestRestoreOfFormerNaN(t *testing.T) {
	p := profile(1, 500, normal(rand.New(rand.NewPCG(33, 1))))
	f := func(want string, findings ...string) {
		t.Helper()
		for i, s := range findings {
			statistic, state, _ := strings.Cut(s, " ")
			state, minute, _ := strings.Cut(state, " ")
			findings[i] = fmt.Sprintf(`{"feature":"aa","kind":"input","statistic":%q,"state":%q,"began":"2026-11-01T00:0%s:00Z"}`, statistic, state, minute)
		}
		var s drift.Snapshot
		if err := json.Unmarshal([]byte(`{"findings":[`+strings.Join(findings, ",")+`]}`), &s); err != nil {
			t.Fatal(err)
		}
		d, err := drift.Restore(p, drift.CompleteOptions(), s)
		if err != nil {
			t.Fatal(err)
		}
		got := d.Snapshot().Findings
		if len(got) != 1 || got[0].Statistic != "missing" || fmt.Sprintf("%s %d", got[0].State, got[0].Began.Minute()) != want {
			t.Errorf("%v: %+v, want %s", findings, got, want)
		}
	}
	f("DETECTED 2", "nan DETECTED 2")
	f("DETECTED 5", "missing SUSPECTED 2", "nan DETECTED 5")
	f("DETECTED 2", "missing DETECTED 2", "nan RECOVERING 5")
	f("DETECTED 2", "missing DETECTED 5", "nan DETECTED 2")
}
