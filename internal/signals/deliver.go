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

// idle is how long Run sleeps if nothing is due. A new job wakes it.
const idle = time.Hour

// job is the delivery of an open signal. Outbox.mu guards its fields, except signal, which
// does not change.
type job struct {
	signal    api.SignalData
	due       time.Time // with a monotonic clock reading
	cancel    func()    // cancels the attempt in progress; nil if there is none
	attempts  int
	failures  int // since the start, or since the last call of Retry
	lastError string
	// taken means that the receiver has the signal, but the journal does not have the
	// delivery yet.
	taken bool
}

// begin starts the deliveries that are due, up to Options.Parallel, and returns the time
// until the next one.
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

// earliest returns the job with the earliest due time that is not in progress.
func (o *Outbox) earliest() *job {
	var first *job
	for _, j := range o.jobs {
		if j.cancel == nil && (first == nil || j.due.Before(first.due)) {
			first = j
		}
	}
	return first
}

// attempt delivers a signal. If the receiver already has it, it only retries to write the
// delivery to the journal.
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
		case err != nil && errors.Is(ctx.Err(), context.Canceled): // the signal was closed, or the gateway stops
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
		o.failed(j, 0, fmt.Errorf("the signal was delivered, but the delivery could not be written to the journal: %w", err))
	}
}

// delivered writes a delivery to the journal.
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
	o.log.Info("signal delivered", zap.String("id", j.signal.ID), zap.String("type", j.signal.Type),
		zap.String("model", j.signal.Model), zap.Int("attempts", attempts))
	return nil
}

// failed sets the time of the next attempt.
func (o *Outbox) failed(j *job, wait time.Duration, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	j.failures++
	j.lastError = err.Error()
	after := min(max(backoff(j.failures, o.opts.Initial, o.opts.Max), wait), o.opts.Max)
	j.due = time.Now().Add(after)
	if n := j.attempts; n&(n-1) == 0 || j.taken { // only the 1st, 2nd, 4th, 8th, …, since a receiver may be down for long
		o.log.Warn("signal could not be delivered", zap.String("id", j.signal.ID), zap.String("type", j.signal.Type),
			zap.String("model", j.signal.Model), zap.Int("attempts", n), zap.Duration("next_in_seconds", after), zap.Error(err))
	}
}

// backoff returns the time until the retry after the nth failure. The base is initial,
// doubled with each failure, up to maxDelay. The result is a random time between half of the
// base and the base, so that signals that failed together are not retried together.
func backoff(n int, initial, maxDelay time.Duration) time.Duration {
	d := min(initial, maxDelay)
	for ; n > 1 && d < maxDelay; n-- {
		d = min(2*d, maxDelay)
	}
	return d/2 + rand.N(d/2+1)
}

// writeDown tries a last time to write deliveries to the journal. If it cannot, the signals
// are delivered again after the next start.
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
			o.log.Error("signal delivered, but the delivery could not be written to the journal; it will be delivered again after the next start",
				zap.String("id", j.signal.ID), zap.Error(err))
		}
	}
}
