package loadgen

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// pause is that of a connection of a closed loop after a failure: a server that is
// gone must not be asked, and counted, thousands of times a second.
const pause = 10 * time.Millisecond

// patience is how long the first connections may take.
const patience = 10 * time.Second

// run is a plan while it is carried out. Threads only read it, but for stop.
type run struct {
	Plan
	*prepared
	clock time.Time // all times are nanoseconds since it
	begin int64     // the first request may leave
	window
	stop atomic.Bool // gives up what is in flight
	fail context.CancelCauseFunc
}

// startOf returns how long after the beginning a connection first sends: at once,
// or as a closed loop grows.
func (r *run) startOf(i int) int64 {
	if r.Rate > 0 {
		return 0
	}
	return int64(float64(r.Ramp) * float64(i) / float64(r.Conns))
}

func (r *run) now() int64 { return int64(time.Since(r.clock)) }

// sender carries a share of the connections and arrivals.
type sender interface {
	// connect opens the connections that are to send from the beginning. It returns
	// an error if none could be opened.
	connect(ctx context.Context) error
	send() // until all requests of the plan have ended, or stop
	close()
	recorded() *record
}

// Run carries out a plan. It returns an error if the plan is wrong or the
// server cannot be reached; answers other than 200 are none. Where ctx ends first
// it returns what was seen until then, and the context's error.
func Run(ctx context.Context, p Plan) (*Result, error) {
	p, err := p.checked()
	if err != nil {
		return nil, err
	}
	ready, err := prepare(p.Targets)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{Plan: p, prepared: ready, clock: time.Now(), fail: cancel}
	// With a processor of Go's to spare its monitor does not take those away from
	// threads that wait in epoll, fifty thousand times a second.
	if before := runtime.GOMAXPROCS(0); before <= p.Threads {
		runtime.GOMAXPROCS(p.Threads + 1)
		defer runtime.GOMAXPROCS(before)
	}
	senders, err := r.senders(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, s := range senders {
			s.close()
		}
	}()
	if err := connectAll(ctx, senders); err != nil {
		return nil, fmt.Errorf("%s: %w", r.address, err)
	}
	r.begin = r.now()
	r.from = r.begin + int64(p.Ramp+p.Warmup)
	r.to = r.from + int64(p.Duration)
	var all sync.WaitGroup
	for _, s := range senders {
		all.Go(s.send) // ends with the plan or at stop
	}
	done := make(chan struct{})
	go func() { // ends with them
		defer close(done)
		all.Wait()
	}()
	r.watch(ctx, done, senders)
	<-done
	return r.result(senders), context.Cause(ctx)
}

func connectAll(ctx context.Context, senders []sender) error {
	failed := make([]error, len(senders))
	var all sync.WaitGroup
	for i, s := range senders {
		all.Go(func() { failed[i] = s.connect(ctx) })
	}
	all.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// watch tells of progress until the senders are done, and stops them when the
// context ends.
func (r *run) watch(ctx context.Context, done <-chan struct{}, senders []sender) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for last, lastAt := int64(0), r.now(); ; {
		select {
		case <-done:
			return
		case <-ctx.Done():
			r.stop.Store(true)
			return
		case <-ticker.C:
		}
		if r.Progress == nil {
			continue
		}
		now := r.now()
		state := Progress{Phase: r.phase(now), Since: time.Duration(now - r.begin)}
		for _, s := range senders {
			state.Answered += s.recorded().live.answered.Load()
			state.Failed += s.recorded().live.failed.Load()
		}
		state.Rate = float64(state.Answered-last) / time.Duration(now-lastAt).Seconds()
		last, lastAt = state.Answered, now
		r.Progress(state)
	}
}

func (r *run) phase(now int64) string {
	switch {
	case now >= r.to:
		return "draining"
	case now >= r.from:
		return "counted"
	case now >= r.begin+int64(r.Ramp):
		return "warm-up"
	}
	return "ramp"
}

func (r *run) result(senders []sender) *Result {
	total, errors := newRecord(), map[int]int64{}
	for _, s := range senders {
		part := s.recorded()
		total.requests += part.requests
		total.answered += part.answered
		total.sent += part.sent
		total.cpu += part.cpu - part.spun
		total.spun += part.spun
		total.delay += part.delay
		total.process = max(total.process, part.process)
		total.latency.Merge(part.latency)
		total.refused.Merge(part.refused)
		total.lag.Merge(part.lag)
		for status, n := range part.errors {
			if n > 0 {
				errors[status] += n
			}
		}
		for i := range part.timeline {
			from, to := &part.timeline[i], total.slice(int64(i)*int64(sliceLength))
			to.Due += from.Due
			to.Answered += from.Answered
			to.Refused += from.Refused
			to.Failed += from.Failed
			to.Worst = max(to.Worst, from.Worst)
		}
	}
	elapsed := time.Duration(max(0, min(r.to, r.now())-r.from))
	result := &Result{
		Requests: total.requests, Errors: errors, Answered: total.answered, Sent: total.sent, Elapsed: elapsed,
		Latency: total.latency, Refused: total.refused, Lag: total.lag, Timeline: total.timeline,
		ClientCPU: total.process, Spun: total.spun, Threads: len(senders),
	}
	if elapsed > 0 {
		result.Busy = max(0, float64(total.cpu)/float64(elapsed)/float64(min(len(senders), cores())))
		result.Starved = float64(total.delay) / float64(elapsed) / float64(len(senders))
	}
	return result
}
