package routes

import (
	"reflect"
	"slices"

	"sluice.io/sluice/api"
)

// clone returns a route that shares nothing with r that Complete would write to.
func clone(r api.Route) api.Route {
	r.Variants = slices.Clone(r.Variants)
	r.Shadows = slices.Clone(r.Shadows)
	return r
}

// same reports whether two documents ask for the same, but for the revision, which
// nobody asks for. A file's entry without a seed asks for none in particular.
func same(file, state api.Route) bool {
	file, state = clone(file), clone(state)
	if file.Seed == "" {
		file.Seed = state.Seed
	}
	file.Complete()
	state.Complete()
	file.Revision, state.Revision = 0, 0
	return reflect.DeepEqual(file, state)
}

// Implied is what stands for the route of a model that has none: all of the
// traffic goes to its newest version.
func Implied(model string, newest int64) api.RouteState {
	r := api.Route{Name: model, Variants: []api.Variant{{Version: newest, Weight: api.TotalWeight}}}
	r.Complete()
	return Fresh(r)
}

// Moved returns how many slots another version serves after than before. The zero
// state serves none.
func Moved(before, after api.RouteState) int {
	if before.Model != after.Model {
		return api.TotalWeight
	}
	was, is := versions(before), versions(after)
	moved := 0
	for i := range was {
		if was[i] != is[i] {
			moved++
		}
	}
	return moved
}

// versions returns the version that serves each slot, 0 for none.
func versions(s api.RouteState) (by [api.TotalWeight]int64) {
	for i, held := range s.Slots {
		for _, r := range held {
			for slot := r[0]; slot < r[1]; slot++ {
				by[slot] = s.Variants[i].Version
			}
		}
	}
	return by
}
