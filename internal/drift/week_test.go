package drift_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

const week = 7 * day

// weekly is a daily swing that is smaller and later at weekends.
func weekly(size float64) func(k int) float64 {
	return func(k int) float64 {
		if k%week >= 5*day {
			return size / 2 * math.Sin(2*math.Pi*float64(k-day/6)/day)
		}
		return size * math.Sin(2*math.Pi*float64(k)/day)
	}
}

// seasonal is like swung with a reference of four weeks that knows their hours.
func seasonal(t testing.TB, seed uint64, features, reference, rows int, by func(k int) float64, s func(*rand.Rand) sender, o drift.Options) *stretch {
	t.Helper()
	list := make([]drift.Feature, features)
	for i := range list {
		list[i] = drift.Feature{Name: string(rune('a' + i)), Kind: drift.KindInput, Tensor: "x", Element: i, Datatype: "FP64"}
	}
	b := newBuilder(list, drift.BuilderOptions{})
	if err := b.ByHour("UTC"); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(47, seed))
	source, row, missing := s(rng), make([]float64, features), make([]bool, features)
	for k := range reference {
		at := epoch.Add(time.Duration(float64(k) / float64(reference) * float64(4*7*24*time.Hour)))
		source(row)
		for i := range row {
			row[i] += by(int(at.Sub(epoch) / (24 * time.Hour / day)))
		}
		b.At(at)
		b.Add(row, missing)
	}
	p := b.Profile(drift.Meta{Model: "m", Created: epoch})
	if p.Week == nil || len(p.Features[0].Hours) != drift.WeekHours {
		t.Fatalf("the profile has no hours: %+v", p.Week)
	}
	return &stretch{p: p, d: detector(t, p, o), rng: rng, rows: rows, by: by, s: s}
}

// everyWindow are options with all detectors and a calibration, for one false alarm in so many windows.
func everyWindow(windows float64) drift.Options {
	o := everything(windows)
	o.Window = calibrating().Window
	o.FalseAlarmEvery = time.Duration(windows) * o.Window
	return o
}

