package routes

import (
	"cmp"
	"slices"

	"sluice.io/sluice/api"
)

// Fresh returns a completed route with the slots of a first revision: one range
// for each variant, in their order.
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

// freed is a range that its variant gave back, and who served it.
type freed struct {
	version  int64
	from, to int
}

// move gives the slots of before to the variants next, whose weights add up to the
// same, and moves the fewest:
//
//   - A variant that shrinks gives back the slots that it got last, so one that
//     grows and shrinks again ends with those it had.
//   - A variant that grows takes what was given back, first what its own version
//     served. So nothing moves between versions beyond what their sums ask for,
//     and nothing leaves a variant that did not shrink.
//   - Who takes what is settled by version, role and number of the slot, never by
//     the order in which the document happens to list the variants.
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

// heirs returns for each variant of before which of next keeps its slots, or -1:
// the one of the same version and role, else another of the same version, as when
// a canary is promoted to be the stable one.
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

// order returns the indices of variants by version and role.
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

// cut returns the n slots that were got first, and the rest.
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

// take removes n slots from the pool, from its front and only of versions that
// fit; fewer where there are not as many. Emptied ranges stay in the pool.
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

// join appends what was got now, in the order of the slots, to what is held, and
// makes one range of two that follow each other. What came first stays first.
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
