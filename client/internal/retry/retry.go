// Package retry has the rules by which the clients of both protocols retry.
package retry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// Policy bounds the retries of a call.
type Policy struct {
	Count   int           // max number of retries
	Backoff time.Duration // max wait before the first retry; doubled with each
	MaxWait time.Duration // no retry if an answer asks for more
}

// Do calls attempt until it succeeds or must not be repeated, and returns the error of the last
// attempt. again reports whether a failed attempt may be repeated, after at least the time that
// the answer asked for.
func (p Policy) Do(ctx context.Context, attempt func() (again bool, asked time.Duration, err error)) error {
	for n := 0; ; n++ {
		again, asked, err := attempt()
		if err == nil || !again || n >= p.Count || asked > p.MaxWait {
			return err
		}
		wait := p.wait(n, asked)
		if deadline, bounded := ctx.Deadline(); bounded && time.Until(deadline) <= wait {
			return err
		}
		if cause := sleep(ctx, wait); cause != nil {
			return fmt.Errorf("%w; no retry: %w", err, cause)
		}
	}
}

// wait returns the time until retry n, which counts from 0.
func (p Policy) wait(n int, asked time.Duration) time.Duration {
	backoff := p.Backoff
	for range n {
		backoff = min(2*backoff, p.MaxWait)
	}
	// A random part of it, so that clients that were refused together do not retry together.
	return asked + time.Duration((1+rand.Float64())/2*float64(backoff)) //nolint:gosec // not a secret
}

// sleep returns nil after d, or the cause if ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
