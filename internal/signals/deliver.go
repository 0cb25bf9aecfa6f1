package signals

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
)

// idle is how long Run sleeps where nothing is due: whatever changes that wakes it.
const idle = time.Hour

// job is the delivery of an open signal. Its fields are guarded by Outbox.mu, but
// for signal, which does not change.
type job struct {
	signal    api.SignalData
	due       time.Time // with its monotonic part
	cancel    func()    // of the attempt in progress; nil if there is none
	attempts  int
	failures  int // since the start, or since somebody asked for a retry
	lastError string
	// taken: the receiver has it, and what is missing is the journal's word.
	taken bool
}

// begin starts what is due, as far as there is room, and returns how long nothing
// more will be.
func (o *Outbox) begin(ctx context.Context, wg *sync.WaitGroup) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	for o.running < o.opts.Parallel {
		j := o.earliest()
		if j == nil {
			break
		}
		if wait := j.due.Sub(now); wait > 0 {
			return wait
		}
		attempt, cancel := context.WithTimeout(ctx, o.opts.Timeout)
		j.cancel = cancel
		o.running++
		wg.Go(func() { // Run waits for it
			defer cancel()
			o.attempt(attempt, j)
			o.mu.Lock()
			j.cancel = nil
			o.running--
			o.mu.Unlock()
			o.wakeUp()
		})
	}
	return idle
}

// earliest returns the job that is due first of those not in progress.
func (o *Outbox) earliest() *job {
	var first *job
	for _, j := range o.jobs {
		if j.cancel == nil && (first == nil || j.due.Before(first.due)) {
			first = j
		}
	}
	return first
}

// attempt delivers a signal, or tries again to write down that it was.
func (o *Outbox) attempt(ctx context.Context, j *job) {
	o.mu.Lock()
	taken := j.taken
	if !taken {
		j.attempts++
	}
	o.mu.Unlock()
	var took time.Duration
	if !taken {
		began := time.Now()
		wait, err := o.opts.Sink.Deliver(ctx, j.signal)
		took = time.Since(began)
		switch {
		case err != nil && errors.Is(ctx.Err(), context.Canceled): // it was closed, or the gateway stops
			return
		case err != nil:
			o.failed(j, wait, err)
			o.opts.Observer.Attempted(j.signal.Type, err, took)
			return
		}
	}
	err := o.delivered(j)
	if !taken {
		o.opts.Observer.Attempted(j.signal.Type, nil, took)
	}
	if err != nil {
		o.mu.Lock()
		j.taken = true
		o.mu.Unlock()
		o.failed(j, 0, fmt.Errorf("it was delivered, but that could not be written to the journal: %w", err))
	}
}

// delivered writes a delivery down.
func (o *Outbox) delivered(j *job) error {
	o.write.Lock()
	defer o.write.Unlock()
	o.mu.Lock()
	attempts := j.attempts
	o.mu.Unlock()
	err := o.append(api.Event{Type: api.EventRetrainDelivered}, j.signal.ID, api.SignalProgress{State: api.SignalDelivered, Attempts: attempts})
	if err != nil {
		return err
	}
	o.mu.Lock()
	delete(o.jobs, j.signal.ID)
	o.mu.Unlock()
	o.log.Info("a signal was delivered", zap.String("id", j.signal.ID), zap.String("type", j.signal.Type),
		zap.String("model", j.signal.Model), zap.Int("attempts", attempts))
	return nil
}

// failed says when there is another attempt.
func (o *Outbox) failed(j *job, wait time.Duration, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	j.failures++
	j.lastError = err.Error()
	after := min(max(backoff(j.failures, o.opts.Initial, o.opts.Max), wait), o.opts.Max)
	j.due = time.Now().Add(after)
	if n := j.attempts; n&(n-1) == 0 || j.taken { // the 1st, 2nd, 4th, 8th, …: a receiver may be down for long
		o.log.Warn("a signal could not be delivered", zap.String("id", j.signal.ID), zap.String("type", j.signal.Type),
			zap.String("model", j.signal.Model), zap.Int("attempts", n), zap.Duration("next_in_seconds", after), zap.Error(err))
	}
}

// backoff returns how long to wait after the nth failure: initial, doubled with
// each, up to maxDelay; of that half for certain and the other half by chance, so that
// signals that failed together do not stay together.
func backoff(n int, initial, maxDelay time.Duration) time.Duration {
	d := min(initial, maxDelay)
	for ; n > 1 && d < maxDelay; n-- {
		d = min(2*d, maxDelay)
	}
	return d/2 + rand.N(d/2+1)
}

// writeDown tries a last time to journal deliveries of which the journal does not
// know. Where it cannot, they are made again after the next start.
func (o *Outbox) writeDown() {
	o.mu.Lock()
	var taken []*job
	for _, j := range o.jobs {
		if j.taken {
			taken = append(taken, j)
		}
	}
	o.mu.Unlock()
	for _, j := range taken {
		if err := o.delivered(j); err != nil {
			o.log.Error("a signal was delivered, but that could not be written to the journal; it will be delivered once more",
				zap.String("id", j.signal.ID), zap.Error(err))
		}
	}
}
