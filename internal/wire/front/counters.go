package front

import (
	"errors"
	"sync/atomic"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// counters count the requests in progress, and those refused before a version was picked.
type counters struct {
	inFlight atomic.Int64
	controls atomic.Int64 // calls of the model repository in progress
	unrouted [infer.NumCodes]atomic.Int64
}

// Begin counts an inference as in progress until End. End must be called even after an error. The
// error is Overloaded if there are too many.
func (f *Front) Begin() error {
	if n := f.requests.inFlight.Add(1); n > int64(f.limits.MaxInFlight) {
		return infer.Errorf(infer.Overloaded, "more than %d requests in progress, try again later", f.limits.MaxInFlight)
	}
	return nil
}

// End ends the count of Begin.
func (f *Front) End() { f.requests.inFlight.Add(-1) }

// BeginControl is Begin for a call of the model repository.
func (f *Front) BeginControl() error {
	if f.requests.controls.Add(1) > int64(f.limits.MaxControlInFlight) {
		return infer.Errorf(infer.Overloaded, "more than %d requests to the model repository in progress, try again later", f.limits.MaxControlInFlight)
	}
	return nil
}

// EndControl ends the count of BeginControl. It must be called even after an error.
func (f *Front) EndControl() { f.requests.controls.Add(-1) }

// InFlight returns the number of inferences in progress.
func (f *Front) InFlight() int64 { return f.requests.inFlight.Load() }

// CountUnrouted counts an inference that was refused before a version was picked.
func (f *Front) CountUnrouted(code infer.Code) { f.requests.unrouted[code].Add(1) }

// Unrouted returns the number of inferences that were refused before a version was picked, by the
// name of the code. Data that could not be read as a request counts too.
func (f *Front) Unrouted() map[string]int64 {
	counts := map[string]int64{}
	for code := range f.requests.unrouted {
		if n := f.requests.unrouted[code].Load(); n > 0 {
			counts[infer.Code(code).String()] = n
		}
	}
	return counts
}

// LogFailure logs the details of an internal error, which callers do not get. Errors that a caller
// can cause at will are sampled.
func (f *Front) LogFailure(err error, requestID []byte, model string, version int64) {
	log := f.log
	if errors.Is(err, infer.ErrVersionWell) {
		log = f.sampled
	}
	log.Error("request failed", zap.String("request_id", string(requestID)), zap.String("model", Printable(model)), zap.Int64("version", version), zap.Error(err))
}
