package routes_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/routes"
)

// walker changes variants at random: it adds, removes and reorders them, and changes weights
// and roles.
type walker struct{ *rand.Rand }

// identity identifies a variant across revisions.
type identity struct {
	version int64
	role    string
}

func of(v api.Variant) identity { return identity{v.Version, v.Role} }

var roles = [3]string{api.RoleStable, api.RoleCanary, api.RoleControl}

// first returns up to 16 variants of up to 8 versions, often several of one.
func (w walker) first() []api.Variant { return w.weighted(w.add(nil, 1+w.IntN(api.MaxVariants))) }

// add adds variants until there are n.
func (w walker) add(variants []api.Variant, n int) []api.Variant {
	for len(variants) < n {
		v := api.Variant{Version: 1 + w.Int64N(8), Role: roles[w.IntN(3)]}
		if !slices.ContainsFunc(variants, func(o api.Variant) bool { return of(o) == of(v) }) {
			variants = append(variants, v)
		}
	}
	return variants
}

func (w walker) next(now []api.Variant) []api.Variant {
	next := slices.Clone(now)
	if w.IntN(3) == 0 { // remove some
		next = slices.DeleteFunc(next, func(api.Variant) bool { return w.IntN(4) == 0 })
	}
	if w.IntN(3) == 0 && len(next) > 0 { // promote one, or give it any other role
		v := next[0]
		v.Role = roles[w.IntN(3)]
		if !slices.ContainsFunc(next, func(o api.Variant) bool { return of(o) == of(v) }) {
			next[0] = v
		}
	}
	if w.IntN(3) == 0 || len(next) == 0 { // add some
		next = w.add(next, min(api.MaxVariants, len(next)+1+w.IntN(3)))
	}
	w.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
	return w.weighted(next)
}

// weighted cuts all of the traffic at random places, mostly at round numbers. Two cuts at
// the same place make a weight of 0.
func (w walker) weighted(variants []api.Variant) []api.Variant {
	step := []int{1, 100, 500, 2500}[w.IntN(4)]
	cuts := []int{0, api.TotalWeight}
	for range len(variants) - 1 {
		cuts = append(cuts, w.IntN(api.TotalWeight/step+1)*step)
	}
	slices.Sort(cuts)
	for i := range variants {
		variants[i].Weight = cuts[i+1] - cuts[i]
	}
	return variants
}

// span is a range of slots of a variant. time counts the ranges in the order in which the
// variant got them.
type span struct{ from, to, variant, time int }

// spans returns the ranges of all variants, sorted by slot.
func spans(s api.RouteState) []span {
	var all []span
	for i, held := range s.Slots {
		for time, r := range held {
			all = append(all, span{r[0], r[1], i, time})
		}
	}
	slices.SortFunc(all, func(a, b span) int { return a.from - b.from })
	return all
}

// flow counts the slots that each variant of before shares with each variant of after.
func flow(before, after api.RouteState) (n [api.MaxVariants][api.MaxVariants]int) {
	was, is := spans(before), spans(after)
	for len(was) > 0 && len(is) > 0 {
		n[was[0].variant][is[0].variant] += max(0, min(was[0].to, is[0].to)-max(was[0].from, is[0].from))
		if was[0].to <= is[0].to {
			was = was[1:]
		} else {
			is = is[1:]
		}
	}
	return n
}

// leastMoves returns the number of slots that the shrinking versions must lose.
func leastMoves(before, after api.RouteState) int {
	change := map[int64]int{}
	for _, v := range before.Variants {
		change[v.Version] += v.Weight
	}
	for _, v := range after.Variants {
		change[v.Version] -= v.Weight
	}
	least := 0
	for _, lost := range change {
		least += max(0, lost)
	}
	return least
}

