package loss

import (
	"math"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Options set what counts as worse, and the rate of false alarms.
type Options struct {
	// Tolerance is the growth of the mean loss over the reference that does not count. With 1
	// nothing is ever detected.
	Tolerance float64 `json:"tolerance"`
	// ReferenceRows is the number of labelled rows that make the reference.
	ReferenceRows uint64 `json:"reference_rows"`

	// The limit on false alarms: at most one is expected in FalseAlarmEvery, over all Streams, with
	// windows as long as Window. For windows of Rows rows the limit is by windows: at most one in
	// FalseAlarmWindows of a stream.
	FalseAlarmEvery   time.Duration `json:"false_alarm_every"`
	Window            time.Duration `json:"window"`
	Rows              uint64        `json:"rows"` // if above 0, a window ends after this number of rows instead
	FalseAlarmWindows float64       `json:"false_alarm_windows"`
	Streams           int           `json:"streams"` // that share the limit

	MinRows uint64 `json:"min_rows"` // min rows of a window of time; one with fewer goes on
	Recover int    `json:"recover"`  // windows in a row without a problem that end an alarm
}

// check returns an error about the first option that is not valid.
func (o *Options) check() error {
	bad := func(format string, args ...any) error { return infer.Errorf(infer.Invalid, format, args...) }
	switch {
	case !(o.Tolerance > 0 && o.Tolerance <= 1): // false for NaN too
		return bad("the tolerance of the loss is %v; expected more than 0 and at most 1", o.Tolerance)
	case o.ReferenceRows < minReference || o.ReferenceRows > MaxReference:
		return bad("the reference of the loss has %d rows; expected %d to %d", o.ReferenceRows, minReference, MaxReference)
	case o.Rows == 0 && (o.Window <= 0 || o.FalseAlarmEvery < o.Window):
		return bad("a false alarm is allowed every %v; expected at least the window, %v, of more than 0", o.FalseAlarmEvery, o.Window)
	case o.Rows > 0 && !(o.FalseAlarmWindows >= 1 && o.FalseAlarmWindows <= 1e15):
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

// The min and max of Options.ReferenceRows.
const (
	minReference = 50
	MaxReference = 100_000
)

// suspectEvery is the number of windows of a stream without a problem in which at most one suspicion
// is expected.
const suspectEvery = 20

// limits are the logarithms of the evidence at which a loss is suspected, and detected.
type limits struct{ suspect, detect float64 }

// limits derives the limits from the rate of false alarms.
//
// The evidence R of a loss is a Shiryaev-Roberts sum: R - t, with t the number of windows, is a
// supermartingale as long as the mean loss is at most that of the reference plus the tolerance. So
// the expected number of alarms at R >= g in t windows is at most t/g, whatever the losses depend
// on (Shin, Ramdas, Rinaldo: E-detectors, NEJSDS 2023). With W windows in the time T, S streams and
// L losses of a stream,
//
//	g = S · W · L
//
// at most one false alarm is expected in T.
func (o *Options) limits(losses int) limits {
	windows := o.FalseAlarmWindows
	if o.Rows == 0 {
		windows = float64(o.FalseAlarmEvery) / float64(o.Window)
	}
	windows *= float64(o.Streams)
	return limits{
		suspect: math.Log(min(suspectEvery, windows) * float64(losses)),
		detect:  math.Log(windows * float64(losses)),
	}
}
