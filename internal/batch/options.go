package batch

import (
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// Options configure a Batcher. Zero values of those with a default mean the default.
type Options struct {
	Model *infer.Model
	Slots []Slot // the workers' places, at least one; closed at the end of Run
	// Batchable says that requests may be joined. Otherwise each runs alone, as
	// many at once as there are slots.
	Batchable bool
	// MaxSize is the most rows of one run, at least 1; it has no meaning unless
	// Batchable. A request of more rows is refused, or split where Split is set.
	MaxSize int
	Split   bool
	// MaxDelay is how long a free slot may wait for a fuller run, counted from the
	// admission of its oldest member. With 0, the default, it takes what is there.
	MaxDelay time.Duration
	// MaxRequests and MaxBytes bound what waits, apart from what free slots are
	// about to take; default 1024 and 64 MiB.
	MaxRequests int
	MaxBytes    int64
	// Timeout is the longest that a request may take; default 30 s. The request
	// and its context can only shorten it.
	Timeout time.Duration
	// PriorityLevels are the priorities there are, 1 the highest; default 2. A
	// request that asks for a lower one gets the lowest. DefaultPriority is that
	// of a request that asks for none; default the lowest.
	PriorityLevels, DefaultPriority int
	// Steady says that the time of a run follows from the shapes of its inputs. Callers
	// may then lead runs that were short so far: they cannot leave one that is not.
	Steady bool
	// Background has each worker run on an OS thread of its own, with the lowest
	// priority, so that it gets the processor time that others leave. It takes
	// effect on Linux only. Threads that the runtime starts on its own are not
	// affected: a slot should run on the thread that calls it.
	Background bool
	// ObserveRun is told of each run before its last member has its answer. It
	// must not block; it may be nil.
	ObserveRun func(Run)
	Logger     *zap.Logger // may be nil
}

const (
	defaultRequests = 1024
	defaultBytes    = 64 << 20
	defaultTimeout  = 30 * time.Second
	defaultLevels   = 2
	longestTimeout  = 1 << 61 // ns, 73 years: a time plus this does not overflow
)

// complete sets defaults and checks the rest.
func (o *Options) complete() error {
	setDefault(&o.MaxRequests, defaultRequests)
	setDefault(&o.MaxBytes, defaultBytes)
	setDefault(&o.Timeout, defaultTimeout)
	setDefault(&o.PriorityLevels, defaultLevels)
	setDefault(&o.DefaultPriority, o.PriorityLevels)
	o.Timeout = min(o.Timeout, longestTimeout)
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	switch {
	case o.Model == nil || len(o.Slots) == 0:
		return infer.Errorf(infer.Invalid, "a batcher needs a model and at least one slot")
	case o.Batchable && o.MaxSize < 1:
		return infer.Errorf(infer.Invalid, "max_size must be at least 1, got %d", o.MaxSize)
	case o.MaxDelay < 0 || o.MaxRequests < 0 || o.MaxBytes < 0 || o.Timeout < 0:
		return infer.Errorf(infer.Invalid, "delays, timeouts and limits of the queue must not be negative")
	case o.PriorityLevels < 0 || o.DefaultPriority < 0 || o.DefaultPriority > o.PriorityLevels:
		return infer.Errorf(infer.Invalid, "the default priority must be one of %d levels, got %d", o.PriorityLevels, o.DefaultPriority)
	}
	return nil
}

func setDefault[T int | int64 | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}
