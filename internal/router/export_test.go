package router

import (
	"context"
	"reflect"

	"sluice.io/sluice/internal/infer"
)

// Leftovers takes a call from the pool, as the next request would, and returns the names of its
// fields that are not empty.
func Leftovers() []string {
	c := calls.Get().(*call)
	defer calls.Put(c)
	var names []string
	for field, value := range reflect.ValueOf(c).Elem().Fields() {
		if field.Name != "run" && !value.IsZero() {
			names = append(names, field.Name)
		}
	}
	return names
}

// Pick is the part of Predict before a version is called.
func (t *Table) Pick(req *infer.Request) infer.Reason {
	p, err := t.pick(req)
	if err != nil {
		return ""
	}
	return p.reason
}

// Guarded is a call through a target's breaker, without the rest of Predict. The result says
// whether the breaker let it run.
func Guarded(ctx context.Context, t *Target, req *infer.Request) func() bool {
	c := newCall(ctx, req, pick{})
	c.target = t
	return func() bool { return t.Breaker.run(c) }
}
