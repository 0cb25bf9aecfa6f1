package drift

import (
	"math"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Options set the tolerances of a detector, and the rate of false alarms.
type Options struct {
	// Tolerance is the gate for the shape of the distribution: the max divergence from the reference,
	// as PSI, that does not count as drift. A normal variable whose mean moves by d standard deviations
	// has a PSI of d²: 0.02 allows 0.14.
	Tolerance float64 `json:"tolerance"`
	// QualityTolerance is how much larger than in the reference the share of missing (or NaN) and
	// of infinite values may be. RangeTolerance is the same for values outside the reference's
	// range, since drift moves some values there too.
	QualityTolerance float64 `json:"quality_tolerance"`
	RangeTolerance   float64 `json:"range_tolerance"`
	// Gates are for the other kinds of change. Without them the detector is that of earlier releases, so
	// that their events can be replayed.
	Gates Gates `json:"gates,omitzero"`

	// The limit on false alarms: at most one in FalseAlarmEvery, over all Streams, on windows as
	// long as Window. For windows by rows Window is 0, and the limit is by windows: at most one in
	// FalseAlarmWindows of a stream.
	FalseAlarmEvery   time.Duration `json:"false_alarm_every"`
	Window            time.Duration `json:"window"`
	FalseAlarmWindows float64       `json:"false_alarm_windows"`
	Streams           int           `json:"streams"` // that share the limit

	// Calibration is what the detector learns of clean windows. Without it, it is that of earlier releases.
	Calibration Calibration `json:"calibration,omitzero"`

	// Breaks says whether gross breaks are looked for within windows. They take a tenth of the promise.
	Breaks bool `json:"breaks,omitempty"`
	// Onset says whether the beginning of a change is estimated, with an interval. Without it, it is the first
	// window with some evidence, as in earlier releases.
	Onset bool `json:"onset,omitempty"`

	// Clustered says whether flawed values have a design effect of their own. Without it, it is that of the bins, as in earlier releases.
	Clustered bool `json:"clustered,omitempty"`

	MinRows uint64 `json:"min_rows"` // min rows of a window that is judged
	Recover int    `json:"recover"`  // consecutive windows without drift that end an alarm
}

// check returns an error about the first option that is not valid.
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
		if !(t.value > 0 && t.value <= t.limit) { // false for NaN too
			return bad("the %s is %v; expected more than 0 and at most %v", t.name, t.value, t.limit)
		}
	}
	if err := o.Gates.check(); err != nil {
		return err
	}
	if err := o.Calibration.check(); err != nil {
		return err
	}
	switch {
	case o.Window < 0:
		return bad("the window is %v; expected 0 or more", o.Window)
	case o.Window > 0 && o.FalseAlarmEvery < o.Window:
		return bad("a false alarm is allowed every %v; expected at least the window, %v", o.FalseAlarmEvery, o.Window)
	case o.Window == 0 && !(o.FalseAlarmWindows >= 1 && o.FalseAlarmWindows <= 1e15):
		return bad("a false alarm is allowed every %v windows; expected 1 to 1e15", o.FalseAlarmWindows)
	case o.Streams < 1:
		return bad("%d streams; expected 1 or more", o.Streams)
	case o.MinRows < 1:
		return bad("the min rows of a window are %d; expected 1 or more", o.MinRows)
	case o.Recover < 1:
		return bad("recovery after %d windows; expected 1 or more", o.Recover)
	}
	return nil
}

// maxRun is the max number of consecutive windows that are combined as evidence.
const maxRun = 8

// suspectEvery is the number of clean windows of a stream in which at most one suspicion is
// expected.
const suspectEvery = 20

// alarmLimits are the logarithms of the p-values below which a finding is suspected, and detected.
type alarmLimits struct{ suspect, detect float64 }

// thresholds derives the limits from the rate of false alarms.
//
// A clean stream is judged on W windows in the time T, and S streams on S·W. The possible tests in
// one window of F features are fixed beforehand: for each feature Q shares of flawed values, in this
// window alone, and the G gates of its bins in the windows that end here, 1 to maxRun of them:
// F·(Q + G·maxRun) p-values. With all gates Q is 4 and G is 5: mean, spread, shares, tails, and shape.
// The correlations of P pairs, and the means together, add (P + 1)·maxRun, and each vector adds maxRun.
// If nothing differs by more than the gates, each is below a with a probability of at most a. So
// with
//
//	a = 1 / (S · W · (F · (Q + G · maxRun) + (P + 1) · maxRun))
//
// the expected number of false alarms in T over all streams is at most 1. Expectations add up even
// if the tests depend on each other: features that move together, runs that share windows, and
// windows that share one reference make alarms come in clusters, not more often. The choice of the
// runs that are tested may depend on the data in any way, since a p-value that is not computed
// raises no alarm.
//
// The p-values allow for rows that depend on each other within a window, see halves.go.
func (o Options) thresholds(features, pairs, vectors int) alarmLimits {
	windows := o.windows()
	if o.Breaks {
		windows /= 1 - breakAlpha
	}
	tests := float64(max(1, features))*float64(o.qualities()+o.Gates.bins()*maxRun) + float64(maxRun*o.Gates.together(pairs))
	if o.Gates.Vector > 0 {
		tests += float64(maxRun * vectors)
	}
	return alarmLimits{
		suspect: -math.Log(min(suspectEvery, windows) * tests),
		detect:  -math.Log(windows * tests),
	}
}

// windows returns the number of windows of all streams in the time of one false alarm.
func (o Options) windows() float64 {
	if o.Window > 0 {
		return float64(o.Streams) * float64(o.FalseAlarmEvery) / float64(o.Window)
	}
	return float64(o.Streams) * o.FalseAlarmWindows
}

// quality returns the max excess of the share of flawed values over the reference, 0 if it is not
// tested.
func (o Options) quality(statistic string) float64 {
	switch statistic {
	case StatisticRange:
		return o.RangeTolerance
	case StatisticNew:
		return o.Gates.New
	default:
		return o.QualityTolerance
	}
}

// qualities returns the number of shares of flawed values that are tested.
func (o Options) qualities() (n int) {
	for _, statistic := range qualities {
		if o.quality(statistic) > 0 {
			n++
		}
	}
	return n
}
