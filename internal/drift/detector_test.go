package drift_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/drift"
)

// constant is a stream of one value.
func constant(x float64) source { return func() float64 { return x } }

// plus is a shifted stream.
func plus(s source, by float64) source { return func() float64 { return s() + by } }

// valid marshals a verdict, which fails if it has NaN or an infinite number.
func valid(t *testing.T, v drift.Verdict) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("%v: %+v", err, v)
	}
	return string(data)
}

func TestVerdictNamesWhatChangedAndSinceWhen(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 1))
	p := profile(10, 5000, normal(rng))
	d := detector(t, p, drift.CompleteOptions())
	judge := func(k int, of func(i int) source) drift.Verdict {
		t.Helper()
		v := d.Judge(window(p, k, 1000, of))
		valid(t, v)
		if len(v.Features) != 10 || v.Rows != 1000 || v.State != d.State() {
			t.Fatalf("window %d: %+v", k, v)
		}
		return v
	}
	clean := func(int) source { return normal(rng) }
	third := func(s source) func(int) source {
		return func(i int) source {
			if i == 3 {
				return s
			}
			return normal(rng)
		}
	}
	want := func(v drift.Verdict, state string, began int) {
		t.Helper()
		if v.State != state || (v.Began == nil) != (state == drift.OK) {
			t.Fatalf("%s since %v, want %s: %+v", v.State, v.Began, state, v.Features[0])
		}
		if v.Began != nil && !v.Began.Equal(epoch.Add(time.Duration(began)*time.Hour)) {
			t.Errorf("it began %v, want in window %d", v.Began, began)
		}
	}
	for k := range 3 {
		want(judge(k, clean), drift.OK, 0)
	}
	v := judge(3, third(plus(normal(rng), 0.5)))
	want(v, drift.Detected, 3)
	f := v.Features[0]
	if f.Feature != "da" || f.Statistic != "g" || f.State != drift.Detected || f.Rows != 1000 || f.Windows != 1 ||
		math.Abs(f.Shift-0.5) > 0.1 || f.Low > 0.247 || f.High < 0.247 || f.P > 1e-6 || !strings.HasPrefix(f.Change, "mean higher by 0.") {
		t.Errorf("got %+v", f)
	}
	if v.Features[1].State != drift.OK || v.Features[1].Change != "" || v.Features[1].P < f.P {
		t.Errorf("second: %+v", v.Features[1])
	}
	want(judge(4, third(plus(normal(rng), 0.5))), drift.Detected, 3)
	want(judge(5, clean), drift.Recovering, 3)
	want(judge(6, third(plus(normal(rng), -0.5))), drift.Detected, 3)
	for k := 7; k < 9; k++ {
		want(judge(k, clean), drift.Recovering, 3)
	}
	want(judge(9, clean), drift.OK, 0)

	v = judge(10, third(constant(0.3)))
	want(v, drift.Detected, 3) // so soon that it is the same detection
	if f := v.Features[0]; f.Feature != "da" || f.Change != "stuck at 0.3" {
		t.Errorf("got %+v", f)
	}
	for k := 11; k < 14; k++ {
		judge(k, clean)
	}
	v = judge(14, third(func() float64 {
		if rng.Float64() < 0.15 {
			return 0.3
		}
		return rng.NormFloat64()
	}))
	want(v, drift.Detected, 3)
	if f := v.Features[0]; f.Feature != "da" || !strings.Contains(f.Change, "% of the values are in (") {
		t.Errorf("got %+v", f)
	}
}

func TestEvidenceAddsUpOverWindows(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 2))
	p := profile(3, 20_000, normal(rng))
	d := detector(t, p, drift.CompleteOptions())
	var states []string
	for k := range 20 {
		v := d.Judge(window(p, k, 500, func(i int) source {
			if i == 1 {
				return plus(normal(rng), 0.3)
			}
			return normal(rng)
		}))
		states = append(states, v.State)
		if v.State == drift.Detected {
			f := v.Features[0]
			if f.Feature != "ba" || f.Windows < 2 || f.Rows != uint64(500*f.Windows) {
				t.Errorf("got %+v", f)
			}
			if states[0] == drift.Detected || !strings.Contains(strings.Join(states, " "), drift.Suspected) {
				t.Errorf("states %v", states)
			}
			return
		}
	}
	t.Errorf("not detected: %v", states)
}

