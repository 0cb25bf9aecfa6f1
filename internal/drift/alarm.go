package drift

import (
	"math"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Options say what a detector may miss, and how often it may raise a false alarm.
type Options struct {
	// Tolerance is the divergence, as PSI, that a feature may have from the reference
	// and still be as before. A normal variable whose mean moves by d standard deviations
	// has a PSI of d²: 0.02 lets 0.14 pass.
	Tolerance float64 `json:"tolerance"`
	// QualityTolerance is by how much the share of missing (or NaN) and of infinite
	// values may exceed the reference's. RangeTolerance is the same for values outside the
	// reference's range, for drift takes some there too.
	QualityTolerance float64 `json:"quality_tolerance"`
	RangeTolerance   float64 `json:"range_tolerance"`

	// The promise: at most one false alarm in FalseAlarmEvery, over all Streams, on windows
	// as long as Window. A detector of windows by rows has Window 0, and is promised by
	// windows: at most one in FalseAlarmWindows of a stream.
	FalseAlarmEvery   time.Duration `json:"false_alarm_every"`
	Window            time.Duration `json:"window"`
	FalseAlarmWindows float64       `json:"false_alarm_windows"`
	Streams           int           `json:"streams"` // that share the promise

	MinRows uint64 `json:"min_rows"` // of a window that is judged
	Recover int    `json:"recover"`  // windows in a row that look well before all is
}

// check returns what is missing or wrong.
func (o Options) check() error {
	bad := func(format string, args ...any) error { return infer.Errorf(infer.Invalid, format, args...) }
	for _, t := range []struct {
		name  string
		value float64
		limit float64
	}{
		{"tolerance", o.Tolerance, 10},
		{"quality tolerance", o.QualityTolerance, 0.99},
		{"range tolerance", o.RangeTolerance, 0.99},
	} {
		if !(t.value > 0 && t.value <= t.limit) { // NaN is neither
			return bad("the %s is %v; it must be above 0 and at most %v", t.name, t.value, t.limit)
		}
	}
	switch {
	case o.Window < 0:
		return bad("the window is %v; it cannot be negative", o.Window)
	case o.Window > 0 && o.FalseAlarmEvery < o.Window:
		return bad("false alarms are allowed every %v, which is less than a window of %v", o.FalseAlarmEvery, o.Window)
	case o.Window == 0 && !(o.FalseAlarmWindows >= 1 && o.FalseAlarmWindows <= 1e15):
		return bad("false alarms are allowed every %v windows; it must be from 1 to 1e15", o.FalseAlarmWindows)
	case o.Streams < 1:
		return bad("%d streams; there cannot be fewer than one", o.Streams)
	case o.MinRows < 1:
		return bad("windows of %d rows are judged; it must be at least 1", o.MinRows)
	case o.Recover < 1:
		return bad("recovery after %d windows; it must be at least 1", o.Recover)
	}
	return nil
}

// maxRun is how many windows in a row may be taken together as evidence.
const maxRun = 8

// suspectEvery is the number of clean windows of a stream in which one suspicion is
// expected at most.
const suspectEvery = 20

// alarmLimits are the logarithms of the p-values below which a finding is suspected and
// detected.
type alarmLimits struct{ suspect, detect float64 }

// thresholds turns the promise into limits.
//
// A clean stream is judged on W windows in the time T, and S streams on S·W. What may
// be tested in one window of F features is fixed beforehand: for each feature three
// shares of flawed values, in this window alone, and its bins in the windows that end
// here, 1 to maxRun of them: F·(3 + maxRun) p-values. Each is below a where nothing
// differs by more than the tolerance with a probability of at most a; so with
//
//	a = 1 / (S · W · F · (3 + maxRun))
//
// the expected number of false alarms in T over all streams is at most 1. Expectations
// add up whatever depends on what: features that move together, runs that share
// windows, and windows that share one reference make alarms come in clusters, not more
// often. Which runs are in fact looked at may depend on the data in any way, for a p-value
// that is not looked at raises no alarm.
//
// The bound needs rows that are independent within a window. Where they are not, the
// statistic grows with their dependence, and only the tolerance stands against it.
func (o Options) thresholds(features int) alarmLimits {
	windows := o.FalseAlarmWindows
	if o.Window > 0 {
		windows = float64(o.FalseAlarmEvery) / float64(o.Window)
	}
	tests := float64(max(1, features)) * float64(len(qualities)+maxRun)
	windows *= float64(o.Streams)
	return alarmLimits{
		suspect: -math.Log(min(suspectEvery, windows) * tests),
		detect:  -math.Log(windows * tests),
	}
}
