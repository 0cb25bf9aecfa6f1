package tracing

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
)

// rules decide which requests are traced. They do not change: a change makes new ones.
type rules struct {
	global rule
	models map[string]*rule // by called name, of those with settings of their own
}

func (r *rules) of(model string) *rule {
	if len(r.models) > 0 {
		if own := r.models[model]; own != nil {
			return own
		}
	}
	return &r.global
}

// rule decides for one model, or for all without one of their own.
type rule struct {
	on    bool
	below uint64 // a request without a decision is traced if a random number is not above
	limit *limit
}

func (r *rule) samples(parent, sampled bool) bool {
	switch {
	case !r.on:
		return false
	case parent:
		return sampled
	default:
		return rand.Uint64() <= r.below && r.below > 0 && r.limit.take() //nolint:gosec // a share of the traffic is not a secret
	}
}

// limit is how many more requests are traced by chance. nil: any number.
type limit struct{ left atomic.Int64 }

func (l *limit) take() bool {
	if l == nil {
		return true
	}
	for {
		left := l.left.Load()
		if left <= 0 {
			return left < 0
		}
		if l.left.CompareAndSwap(left, left-1) {
			return true
		}
	}
}

// layer has the settings that were made for one place. A nil one is not set there.
type layer struct {
	on    *bool
	rate  *float64 // share of the requests without a decision
	limit *limit   // a negative one: any number
}

// layers are the settings of all places: those of a model go before those of all models, and
// these before those of the file.
type layers struct {
	file, global layer
	models       map[string]layer
}

// rules returns the rules that follow.
func (l *layers) rules() *rules {
	r := &rules{global: rulesOf(l.global, l.file), models: make(map[string]*rule, len(l.models))}
	for name, own := range l.models {
		merged := rulesOf(own, l.global, l.file)
		r.models[name] = &merged
	}
	return r
}

// rulesOf returns the rule of layers, the first of which goes first.
func rulesOf(layers ...layer) rule {
	r, rate := rule{on: true}, 0.0
	for i := len(layers) - 1; i >= 0; i-- {
		l := &layers[i]
		if l.on != nil {
			r.on = *l.on
		}
		if l.rate != nil {
			rate = *l.rate
		}
		if l.limit != nil {
			r.limit = l.limit
		}
	}
	if r.below = math.MaxUint64; rate < 1 {
		r.below = uint64(rate * (1 << 63) * 2)
	}
	return r
}

// SetSample sets the share that the file says, and forgets what was set for all models since.
func (t *Tracer) SetSample(share float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.layers.file.rate = &share
	t.layers.global = layer{}
	t.rules.Store(t.layers.rules())
}
