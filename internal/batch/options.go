package batch

import (
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// Options configure a Batcher.
type Options struct {
	Model     *infer.Model
	Instances []Instance // one for each worker, at least one; Run closes them at its end
	// Batchable says that requests may be joined. Otherwise each runs alone, as many at a time
	// as there are instances.
	Batchable bool
	// MaxSize is the most rows of one run, at least 1; it has no meaning unless
	// Batchable. A request of more rows is refused, or split if Split is set.
	MaxSize int
	Split   bool
	// MaxDelay is the longest time that a free instance waits for a fuller run, counted from
	// the admission of its oldest member. With 0 it immediately takes what waits.
	MaxDelay time.Duration
	// MaxRequests and MaxBytes bound the waiting requests, except those that free instances are
	// about to take.
	MaxRequests int
	MaxBytes    int64
	// Timeout is the longest that a request may take. The request and its context can
	// only shorten it.
	Timeout time.Duration
	// PriorityLevels is the number of priorities; 1 is the highest. A request that asks for a
	// lower one gets the lowest. DefaultPriority is for requests that ask for none.
	PriorityLevels, DefaultPriority int
	// Steady says that the time of a run follows from the shapes of its inputs. Callers may
	// then lead runs of shapes that were short so far, which they cannot leave.
	Steady bool
	// Background makes each worker run on an OS thread of its own with the lowest priority, so
	// that it gets the processor time that others leave. It takes effect on Linux only. Threads
	// that the runtime starts itself are not affected: an instance should run on the thread
	// that calls it.
	Background bool
	// ObserveRun is called for each run before its last member has its answer. It must not
	// block, and may be nil.
	ObserveRun func(Run)
	Logger     *zap.Logger // may be nil
}

const longestTimeout = 1 << 61 // ns, 73 years: a time plus this does not overflow

// check returns an error if an option is missing or wrong.
func (o *Options) check() error {
	if o.Model == nil || len(o.Instances) == 0 {
		return infer.Errorf(infer.Invalid, "batch: Model and at least one of Instances are needed")
	}
	err := atLeast(
		bound{"MaxDelay", int64(o.MaxDelay), 0},
		bound{"MaxRequests", int64(o.MaxRequests), 1},
		bound{"MaxBytes", o.MaxBytes, 1},
		bound{"Timeout", int64(o.Timeout), 1},
		bound{"PriorityLevels", int64(o.PriorityLevels), 1},
		bound{"DefaultPriority", int64(o.DefaultPriority), 1},
	)
	switch {
	case err != nil:
		return err
	case o.Batchable && o.MaxSize < 1:
		return atLeast(bound{"MaxSize", int64(o.MaxSize), 1})
	case o.DefaultPriority > o.PriorityLevels:
		return infer.Errorf(infer.Invalid, "batch: DefaultPriority is %d; expected one of %d levels", o.DefaultPriority, o.PriorityLevels)
	}
	return nil
}

// bound is the least value that an option may have.
type bound struct {
	option       string
	value, least int64
}

// atLeast returns an error that names the first option below its bound.
func atLeast(bounds ...bound) error {
	for _, b := range bounds {
		if b.value < b.least {
			return infer.Errorf(infer.Invalid, "batch: %s is %d; expected at least %d", b.option, b.value, b.least)
		}
	}
	return nil
}