// changed judges windows in which the second feature changes until there is a promised alarm, and returns their number; -1 if there is
// none. The stream itself does not go on.
func (x *stretch) changed(t *testing.T, o drift.Options, windows int, change func(rng *rand.Rand, v float64) float64) int {
	t.Helper()
	again, err := drift.Restore(x.p, o, x.d.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	y := *x
	y.d, y.rng = again, rand.New(rand.NewPCG(43, 1))
	inner := x.s(y.rng)
	y.of = func(row []float64) uint64 {
		user := inner(row)
		row[1] = change(y.rng, row[1])
		return user
	}
	for k := range windows {
		if v := y.judge(); promised(&v) {
			return k + 1
		}
	}
	return -1
}

// A season of the week raises no alarm if the reference knows its hours, not even before the stream is calibrated, and hides no
// change. Against the whole reference it does both.
func TestSeasonOfTheWeek(t *testing.T) {
	o := everyWindow(200)
	spike := func(rng *rand.Rand, v float64) float64 {
		if rng.Float64() < 0.1 {
			return 0.3
		}
		return v
	}
	higher := func(_ *rand.Rand, v float64) float64 { return v + 0.2 }
	f := func(name string, x *stretch, most, spikes, steps int) {
		t.Helper()
		alarms := 0
		for range week + day {
			if v := x.judge(); alarmed(&v) {
				alarms++
			}
		}
		spiked, moved := x.changed(t, o, day, spike), x.changed(t, o, day, higher)
		t.Logf("%s: %d of %d windows in alarm, a spike found after %d, a mean higher by 0.2 s.d. after %d", name, alarms, week+day, spiked, moved)
		found := func(got, most int) bool { return got > 0 && got <= most || most < 0 && got < 0 }
		if alarms > most || !found(spiked, spikes) || !found(moved, steps) {
			t.Errorf("%s: want at most %d, %d and %d", name, most, spikes, steps)
		}
	}
	f("by the hour", seasonal(t, 0, 2, 100_000, 500, weekly(0.5), independent, o), 0, 40, 110)
	whole := seasonal(t, 0, 2, 100_000, 500, weekly(0.5), independent, o)
	for i := range whole.p.Features {
		whole.p.Features[i].Hours = nil
	}
	whole.d = detector(t, whole.p, o)
	f("whole", whole, week+day, -1, -1)
}

// The same state and the same window give the same verdict, after both were written and read again.
func TestSeasonIsReplayed(t *testing.T) {
	o := everyWindow(200)
	x := seasonal(t, 1, 2, 20_000, 200, weekly(0.5), independent, o)
	for range 30 {
		x.judge()
	}
	var text bytes.Buffer
	if err := x.p.Write(&text); err != nil {
		t.Fatal(err)
	}
	p, err := drift.Read(&text, drift.MaxProfileBytes)
	if err != nil {
		t.Fatal(err)
	}
	state, err := json.Marshal(x.d.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	var s drift.Snapshot
	if err := json.Unmarshal(state, &s); err != nil {
		t.Fatal(err)
	}
	again, err := drift.Restore(p, o, s)
	if err != nil {
		t.Fatal(err)
	}
	w := window(p, 31, 300, func(int) source { return normal(x.rng) })
	w.CountHour(p, w.Start, 300)
	if err := drift.CheckWindow(p, &w); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(x.d.Judge(w), again.Judge(w)); diff != "" {
		t.Error(diff)
	}
}

// Simulations and monitors count rows by the hour of the profile's time zone, also in a night in which its clock is set.
func TestHoursOfRows(t *testing.T) {
	x := seasonal(t, 2, 1, 5000, 100, weekly(0), independent, everyWindow(200))
	x.p.Week.Zone = "Europe/Berlin"
	from := time.Date(2026, 3, 28, 23, 30, 0, 0, time.UTC) // Sunday, 0:30; at 1:00 UTC the clock goes from 2:00 to 3:00
	var hours drift.Hours
	judge := judgeFunc(func(w drift.Window) drift.Verdict {
		hours = w.Hours
		return drift.Verdict{}
	})
	rows := func(yield func(drift.Row) bool) {
		for i := range 120 {
			if !yield(drift.Row{At: from.Add(time.Duration(i) * time.Minute), Values: []float64{0}, Missing: []bool{false}}) {
				return
			}
		}
	}
	for range drift.Simulate(x.p, judge, rows, drift.SimulateOptions{Windows: drift.Windowing{Rows: 120, MinRows: 1}}) {
	}
	const sunday = 6 * 24
	if diff := cmp.Diff(drift.Hours{{sunday, 30}, {sunday + 1, 60}, {sunday + 3, 30}}, hours); diff != "" {
		t.Error(diff)
	}
}

// judgeFunc is a detector without a state.
type judgeFunc func(w drift.Window) drift.Verdict

func (f judgeFunc) Judge(w drift.Window) drift.Verdict { return f(w) }

// Profiles of two months are merged to that of both, by the hour too, and subtracted again.
func TestWeeksMergeAndSubtract(t *testing.T) {
	o := everyWindow(200)
	a := seasonal(t, 3, 1, 3000, 100, weekly(0.5), independent, o).p
	build := func(seed uint64) *drift.Profile {
		b := newBuilder([]drift.Feature{{Name: "a", Kind: drift.KindInput, Tensor: "x", Datatype: "FP64"}}, drift.BuilderOptions{})
		if err := b.ByHour("UTC"); err != nil {
			t.Fatal(err)
		}
		if err := b.CountIn(a); err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(53, seed))
		for k := range 3000 {
			b.At(epoch.Add(time.Duration(k) * 4 * 7 * 24 * time.Hour / 3000))
			b.Add([]float64{rng.NormFloat64()}, []bool{k%10 == 0})
		}
		p := b.Profile(drift.Meta{Model: "m", Created: epoch})
		if p.Week == nil {
			t.Fatal("no hours")
		}
		return p
	}
	b, c := build(1), build(2)
	both, err := drift.Merge(b, c)
	if err != nil {
		t.Fatal(err)
	}
	hour := func(p *drift.Profile, h int) *drift.Counts { return &p.Features[0].Hours[h] }
	for h := range drift.WeekHours {
		if got, want := hour(both, h).N(), hour(b, h).N()+hour(c, h).N(); got != want || hour(both, h).Missing != hour(b, h).Missing+hour(c, h).Missing {
			t.Fatalf("hour %d: %d rows, want %d", h, got, want)
		}
	}
	rest, err := drift.Subtract(both, b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.Features[0].Hours, rest.Profile.Features[0].Hours, cmpopts.EquateApprox(1e-9, 1e-9)); diff != "" {
		t.Error(diff)
	}
	b.Week.Zone = "Europe/Berlin"
	if _, err := drift.Merge(b, c); infer.CodeOf(err) != infer.Invalid {
		t.Errorf("hours of two zones: %v", err)
	}
}

func TestWeeksThatAreNotValid(t *testing.T) {
	good := func() *drift.Profile { return seasonal(t, 4, 1, 2000, 100, weekly(0), independent, everyWindow(200)).p }
	f := func(name, want string, change func(p *drift.Profile)) {
		t.Helper()
		p := good()
		change(p)
		err := p.Write(io.Discard)
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f("zone", "time zone 'Mars/North'", func(p *drift.Profile) { p.Week.Zone = "Mars/North" })
	f("no zone", "time zone ''", func(p *drift.Profile) { p.Week.Zone = "" })
	f("no week", "expected a time zone", func(p *drift.Profile) { p.Week = nil })
	f("an hour less", "167 hours", func(p *drift.Profile) { p.Features[0].Hours = p.Features[0].Hours[1:] })
	f("more rows", "more in its hours", func(p *drift.Profile) { p.Features[0].Hours[3].Bins[0] += 1000 })
	f("fewer rows", "without an hour", func(p *drift.Profile) { p.Features[0].Hours[3] = p.Features[0].NewCounts() })
	f("a bin less", "hour 5", func(p *drift.Profile) { p.Features[0].Hours[5].Bins = p.Features[0].Hours[5].Bins[1:] })

	b := newBuilder([]drift.Feature{{Name: "a", Kind: drift.KindInput, Tensor: "x", Datatype: "FP64"}}, drift.BuilderOptions{})
	if err := b.ByHour("UTC"); err != nil {
		t.Fatal(err)
	}
	for k := range 100 {
		b.At(epoch.Add(time.Duration(k) * time.Hour))
		b.Add([]float64{float64(k)}, []bool{false})
	}
	if p := b.Profile(drift.Meta{}); p.Week != nil || p.Features[0].Hours != nil || b.Covered() != 99*time.Hour {
		t.Errorf("four days: %+v, %v", p.Week, b.Covered())
	}
	p := good()
	w := p.NewWindow(epoch)
	w.Hours = drift.Hours{{168, 0}}
	if err := drift.CheckWindow(p, &w); infer.CodeOf(err) != infer.Invalid {
		t.Errorf("a window in hour 168: %v", err)
	}
}