func TestQuality(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 1))
	p := profile(4, 5000, normal(rng))
	f := func(statistic string, share float64, spoil func(c *drift.Counts, f *drift.Feature)) {
		t.Helper()
		d := detector(t, p, drift.CompleteOptions())
		spoiled := func(k int, share float64) drift.Verdict {
			w := window(p, k, 1000, func(int) source { return normal(rng) })
			w.Counts[2] = p.Features[2].NewCounts()
			for i := range 1000 {
				if float64(i) < share*1000 {
					spoil(&w.Counts[2], &p.Features[2])
				} else {
					w.Counts[2].Add(&p.Features[2], rng.NormFloat64())
				}
			}
			v := d.Judge(w)
			valid(t, v)
			return v
		}
		if v := spoiled(0, 0); v.State != drift.OK {
			t.Errorf("%s, clean: %s", statistic, v.State)
		}
		if v := spoiled(1, 0.009); v.State != drift.OK { // within the tolerance
			t.Errorf("%s, few: %+v", statistic, v.Quality)
		}
		v := spoiled(2, share)
		if v.State != drift.Detected || v.Began == nil || !v.Began.Equal(epoch.Add(2*time.Hour)) {
			t.Fatalf("%s: %s since %v: %+v", statistic, v.State, v.Began, v.Quality)
		}
		q := v.Quality[0]
		if q.Statistic != statistic || q.Feature != "ca" || q.State != drift.Detected || math.Abs(q.Effect-share) > 0.002 ||
			q.Low > share || q.High < share || math.Abs(q.Value-1000*share) > 3 || q.Rows != 1000 || q.P > 1e-6 || q.Change == "" {
			t.Errorf("%s: got %+v", statistic, q)
		}
		for k := 3; k < 5; k++ {
			if v := spoiled(k, 0); v.State != drift.Recovering {
				t.Errorf("%s, window %d: %s", statistic, k, v.State)
			}
		}
		if v := spoiled(5, 0); v.State != drift.OK {
			t.Errorf("%s: %s", statistic, v.State)
		}
	}
	f("missing", 0.2, func(c *drift.Counts, _ *drift.Feature) { c.AddMissing() })
	f("missing", 0.05, func(c *drift.Counts, f *drift.Feature) { c.Add(f, math.NaN()) })
	f("inf", 0.05, func(c *drift.Counts, f *drift.Feature) { c.Add(f, math.Inf(-1)) })
	f("range", 0.2, func(c *drift.Counts, f *drift.Feature) { c.Add(f, []float64{-50, 50}[c.Finite()%2]) })
}

// Windows with too few rows change nothing.
func TestTooFewRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(14, 1))
	p := profile(2, 1000, normal(rng))
	d := detector(t, p, drift.CompleteOptions())
	broken := func(int) source { return constant(math.Inf(1)) }
	for k, rows := range []int{0, 1, 2, 49} {
		v := d.Judge(window(p, k, rows, broken))
		valid(t, v)
		if v.State != drift.OK || v.Reason == "" || len(v.Features)+len(v.Quality) != 0 {
			t.Errorf("%d rows: %+v", rows, v)
		}
	}
	if v := d.Judge(window(p, 5, 1000, broken)); v.State != drift.Detected || v.Reason != "" {
		t.Errorf("got %+v", v)
	}
	v := d.Judge(window(p, 6, 2, func(int) source { return constant(0) }))
	if v.State != drift.Detected || v.Began == nil || !v.Began.Equal(epoch.Add(5*time.Hour)) {
		t.Errorf("got %+v", v)
	}
}

// Features with a poor reference give verdicts too.
func TestOddFeatures(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 1))
	nothing := take(500, constant(math.NaN()))
	p := &drift.Profile{Features: []drift.Feature{
		feature("constant", take(500, constant(7))),
		feature("nan", nothing),
		feature("infinite", take(500, constant(math.Inf(1)))),
		feature("missing", nil),
		feature("two", append(take(499, constant(0)), 1)),
		feature("huge", append(take(499, normal(rng)), math.MaxFloat64, -math.MaxFloat64)),
		feature("one", []float64{3}),
	}}
	p.Features[3].Reference.Missing = 500
	f := func(name string, value float64, missing bool, wantBins, wantQuality string) {
		t.Helper()
		d := detector(t, p, drift.CompleteOptions())
		w := p.NewWindow(epoch)
		w.Rows = 1000
		for i := range p.Features {
			for range w.Rows {
				if missing {
					w.Counts[i].AddMissing()
				} else {
					w.Counts[i].Add(&p.Features[i], value)
				}
			}
		}
		v := d.Judge(w)
		text := valid(t, v)
		if strings.Contains(text, "NaN") && value == value {
			t.Errorf("%s: %s", name, text)
		}
		names := func(findings []drift.Finding) string {
			found := map[string]bool{}
			for _, f := range findings {
				found[f.Feature] = found[f.Feature] || f.State == drift.Detected
			}
			var all []string
			for i := range p.Features {
				if found[p.Features[i].Name] {
					all = append(all, p.Features[i].Name)
				}
			}
			return strings.Join(all, " ")
		}
		if got := names(v.Features); got != wantBins {
			t.Errorf("%s: bins of %q, want %q", name, got, wantBins)
		}
		if got := names(v.Quality); got != wantQuality {
			t.Errorf("%s: quality of %q, want %q", name, got, wantQuality)
		}
	}
	f("the constant", 7, false, "two huge", "two")
	f("another", 8, false, "constant two huge", "constant two")
	f("zero", 0, false, "constant huge", "constant")
	f("huge", math.MaxFloat64, false, "constant two huge", "constant two")
	f("NaN", math.NaN(), false, "", "constant infinite two huge")
	f("infinite", math.Inf(1), false, "", "constant nan missing two huge")
	f("missing", 0, true, "", "constant infinite two huge")
}