// checkStep checks that the fewest slots moved, which follows from the weights alone: a
// version, and a variant in both revisions, keeps the smaller of its two numbers of slots.
func checkStep(t *testing.T, before, after api.RouteState) {
	t.Helper()
	if err := routes.CheckSlots(after); err != nil {
		t.Fatal(err)
	}
	n := flow(before, after)
	moved := 0
	for i, from := range before.Variants {
		for j, to := range after.Variants {
			if from.Version != to.Version {
				moved += n[i][j]
			}
		}
	}
	if least := leastMoves(before, after); moved != least {
		t.Fatalf("%d slots moved to another version, the least is %d\n%+v\n%+v", moved, least, before, after)
	}
	vanished, appeared := map[int64][]int{}, map[int64][]int{}
	has := func(in []api.Variant, v api.Variant) int {
		return slices.IndexFunc(in, func(o api.Variant) bool { return of(o) == of(v) })
	}
	for i, v := range before.Variants {
		j := has(after.Variants, v)
		if j < 0 {
			vanished[v.Version] = append(vanished[v.Version], i)
		} else if n[i][j] != min(v.Weight, after.Variants[j].Weight) {
			t.Fatalf("variant %v keeps %d slots\n%+v\n%+v", of(v), n[i][j], before, after)
		}
	}
	for j, v := range after.Variants {
		if has(before.Variants, v) < 0 {
			appeared[v.Version] = append(appeared[v.Version], j)
		}
	}
	for version, gone := range vanished {
		if come := appeared[version]; len(gone) == 1 && len(come) == 1 {
			if most := min(before.Variants[gone[0]].Weight, after.Variants[come[0]].Weight); n[gone[0]][come[0]] < most {
				t.Fatalf("version %d: the new role keeps %d slots of %d\n%+v\n%+v", version, n[gone[0]][come[0]], most, before, after)
			}
		}
	}
}

func (w walker) step(before api.RouteState) api.RouteState {
	next := w.next(before.Variants)
	after := before
	after.Variants, after.Slots = next, routes.Move(before, next)
	return after
}

func TestRandomWalksMoveTheLeast(t *testing.T) {
	w := walker{rand.New(rand.NewPCG(1, 2))}
	for range 10_000 {
		now := routes.Fresh(api.Route{Name: "iris", Variants: w.first()})
		for range 5 {
			after := w.step(now)
			checkStep(t, now, after)
			now = after
		}
	}
	for range 200 { // through the exported functions
		l := newLog(t)
		r := route(w.first()...)
		for range 5 {
			if _, n := r.Stable(); n > 0 {
				before, declared := l.Get(r.Name)
				if after, moved := l.put(api.OriginAPI, r); declared {
					checkStep(t, before, after)
					if n := leastMoves(before, after); moved != n {
						t.Fatalf("Moved says %d, want %d", moved, n)
					}
				}
			}
			r.Variants = w.next(r.Variants)
		}
	}
}

// TestLongWalk: the size of a state does not grow without limit, even if all of 16 variants
// get odd weights in every step.
func TestLongWalk(t *testing.T) {
	w := walker{rand.New(rand.NewPCG(3, 4))}
	now := routes.Fresh(api.Route{Name: "iris", Variants: w.weighted(w.add(nil, api.MaxVariants))})
	most := 0
	for range 1_500 {
		next := slices.Clone(now.Variants)
		cuts := []int{0, api.TotalWeight}
		for range len(next) - 1 {
			cuts = append(cuts, w.IntN(api.TotalWeight+1))
		}
		slices.Sort(cuts)
		for i := range next {
			next[i].Weight = cuts[i+1] - cuts[i]
		}
		after := now
		after.Variants, after.Slots = next, routes.Move(now, next)
		checkStep(t, now, after)
		now = after
		most = max(most, len(spans(now)))
	}
	t.Logf("at most %d ranges", most)
	if most > 500 {
		t.Errorf("a state had %d ranges", most)
	}
}

