package routes

import (
	"cmp"
	"slices"

	"sluice.io/sluice/api"
)

// Fresh returns a completed route with the slots of a first revision: one range for each
// variant, in the route's order.
func Fresh(r api.Route) api.RouteState {
	slots := make(api.Slots, len(r.Variants))
	from := 0
	for i, v := range r.Variants {
		slots[i] = [][2]int{}
		if v.Weight > 0 {
			slots[i] = append(slots[i], [2]int{from, from + v.Weight})
		}
		from += v.Weight
	}
	return api.RouteState{Route: r, Slots: slots}
}

// freed is a range that a variant gave back, and the version that served it.
type freed struct {
	version  int64
	from, to int
}

// move distributes the slots of before over the variants next, and moves the fewest. Both
// have the same sum of weights.
//
//   - A variant that shrinks gives back the slots that it got last. So one that grows and
//     shrinks again ends with the slots that it had.
//   - A variant that grows takes slots that were given back, first those of its own version.
//     So no more slots move between versions than their weights require, and a variant that
//     does not shrink loses none.
//   - The version, the role and the number of the slot decide which variant takes a slot. The
//     order of the variants in the document does not.
func move(before api.RouteState, next []api.Variant) api.Slots {
	slots := make(api.Slots, len(next))
	var pool []freed
	for i, heir := range heirs(before.Variants, next) {
		keeps := 0
		if heir >= 0 {
			keeps = next[heir].Weight
		}
		kept, released := cut(before.Slots[i], keeps)
		if heir >= 0 {
			slots[heir] = kept
		}
		for _, r := range released {
			pool = append(pool, freed{before.Variants[i].Version, r[0], r[1]})
		}
	}
	slices.SortFunc(pool, func(a, b freed) int { return a.from - b.from })

	taken := make(api.Slots, len(next))
	for _, own := range []bool{true, false} {
		for _, i := range order(next) {
			missing := next[i].Weight - size(slots[i]) - size(taken[i])
			taken[i] = append(taken[i], take(pool, missing, func(version int64) bool { return !own || version == next[i].Version })...)
		}
	}
	for i := range slots {
		slots[i] = join(slots[i], taken[i])
	}
	return slots
}

// heirs returns, for each variant of before, the index of the variant of next that keeps
// its slots, or -1. That is the one with the same version and role, or another one with the
// same version, as when a canary becomes stable.
func heirs(before, next []api.Variant) []int {
	heir := make([]int, len(before))
	claimed := make([]bool, len(next))
	byNext, byBefore := order(next), order(before)
	for i := range heir {
		heir[i] = -1
	}
	for _, exactly := range []bool{true, false} {
		for _, i := range byBefore {
			for _, j := range byNext {
				fits := before[i].Version == next[j].Version && (!exactly || before[i].Role == next[j].Role)
				if fits && heir[i] < 0 && !claimed[j] {
					heir[i], claimed[j] = j, true
				}
			}
		}
	}
	return heir
}

// order returns the indices of variants sorted by version and role.
func order(variants []api.Variant) []int {
	indices := make([]int, len(variants))
	for i := range indices {
		indices[i] = i
	}
	slices.SortStableFunc(indices, func(a, b int) int {
		return cmp.Or(cmp.Compare(variants[a].Version, variants[b].Version), cmp.Compare(variants[a].Role, variants[b].Role))
	})
	return indices
}

// cut returns the n slots that the variant got first, and the rest.
func cut(held [][2]int, n int) (kept, released [][2]int) {
	for _, r := range held {
		middle := r[0] + min(n, r[1]-r[0])
		n -= middle - r[0]
		if r[0] < middle {
			kept = append(kept, [2]int{r[0], middle})
		}
		if middle < r[1] {
			released = append(released, [2]int{middle, r[1]})
		}
	}
	return kept, released
}

// take removes up to n slots of fitting versions from the front of the pool. Emptied ranges
// stay in the pool.
func take(pool []freed, n int, fits func(version int64) bool) (taken [][2]int) {
	for i := range pool {
		p := &pool[i]
		if most := min(n, p.to-p.from); most > 0 && fits(p.version) {
			taken = append(taken, [2]int{p.from, p.from + most})
			p.from += most
			n -= most
		}
	}
	return taken
}

// join appends the slots in got, sorted, to those in held. It merges adjacent ranges and
// keeps the order in which the variant got the slots.
func join(held, got [][2]int) [][2]int {
	slices.SortFunc(got, func(a, b [2]int) int { return a[0] - b[0] })
	joined := make([][2]int, 0, len(held)+len(got))
	for _, ranges := range [][][2]int{held, got} {
		for _, r := range ranges {
			if last := len(joined) - 1; last >= 0 && joined[last][1] == r[0] {
				joined[last][1] = r[1]
			} else {
				joined = append(joined, r)
			}
		}
	}
	return joined
}

func size(ranges [][2]int) int {
	n := 0
	for _, r := range ranges {
		n += r[1] - r[0]
	}
	return n
}
