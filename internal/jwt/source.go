package jwt

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"
)

// The times of the reads and fetches.
const (
	fetchTimeout = 10 * time.Second
	firstRetry   = time.Second
	lastRetry    = time.Minute
	earlyEvery   = time.Minute // the min time between two fetches for keys that are not known
)

// source is where the keys of an issuer come from.
type source interface {
	// load returns the keys, nil if they are those of the last call, and the time after which they
	// are to be loaded again.
	load(ctx context.Context) (keys *keySet, fresh time.Duration, err error)
}

// issuer is an issuer with its keys.
type issuer struct {
	Issuer
	algorithms []jose.SignatureAlgorithm
	source     source
	log        *zap.Logger
	keys       atomic.Pointer[keySet] // nil before the first success
	updated    atomic.Int64           // Unix time of the last success in ns
	failures   atomic.Int64
	unknown    chan struct{} // a token had a key that is not known; has room for one

	// These belong to run.
	early   time.Time // when keys were last loaded early
	failing int       // failures since the last success
}

func (i *issuer) allows(a jose.SignatureAlgorithm) bool { return slices.Contains(i.algorithms, a) }

// fetchEarly asks run to load the keys before their time.
func (i *issuer) fetchEarly() {
	select {
	case i.unknown <- struct{}{}:
	default: // it is asked already
	}
}

// run loads the keys when their time has come, until ctx ends.
func (i *issuer) run(ctx context.Context) {
	next := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(time.Until(next))
		select {
		case <-ctx.Done():
			return
		case <-i.unknown:
			if soonest := latest(i.early.Add(earlyEvery), time.Now()); soonest.Before(next) {
				next, i.early = soonest, soonest
			}
		case <-timer.C:
			next = time.Now().Add(i.refresh(ctx))
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// refresh loads the keys once and returns the time to the next load. After a failure the last good
// keys stay.
func (i *issuer) refresh(ctx context.Context) time.Duration {
	loading, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	keys, fresh, err := i.source.load(loading)
	if err == nil {
		i.take(keys)
		return fresh
	}
	if ctx.Err() != nil { // the stop is the cause
		return 0
	}
	i.failures.Add(1)
	if i.failing++; i.failing == 1 {
		i.log.Warn("the keys of a token issuer cannot be loaded; those that are known stay",
			zap.Int("known_keys", i.stats().Keys), zap.Error(err))
	}
	wait := lastRetry
	if i.failing < 7 { // 2^6 s is more than a minute
		wait = min(firstRetry<<(i.failing-1), lastRetry)
	}
	return wait/2 + rand.N(wait/2) //nolint:gosec // it only spreads the load
}

// take puts loaded keys into use.
func (i *issuer) take(keys *keySet) {
	switch {
	case keys != nil:
		i.keys.Store(keys)
		i.log.Info("the keys of a token issuer are loaded", zap.Int("keys", len(keys.keys)), zap.Int("skipped", keys.skipped))
	case i.failing > 0:
		i.log.Info("the keys of a token issuer can be loaded again; they did not change")
	}
	i.failing = 0
	i.updated.Store(time.Now().UnixNano())
}

func (i *issuer) stats() Stats {
	s := Stats{Issuer: i.Name, Failures: i.failures.Load()}
	if keys := i.keys.Load(); keys != nil {
		s.Keys, s.Updated = len(keys.keys), time.Unix(0, i.updated.Load())
	}
	return s
}