func TestReplayGivesTheSameVerdict(t *testing.T) {
	rng := rand.New(rand.NewPCG(16, 1))
	p := profile(5, 10_000, normal(rng))
	d := detector(t, p, drift.CompleteOptions())
	seen := map[string]bool{}
	for k := range 60 {
		by := []float64{0, 0.27, 0, 0.8}[k/5%4]
		w := window(p, k, 500, func(i int) source { return plus(normal(rng), by*float64(i)/4) })
		for range 3 * (k % 2) {
			w.Counts[0].AddMissing()
			w.Rows++
		}
		// The state and the window after storing and reading them.
		var stored struct {
			Snapshot drift.Snapshot
			Window   drift.Window
		}
		data, err := json.Marshal(map[string]any{"Snapshot": d.Snapshot(), "Window": w})
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &stored); err != nil {
			t.Fatal(err)
		}
		if err := drift.CheckWindow(p, &stored.Window); err != nil {
			t.Fatal(err)
		}
		again, err := drift.Restore(p, stored.Snapshot.Options, stored.Snapshot)
		if err != nil {
			t.Fatal(err)
		}
		v := d.Judge(w)
		if diff := cmp.Diff(valid(t, v), valid(t, again.Judge(stored.Window))); diff != "" {
			t.Fatalf("window %d (-first +again):\n%s", k, diff)
		}
		seen[v.State] = true
	}
	if len(seen) != 4 {
		t.Errorf("only the states %v were seen", seen)
	}
}

func TestRestoreRefuses(t *testing.T) {
	p := profile(2, 100, normal(rand.New(rand.NewPCG(17, 1))))
	bins := strings.Repeat("0,", len(p.Features[0].Edges)) + "1"
	f := func(finding, want string) {
		t.Helper()
		var s drift.Snapshot
		if err := json.Unmarshal([]byte(`{"findings":[`+finding+`]}`), &s); err != nil {
			t.Fatal(err)
		}
		_, err := drift.Restore(p, drift.CompleteOptions(), s)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", finding, err, want)
		}
	}
	head := `{"feature":"aa","kind":"input","statistic":"g","began":"2026-11-01T00:00:00Z",`
	f(head+`"state":"SUSPECTED","windows":1,"run":{"bins":[`+bins+`]}}`, "")
	f(head+`"state":"RECOVERING","calm":1}`, "")
	f(head+`"state":"WELL"}`, "unknown state WELL")
	f(head+`"state":"OK","calm":1}`, "recovers but was not detected")
	f(head+`"state":"DETECTED","windows":1,"run":{"bins":[`+bins+`]}}`, "collects evidence")
	f(head+`"state":"SUSPECTED","windows":1}`, "not valid")
	f(head+`"state":"SUSPECTED","windows":9,"run":{"bins":[`+bins+`]}}`, "not valid")
	f(head+`"state":"SUSPECTED","windows":1,"run":{"bins":[1]}}`, "1 bins")
	f(`{"feature":"aa","kind":"input","statistic":"g","state":"DETECTED"}`, "when it began")
	f(`{"feature":"zz","kind":"input","statistic":"g","state":"DETECTED"}`, "no such feature")
	f(`{"feature":"aa","kind":"output","statistic":"g","state":"DETECTED"}`, "no such feature")
	f(`{"feature":"aa","kind":"input","statistic":"h","state":"DETECTED"}`, "no such feature")
}

func TestOptions(t *testing.T) {
	p := profile(1, 100, normal(rand.New(rand.NewPCG(18, 1))))
	f := func(want string, change func(o *drift.Options)) {
		t.Helper()
		o := drift.CompleteOptions()
		change(&o)
		if _, err := drift.NewDetector(p, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f("tolerance is 0", func(o *drift.Options) { o.Tolerance = 0 })
	f("tolerance is NaN", func(o *drift.Options) { o.Tolerance = math.NaN() })
	f("quality tolerance is 1", func(o *drift.Options) { o.QualityTolerance = 1 })
	f("range tolerance is +Inf", func(o *drift.Options) { o.RangeTolerance = math.Inf(1) })
	f("expected 0 or more", func(o *drift.Options) { o.Window = -time.Hour })
	f("expected at least the window, 1h0m0s", func(o *drift.Options) { o.Window, o.FalseAlarmEvery = time.Hour, time.Minute })
	f("every 0.5 windows", func(o *drift.Options) { o.FalseAlarmWindows = 0.5 })
	f("0 streams", func(o *drift.Options) { o.Streams = 0 })
	f("the min rows of a window are 0", func(o *drift.Options) { o.MinRows = 0 })
	f("after 0 windows", func(o *drift.Options) { o.Recover = 0 })
}
