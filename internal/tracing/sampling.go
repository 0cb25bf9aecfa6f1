package tracing

import (
	"math"
	"math/rand/v2"
	"sync/atomic"

	"sluice.io/sluice/internal/infer"
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
	rate  float64 // share of the requests without a decision
	below uint64  // such a request is traced if a random number is not above
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
	r := rule{on: true}
	for i := len(layers) - 1; i >= 0; i-- {
		l := &layers[i]
		if l.on != nil {
			r.on = *l.on
		}
		if l.rate != nil {
			r.rate = *l.rate
		}
		if l.limit != nil {
			r.limit = l.limit
		}
	}
	if r.below = math.MaxUint64; r.rate < 1 {
		r.below = uint64(r.rate * (1 << 63) * 2)
	}
	return r
}

// Settings say which requests are traced.
type Settings struct {
	On    bool
	Rate  uint64 // one of that many requests is traced if its caller has not decided; 0: none
	Count int64  // how many more of these; negative: any number
}

// Change changes some settings. A cleared one of a model follows that of all models, which follows
// the options if it is cleared itself.
type Change struct {
	On                             *bool
	Rate                           *uint64
	Count                          *int64
	ClearOn, ClearRate, ClearCount bool
}

// maxModels is the max number of models with settings of their own.
const maxModels = 10_000

// Settings returns the settings of a called name; an empty one means those of all models.
func (t *Tracer) Settings(model string) Settings {
	r := t.rules.Load().of(model)
	s := Settings{On: r.on, Count: -1}
	if r.rate > 0 {
		s.Rate = uint64(math.Round(1 / r.rate))
	}
	if r.limit != nil {
		s.Count = r.limit.left.Load()
	}
	return s
}

// Change changes the settings of a called name, or those of all models if it is empty. The error is
// Overloaded if too many models have settings of their own.
func (t *Tracer) Change(model string, c Change) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if model == "" {
		t.layers.global.change(c)
	} else {
		own, known := t.layers.models[model]
		if own.change(c); own == (layer{}) {
			delete(t.layers.models, model)
		} else if known || len(t.layers.models) < maxModels {
			if t.layers.models == nil {
				t.layers.models = map[string]layer{}
			}
			t.layers.models[model] = own
		} else {
			return infer.Errorf(infer.Overloaded, "more than %d models have trace settings of their own; clear those of others", maxModels)
		}
	}
	t.rules.Store(t.layers.rules())
	return nil
}

func (l *layer) change(c Change) {
	if c.On != nil || c.ClearOn {
		l.on = c.On
	}
	switch {
	case c.Rate != nil && *c.Rate == 0:
		l.rate = new(float64)
	case c.Rate != nil:
		rate := 1 / float64(*c.Rate)
		l.rate = &rate
	case c.ClearRate:
		l.rate = nil
	}
	switch {
	case c.Count != nil:
		l.limit = &limit{}
		l.limit.left.Store(*c.Count)
	case c.ClearCount:
		l.limit = nil
	}
}

// SetSample sets the share that the file says, and forgets what was set for all models since.
func (t *Tracer) SetSample(share float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.layers.file.rate = &share
	t.layers.global = layer{}
	t.rules.Store(t.layers.rules())
}
