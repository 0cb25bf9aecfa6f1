package batch

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// Instance is one worker's part of a loaded version: its buffers and one run at a time.
type Instance interface {
	// Gather copies the inputs of the requests into the instance's buffers, joined along the
	// first dimension if there are several. All have passed Model.Check, have the same inputs,
	// and have equal shapes except for the first dimension. The requests' tensors are not read
	// afterwards.
	Gather(reqs []*infer.Request) error
	// Run executes the gathered inputs. It computes the union of the outputs that the requests
	// ask for. An error that either the values or the version may have caused is marked with
	// infer.ErrMaybeRefused.
	Run() error
	// Scatter adds member i's outputs to resp: its rows, in the order it asked for, or all
	// outputs if it named none.
	Scatter(i int, resp *infer.Response) error
	// Terminate, called between Gather and the end of Run, makes that Run return soon. It is
	// safe from any goroutine and does not affect later runs.
	Terminate()
	Close() error
}

// Run describes one run of an instance.
type Run struct {
	Members int // requests, or pieces of split ones
	Rows    int
	// Replays and ReplayRows are those of replays among the members.
	Replays, ReplayRows int

	Input   time.Duration // Gather
	Compute time.Duration // Run
	Output  time.Duration // Scatter, all members together
	Err     error         // Canceled if every member had left
	Trace   *RunTrace     // of a run that joined requests, some of which are traced; else nil
}

// RunTrace is what a trace has of a run besides its times.
type RunTrace struct {
	Span    infer.Span   // of the run
	Members []infer.Span // of the traced members
	Started time.Time
}

// joined adds a traced member to a run that joins requests.
func (r *Run) joined(member *infer.Request, started time.Time) {
	if r.Trace == nil {
		r.Trace = &RunTrace{Span: infer.NewSpan(), Started: started}
	}
	r.Trace.Members = append(r.Trace.Members, member.Span)
}

// errPanicked marks the errors that protect makes from a panic.
var errPanicked = errors.New("the runtime panicked")

// protect calls f, a method of an instance, and turns a panic into an error. op names the
// method in the log.
func protect(log *zap.Logger, op string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic in the runtime", zap.String("op", op), zap.Any("panic", p), zap.Stack("stack"))
			err = errPanicked
		}
	}()
	return f()
}

// internal turns the error of an instance into an *infer.Error.
func internal(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*infer.Error](err); ok {
		return err
	}
	return &infer.Error{Code: infer.Internal, Op: "batch: " + op, Msg: "the model failed", Err: err}
}
