package offline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sluice.io/sluice/internal/compare"
	"sluice.io/sluice/internal/infer"
)

// Recorded is a request to send again.
type Recorded struct {
	ID      string
	Time    time.Time     // when it arrived; zero if that is not known
	Took    time.Duration // until it was answered; 0 if that is not known
	Body    []byte        // a V2 request as JSON; nil if there are inputs
	Inputs  []infer.Tensor
	Outputs []infer.Tensor  // the answer; empty if it is not known
	Classes map[string]bool // the outputs whose elements have the names of classes
}

// Answer is an answer to a Recorded.
type Answer struct {
	Outputs []infer.Tensor
	Took    time.Duration
}

// ReplayOptions configure a replay.
type ReplayOptions struct {
	Pace        float64 // 2 is twice as fast as recorded; 0 as fast as the answers come
	Concurrency int     // requests in progress
	Limit       int     // requests; 0 for no limit
	Tolerance   float64 // an element may differ by Tolerance · max(1, its size)
	// Ask sends a request. An error made by StopReplay ends the replay, others are counted.
	Ask func(ctx context.Context, r *Recorded) (Answer, error)
	// Against gives the answer to compare with; nil compares with the recorded one.
	Against func(ctx context.Context, r *Recorded) (Answer, error)
}

// StopReplay makes an error that ends a replay, since all requests would fail with it.
func StopReplay(err error) error { return stopError{err} }

type stopError struct{ error }

func (e stopError) Unwrap() error { return e.error }

// errEnough ends the reading of requests.
var errEnough = errors.New("the limit is reached")

// Replay sends requests to a version and compares its answers. read calls yield with each request, in
// their order, and returns the errors of yield. After an error, the report is about what was sent
// before.
func Replay(ctx context.Context, read func(yield func(*Recorded) error) error, o ReplayOptions) (*ReplayReport, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &player{o: o, comparison: compare.New(compare.Options{Tolerance: o.Tolerance, Payloads: true}), stop: cancel, queue: make(chan *Recorded)}
	p.report.Causes = []ReplayError{}
	begun := time.Now()
	var workers sync.WaitGroup
	for range o.Concurrency {
		workers.Go(func() {
			for r := range p.queue {
				p.send(ctx, r)
			}
		})
	}
	err := read(func(r *Recorded) error { return p.submit(ctx, r) })
	close(p.queue)
	workers.Wait()
	report := &p.report
	report.Comparison = p.comparison.Report()
	report.Seconds, report.BehindSeconds = time.Since(begun).Seconds(), p.behind.Seconds()
	if stopped := context.Cause(ctx); stopped != nil {
		err = stopped
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return report, err
}

// player sends requests in time.
type player struct {
	o     ReplayOptions
	stop  context.CancelCauseFunc
	queue chan *Recorded

	sent        int
	start, from time.Time     // of the first request, now and recorded
	behind      time.Duration // the longest time that a request was late

	mu         sync.Mutex // guards what follows
	comparison *compare.Comparison
	report     ReplayReport
}

// submit waits until a request is due, and gives it to a worker.
func (p *player) submit(ctx context.Context, r *Recorded) error {
	if p.o.Limit > 0 && p.sent == p.o.Limit {
		return errEnough
	}
	due := time.Time{}
	if p.o.Pace > 0 {
		if r.Time.IsZero() {
			return errors.New("the requests have no times, so that only --pace max is possible")
		}
		if p.sent == 0 {
			p.start, p.from = time.Now(), r.Time
		}
		due = p.start.Add(time.Duration(float64(r.Time.Sub(p.from)) / p.o.Pace))
		timer := time.NewTimer(time.Until(due))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case p.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	p.sent++
	if !due.IsZero() {
		p.behind = max(p.behind, time.Since(due))
	}
	return nil
}

// send asks for the answers to a request, and compares them.
func (p *player) send(ctx context.Context, r *Recorded) {
	want := Answer{r.Outputs, r.Took}
	answer, err := p.o.Ask(ctx, r)
	if err == nil && p.o.Against != nil {
		if want, err = p.o.Against(ctx, r); err != nil {
			err = fmt.Errorf("the version to compare with: %w", err)
		}
	}
	if stop, ok := errors.AsType[stopError](err); ok {
		p.stop(stop.error)
		return
	}
	if ctx.Err() != nil {
		return // the error is that of the end
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.report.failed(r.ID, err)
		return
	}
	p.report.Requests++
	p.comparison.Add(&compare.Pair{
		ID: r.ID, Named: r.Classes, Reference: want.Outputs, Candidate: answer.Outputs, ReferenceTook: want.Took, CandidateTook: answer.Took,
	})
}
