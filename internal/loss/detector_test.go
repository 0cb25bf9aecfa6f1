package loss_test

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/loss"
)

// TestRestart: a detector that goes on from its stored state after each row finds the same.
func TestRestart(t *testing.T) {
	o := options()
	o.ReferenceRows, o.Rows, o.MinRows = 100, 50, 20
	one, other := detector(t, o, loss.AbsoluteError, loss.Error), detector(t, o, loss.AbsoluteError, loss.Error)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 1000 {
		size := 1.0
		if i > 400 && i < 700 {
			size = 3
		}
		at, id, x := epoch.Add(time.Duration(i)*time.Second), strconv.Itoa(i/3), []float64{size * rng.ExpFloat64(), coin(rng, 0.1*size)}
		one.Count(at, id, x)
		stored, err := loss.Decode(other.State().Encode())
		if err != nil {
			t.Fatal(err)
		}
		if other, err = loss.Restore(o, stored); err != nil {
			t.Fatal(err)
		}
		other.Count(at, id, x)
	}
	a, b := one.State(), other.State()
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
	var states []string
	for _, c := range a.Changes {
		states = append(states, c.From+" "+c.State)
		again, err := loss.Restore(c.Before.Options, c.Before)
		if err != nil || !again.Judge(c.End) {
			t.Fatalf("window %d is not judged again: %v", c.Window, err)
		}
		if diff := cmp.Diff(c.Findings, again.State().Findings()); diff != "" {
			t.Errorf("window %d judged again: %s", c.Window, diff)
		}
	}
	if len(states) < 2 || states[len(states)-1] != "RECOVERING OK" || a.Status() != loss.OK || !a.Since.IsZero() {
		t.Errorf("%v, then %s", states, a.Status())
	}
}

// TestBatches: labels that come late and at once are one window, and those of few requests none.
func TestBatches(t *testing.T) {
	o := options()
	o.Rows = 0
	d := detector(t, o, loss.Error)
	rng := rand.New(rand.NewPCG(2, 1))
	now := epoch
	batch := func(requests, rows int, mean float64) {
		for i := range requests {
			for range rows {
				d.Count(now, now.String()+strconv.Itoa(i), []float64{coin(rng, mean)})
			}
		}
		now = now.Add(6 * time.Hour)
		d.Judge(now)
	}
	judged := func(windows uint64, state string) {
		t.Helper()
		if s := d.State(); s.Windows != windows || s.Status() != state {
			t.Errorf("%d windows, %s; want %d and %s", s.Windows, s.Status(), windows, state)
		}
	}
	batch(500, 1, 0.1)
	judged(0, loss.Learning)
	batch(500, 1, 0.1)
	judged(0, loss.OK)
	batch(2000, 1, 0.1)
	judged(1, loss.OK)
	batch(20, 1, 1) // less than the min rows: the window goes on
	judged(1, loss.OK)
	batch(3, 1000, 0.1) // together they are 23 requests
	judged(2, loss.OK)
	batch(2, 1000, 1) // a few requests, however many rows they have, say little
	judged(2, loss.OK)
	batch(2000, 1, 0.1)
	judged(3, loss.OK)
	batch(2000, 1, 0.4)
	judged(4, loss.Detected)
	began := d.State().Since
	for range 3 {
		batch(2000, 1, 0.1)
	}
	judged(7, loss.OK)
	batch(1000, 1, 0.4) // a relapse has the beginning of the first time
	if judged(8, loss.Detected); !d.State().Since.Equal(began) {
		t.Errorf("since %v, want %v", d.State().Since, began)
	}
}

// TestScale: an absolute error is compared in units of its reference, and one absurd or missing value
// is only the largest loss.
func TestScale(t *testing.T) {
	for _, unit := range []float64{1e-9, 1, 1e12} {
		o := options()
		d := detector(t, o, loss.AbsoluteError)
		rng := rand.New(rand.NewPCG(3, 1))
		count := func(rows int, size float64) {
			for range rows {
				x := unit * size * math.Abs(rng.NormFloat64())
				switch rng.IntN(200) {
				case 0:
					x = math.NaN()
				case 1:
					x = math.Inf(1)
				case 2:
					x = 1e300
				}
				now := epoch.Add(time.Duration(d.State().Rows) * time.Second)
				d.Count(now, now.String(), []float64{x})
			}
		}
		count(4000, 1)
		if f := d.State().Findings()[0]; d.State().Status() != loss.OK || math.Abs(f.Reference/unit-0.8) > 0.1 {
			t.Errorf("unit %v: %+v", unit, f)
		}
		count(2000, 1.5)
		if f := d.State().Findings()[0]; d.State().Status() != loss.Detected || math.Abs(f.Value/unit-1.23) > 0.2 {
			t.Errorf("unit %v: %+v", unit, f)
		}
	}
}

// TestBorrow: a canary is compared with the reference of another stream, from its first row on.
func TestBorrow(t *testing.T) {
	o := options()
	stable, canary := detector(t, o, loss.Error), detector(t, o, loss.Error)
	rng := rand.New(rand.NewPCG(4, 1))
	feed(stable, independent(rng), 500, 0.1)
	if canary.Borrow("version 1", stable.State()) {
		t.Error("borrowed a reference that is not complete")
	}
	feed(stable, independent(rng), 500, 0.1)
	if detector(t, o, loss.Error, loss.Brier).Borrow("version 1", stable.State()) {
		t.Error("borrowed the reference of other losses")
	}
	if !canary.Borrow("version 1", stable.State()) {
		t.Fatal("not borrowed")
	}
	feed(canary, independent(rng), 600, 0.4)
	if s := canary.State(); s.Status() != loss.Detected || s.From != "version 1" {
		t.Errorf("%s, compared with %s", s.Status(), s.From)
	}
}

func TestOptions(t *testing.T) {
	for name, change := range map[string]func(o *loss.Options){
		"tolerance": func(o *loss.Options) { o.Tolerance = math.NaN() }, "reference": func(o *loss.Options) { o.ReferenceRows = 1 },
		"window": func(o *loss.Options) { o.Rows, o.Window = 0, 0 }, "windows": func(o *loss.Options) { o.FalseAlarmWindows = 0 },
		"streams": func(o *loss.Options) { o.Streams = 0 }, "min rows": func(o *loss.Options) { o.MinRows = 0 }, "recover": func(o *loss.Options) { o.Recover = 0 },
	} {
		o := options()
		change(&o)
		if _, err := loss.New(o, loss.Error); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// FuzzDecode: a state from a damaged file is refused, or can be used.
func FuzzDecode(f *testing.F) {
	o := options()
	o.ReferenceRows, o.Rows = 50, 20
	d, err := loss.New(o, loss.AbsoluteError)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("{}"))
	for i := range 200 {
		d.Count(epoch.Add(time.Duration(i)*time.Second), strconv.Itoa(i), []float64{float64(i % (7 + i/10))})
		if i%40 == 0 {
			f.Add(d.State().Encode())
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := loss.Decode(b)
		if err != nil {
			return
		}
		d, err := loss.Restore(o, s)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			x := make([]float64, len(s.Losses))
			d.Count(epoch.Add(time.Duration(i)*time.Hour), strconv.Itoa(i), x)
		}
		if _, err := loss.Decode(d.State().Encode()); err != nil {
			t.Errorf("a used state cannot be read: %v", err)
		}
	})
}
