package routes

import (
	"reflect"
	"slices"

	"sluice.io/sluice/api"
)

// clone returns a copy of r. It does not share the slices that Complete writes to.
func clone(r api.Route) api.Route {
	r.Variants = slices.Clone(r.Variants)
	r.Shadows = slices.Clone(r.Shadows)
	return r
}

// same reports whether two documents are equal apart from the revision. A file's entry
// without a seed accepts any seed.
func same(file, state api.Route) bool {
	file, state = clone(file), clone(state)
	if file.Seed == "" {
		file.Seed = state.Seed
	}
	file.Complete()
	state.Complete()
	forgetResolved(&file)
	forgetResolved(&state)
	file.Revision, state.Revision = 0, 0
	return reflect.DeepEqual(file, state)
}

// forgetResolved removes the versions that aliases give.
func forgetResolved(r *api.Route) {
	for i := range r.Variants {
		if r.Variants[i].Alias != "" {
			r.Variants[i].Version = 0
		}
	}
	for i := range r.Shadows {
		if r.Shadows[i].Alias != "" {
			r.Shadows[i].Version = 0
		}
	}
}

// Implied returns the route of a model without a declared one: all of the traffic goes to
// its newest version.
func Implied(model string, newest int64) api.RouteState {
	r := api.Route{Name: model, Variants: []api.Variant{{Version: newest, Weight: api.TotalWeight}}}
	r.Complete()
	return Fresh(r)
}

// Moved returns the number of slots that another version serves in after than in before. In
// the zero state no version serves.
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

// versions returns the version that serves each slot, or 0 if there is none.
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