// TestNewestGoFirst records when the variant of each slot got it.
func TestNewestGoFirst(t *testing.T) {
	w := walker{rand.New(rand.NewPCG(5, 6))}
	holders := func(s api.RouteState) (by [api.TotalWeight]identity) {
		for _, sp := range spans(s) {
			for slot := sp.from; slot < sp.to; slot++ {
				by[slot] = of(s.Variants[sp.variant])
			}
		}
		return by
	}
	for range 15 {
		now := routes.Fresh(api.Route{Name: "iris", Variants: w.first()})
		var since [api.TotalWeight]int
		for revision := 1; revision <= 20; revision++ {
			after := w.step(now)
			was, is := holders(now), holders(after)
			oldestLost, newestKept := map[identity]int{}, map[identity]int{}
			for slot, id := range was {
				if is[slot] == id {
					newestKept[id] = max(newestKept[id], since[slot])
				} else if oldest, ok := oldestLost[id]; !ok || since[slot] < oldest {
					oldestLost[id] = since[slot]
				}
			}
			for _, v := range after.Variants {
				if lost, ok := oldestLost[of(v)]; ok && lost < newestKept[of(v)] {
					t.Fatalf("revision %d: %v kept slots of revision %d and lost some of %d", revision, of(v), newestKept[of(v)], lost)
				}
			}
			for slot := range since {
				if was[slot] != is[slot] {
					since[slot] = revision
				}
			}
			now = after
		}
	}
}

// TestOrderOfTheDocument: two gateways may get the same variants in another order.
func TestOrderOfTheDocument(t *testing.T) {
	w := walker{rand.New(rand.NewPCG(7, 8))}
	byIdentity := func(s api.RouteState) map[identity][][2]int {
		m := map[identity][][2]int{}
		for i, v := range s.Variants {
			m[of(v)] = s.Slots[i]
		}
		return m
	}
	for range 150 {
		a := routes.Fresh(api.Route{Name: "iris", Variants: w.first()})
		b := a
		for range 10 {
			next := w.next(a.Variants)
			a.Slots, a.Variants = routes.Move(a, next), next
			shuffled := slices.Clone(next)
			w.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			b.Slots, b.Variants = routes.Move(b, shuffled), shuffled
			if diff := cmp.Diff(byIdentity(a), byIdentity(b)); diff != "" {
				t.Fatal(diff)
			}
		}
	}
}

// TestRampUpAndDown: slots of the canary stay in it while it grows. If it shrinks to an
// earlier size, it has the slots of that time.
func TestRampUpAndDown(t *testing.T) {
	f := func(others []api.Variant, ramp ...int) {
		t.Helper()
		l := newLog(t)
		at := map[int][]int{}
		var smaller []int
		rest := api.TotalWeight
		for _, v := range others {
			rest -= v.Weight
		}
		for i, weight := range ramp {
			variants := append([]api.Variant{stable(1, rest-weight), canary(2, weight)}, others...)
			state, moved := l.put(api.OriginAPI, route(variants...))
			now := slots(state.Slots[1])
			if before, ok := at[weight]; ok && !slices.Equal(before, now) {
				t.Errorf("ramp %v, step %d: other slots than the last time", ramp, i)
			}
			for size := range at {
				if size > weight { // the slots that it grows by later may be others
					delete(at, size)
				}
			}
			at[weight] = now
			few, many := smaller, now
			if len(few) > len(many) {
				few, many = many, few
			}
			for _, slot := range few {
				if _, in := slices.BinarySearch(many, slot); !in {
					t.Fatalf("ramp %v, step %d: slot %d left", ramp, i, slot)
				}
			}
			if i > 0 && moved != len(many)-len(few) {
				t.Errorf("ramp %v, step %d: %d moved", ramp, i, moved)
			}
			smaller = now
		}
	}
	f(nil, 500, 2000, 5000, 10000, 5000, 2000, 500)
	f(nil, 0, 1, 0, 9999, 1, 0)
	f(nil, 500, 2000, 1000, 2000, 300, 500, 5000, 2000, 300)
	f([]api.Variant{stable(3, 2500), control(1, 500)}, 500, 2000, 5000, 2000, 7000, 5000, 500, 0)
}
