package drift

import (
	"testing"
	"time"
)

func TestStates(t *testing.T) {
	const some, suspect, detect = -3.5, -8, -15
	l := alarmLimits{suspect: -7, detect: -14}
	c := Counts{Bins: []uint64{1, 2}}
	// Each step: the strongest evidence, whether the effect is small, the state after it, and the
	// step in which the drift began; -1 for none.
	type step struct {
		logP  float64
		well  bool
		state string
		began int
	}
	f := func(name string, steps ...step) {
		t.Helper()
		tr := track{State: OK}
		at := func(i int) time.Time { return time.Unix(int64(1000+i), 0) }
		for i, s := range steps {
			tr.begin(at(i), s.logP)
			tr.extend(&c)
			tr.observe(evidence{best: s.logP, well: s.well, rows: relapseRows / 4}, l, 3)
			want := time.Time{}
			if s.began >= 0 {
				want = at(s.began)
			}
			if tr.State != s.state || !tr.Began.Equal(want) {
				t.Errorf("%s, step %d: %s since %v, want %s since %v", name, i, tr.State, tr.Began, s.state, want)
			}
			if tr.Run != nil && (tr.State == Detected || tr.Began.IsZero()) {
				t.Errorf("%s, step %d: evidence is gathered in the state %s", name, i, tr.State)
			}
		}
	}
	f("nothing", step{0, true, OK, -1}, step{0, false, OK, -1})
	f("at once", step{detect, false, Detected, 0})
	f("slowly", step{some, false, OK, 0}, step{suspect, false, Suspected, 0}, step{0, false, Suspected, 0}, step{detect, false, Detected, 0})
	f("chance", step{some, false, OK, 0}, step{0, true, OK, -1}, step{suspect, false, Suspected, 2})
	f("suspicion ends", step{suspect, false, Suspected, 0}, step{suspect, true, OK, -1})
	f("recovery",
		step{detect, false, Detected, 0}, step{0, true, Recovering, 0}, step{0, true, Recovering, 0}, step{0, true, OK, -1})
	f("relapse",
		step{detect, false, Detected, 0}, step{0, true, Recovering, 0}, step{0, true, Recovering, 0},
		step{0, false, Detected, 0}, step{0, true, Recovering, 0}, step{0, true, Recovering, 0}, step{0, true, OK, -1})
	f("again",
		step{detect, false, Detected, 0}, step{0, true, Recovering, 0}, step{0, true, Recovering, 0}, step{0, true, OK, -1},
		step{detect, false, Detected, 0})
	later := []step{{detect, false, Detected, 0}, {0, true, Recovering, 0}, {0, true, Recovering, 0}}
	for range 6 {
		later = append(later, step{0, true, OK, -1})
	}
	f("much later", append(later, step{detect, false, Detected, len(later)})...)
	f("stays", step{detect, false, Detected, 0}, step{0, false, Detected, 0}, step{detect, false, Detected, 0})
}

func TestRunsHaveALimit(t *testing.T) {
	tr := track{State: OK}
	c := Counts{Bins: []uint64{1, 2}}
	if tr.extend(&c); tr.Run != nil {
		t.Error("windows are gathered without a suspicion")
	}
	tr.begin(time.Unix(1, 0), -5)
	for i := range 3 * maxRun {
		run := tr.extend(&c)
		length := i%maxRun + 1
		if tr.Windows != length || tr.Run.Finite() != uint64(3*length) || (run == nil) != (length == 1) {
			t.Errorf("window %d: the run has %d windows of %d rows", i, tr.Windows, tr.Run.Finite())
		}
	}
	if c.Finite() != 3 {
		t.Error("the window's own counts were changed")
	}
}

func TestThresholds(t *testing.T) {
	f := func(change func(o *Options), features int, perT float64) {
		t.Helper()
		o := CompleteOptions()
		change(&o)
		got := o.thresholds(features, 0, 0)
		if want := -logOf(perT); !near(got.detect, want) || got.suspect < got.detect {
			t.Errorf("%+v: got %+v, want detection at %v", o, got, want)
		}
	}
	f(func(*Options) {}, 1, 720*44)
	f(func(o *Options) { o.Gates = Gates{} }, 1, 720*11) // as before gates
	f(func(o *Options) { o.FalseAlarmWindows, o.Streams = 100, 5 }, 10, 100*5*10*44)
	f(func(o *Options) { o.Window = time.Hour }, 10, 720*10*44)
	f(func(o *Options) { o.Window, o.FalseAlarmEvery, o.Streams = 5*time.Minute, 24*time.Hour, 2 }, 3, 288*2*3*44)
	f(func(o *Options) { o.FalseAlarmWindows = 1 }, 1, 44) // fewer than the suspicions that are allowed
}
