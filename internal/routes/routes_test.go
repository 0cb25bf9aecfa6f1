package routes_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/routes"
)

// TestSlotsOfAWalk checks the slots of one route after each change.
func TestSlotsOfAWalk(t *testing.T) {
	l := newLog(t)
	f := func(moved int, want api.Slots, variants ...api.Variant) {
		t.Helper()
		after, n := l.put(api.OriginAPI, route(variants...))
		if diff := cmp.Diff(want, after.Slots); diff != "" || n != moved {
			t.Errorf("%d moved, want %d; slots (+ is got):\n%s", n, moved, diff)
		}
	}
	f(10000, api.Slots{{{0, 9500}}, {{9500, 10000}}}, stable(1, 9500), canary(2, 500))
	f(1500, api.Slots{{{0, 8000}}, {{9500, 10000}, {8000, 9500}}}, stable(1, 8000), canary(2, 2000))
	f(1000, api.Slots{{{0, 8000}, {8500, 9500}}, {{9500, 10000}, {8000, 8500}}}, stable(1, 9000), canary(2, 1000))
	f(500, api.Slots{{{0, 8000}, {8500, 9500}, {8000, 8500}}, {{9500, 10000}}}, stable(1, 9500), canary(2, 500))
	// The order of the variants in a document does not matter.
	f(0, api.Slots{{{9500, 10000}}, {{0, 8000}, {8500, 9500}, {8000, 8500}}}, canary(2, 500), stable(1, 9500))
	// A control variant takes slots of its own version.
	f(0, api.Slots{{{0, 8000}, {8500, 9500}}, {{9500, 10000}}, {{8000, 8500}}}, stable(1, 9000), canary(2, 500), control(1, 500))
	// A weight of 0 has no slots. Variants of the same version take freed slots first.
	f(500, api.Slots{{{0, 8000}, {8500, 9500}}, {}, {{8000, 8500}, {9500, 10000}}}, stable(1, 9000), canary(2, 0), control(1, 1000))
	f(0, api.Slots{{{0, 8000}, {8500, 9500}, {8000, 8500}, {9500, 10000}}, {}}, stable(1, 10000), canary(2, 0))
	f(10000, api.Slots{{{0, 10000}}}, stable(2, 10000))
}

// TestWhoTakesWhat: several variants give slots back and several take them.
func TestWhoTakesWhat(t *testing.T) {
	f := func(moved int, want api.Slots, before, next []api.Variant) {
		t.Helper()
		l := newLog(t)
		l.put(api.OriginAPI, route(before...))
		after, n := l.put(api.OriginAPI, route(next...))
		if diff := cmp.Diff(want, after.Slots); diff != "" || n != moved {
			t.Errorf("%d moved, want %d; slots (+ is got):\n%s", n, moved, diff)
		}
	}
	// The lowest version takes the lowest slots first.
	f(2000, api.Slots{{{0, 4000}}, {{5000, 7000}}, {{8000, 9000}, {7500, 8000}}, {{9000, 10000}, {4000, 5000}, {7000, 7500}}},
		[]api.Variant{stable(1, 5000), stable(2, 3000), stable(4, 1000), canary(3, 1000)},
		[]api.Variant{stable(1, 4000), stable(2, 2000), stable(4, 1500), canary(3, 2500)})
	// A variant takes slots of its own version first. Slots that it gets together are sorted.
	f(1000, api.Slots{{{0, 2000}}, {{3000, 7500}}, {{8000, 10000}, {2000, 3000}, {7500, 8000}}},
		[]api.Variant{stable(2, 3000), stable(1, 5000), control(1, 2000)},
		[]api.Variant{stable(2, 2000), stable(1, 4500), control(1, 3500)})
}

func TestPromotionMovesNobodyOfTheCanary(t *testing.T) {
	f := func(moved int, next ...api.Variant) {
		t.Helper()
		l := newLog(t)
		before, _ := l.put(api.OriginAPI, route(stable(1, 9500), canary(2, 500)))
		after, n := l.put(api.OriginAPI, route(next...))
		kept := held(t, after, 2)
		for _, slot := range slots(before.Slots[1]) {
			if !slices.Contains(kept, slot) {
				t.Fatalf("slot %d left version 2", slot)
			}
		}
		if n != moved {
			t.Errorf("%d moved, want %d", n, moved)
		}
	}
	f(9500, stable(2, 10000))
	f(9000, stable(2, 9500), control(1, 500))
	f(0, stable(2, 500), canary(1, 9500))
	f(0, stable(1, 9500), control(2, 500))
	f(0, stable(1, 9500), control(2, 300), stable(2, 200))
}

// held returns the slots of a version, ascending.
func held(t *testing.T, s api.RouteState, version int64) []int {
	t.Helper()
	var all []int
	for i, v := range s.Variants {
		if v.Version == version {
			all = append(all, slots(s.Slots[i])...)
		}
	}
	slices.Sort(all)
	return all
}

func slots(ranges [][2]int) []int {
	var all []int
	for _, r := range ranges {
		for slot := r[0]; slot < r[1]; slot++ {
			all = append(all, slot)
		}
	}
	slices.Sort(all)
	return all
}

func TestRevisionsGoOn(t *testing.T) {
	l := newLog(t)
	f := func(origin string, r api.Route, revision int64, fresh bool) {
		t.Helper()
		after, _ := l.put(origin, r)
		if diff := cmp.Diff(routes.Fresh(after.Route).Slots, after.Slots); after.Revision != revision || (diff == "") != fresh {
			t.Errorf("revision %d, want %d; slots %v, want them fresh: %v", after.Revision, revision, after.Slots, fresh)
		}
		if l.Revision(r.Name) != revision {
			t.Errorf("Revision says %d", l.Revision(r.Name))
		}
	}
	small, large := route(stable(1, 9500), canary(2, 500)), route(stable(1, 8000), canary(2, 2000))
	if n := l.Revision("iris"); n != 0 {
		t.Errorf("a route that never was has revision %d", n)
	}
	f(api.OriginAPI, small, 1, true)
	f(api.OriginAPI, large, 2, false)
	l.remove(api.OriginAPI, "iris")
	if _, ok := l.Get("iris"); ok || len(l.Names()) > 0 || len(l.All()) > 0 || l.Revision("iris") != 2 {
		t.Errorf("deleted, but it is there: %v, revision %d", l.Names(), l.Revision("iris"))
	}
	large.Seed = "another" // a new route may have another seed
	f(api.OriginFile, large, 3, true)
	small.Seed = large.Seed
	f(api.OriginAPI, small, 4, false)
	other := small
	other.Model = "other" // slots of another model's versions are not kept
	f(api.OriginAPI, other, 5, true)
	if _, n := l.put(api.OriginAPI, large); n != api.TotalWeight {
		t.Errorf("%d slots moved to another model", n)
	}
	other.Name = "b"
	f(api.OriginAPI, other, 1, true)
	if diff := cmp.Diff([]string{"b", "iris"}, l.Names()); diff != "" || l.All()[0].Name != "b" || l.All()[1].Revision != 6 {
		t.Errorf("%s, %+v", diff, l.All())
	}
}

func TestSeedStays(t *testing.T) {
	l := newLog(t)
	r := route(stable(1, 10000))
	r.Seed = "spring"
	l.put(api.OriginAPI, r)
	r.Seed = ""
	if after, _ := l.put(api.OriginAPI, r); after.Seed != "spring" {
		t.Errorf("an empty seed made it %q", after.Seed)
	}
	r.Seed = "autumn"
	_, err := l.Put(r)
	if infer.CodeOf(err) != infer.Invalid || !strings.HasPrefix(infer.Message(err), `seed: expected "spring"`) {
		t.Errorf("another seed: %v", err)
	}
	r.Name, r.Seed = "diabetes", ""
	if after, _ := l.put(api.OriginAPI, r); after.Seed != "diabetes" {
		t.Errorf("a new route has the seed %q", after.Seed)
	}
}

func TestPutRefusesWhatWasNotChecked(t *testing.T) {
	l := newLog(t)
	l.put(api.OriginAPI, route(stable(1, 10000)))
	f := func(want string, variants ...api.Variant) {
		t.Helper()
		if _, err := l.Put(route(variants...)); infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f("variants: expected 1 to 16")
	f("add up to 9999", stable(1, 9999))
	f("variants[1].weight", stable(1, 10001), canary(2, -1))
	f("variants[1].version: version 1 with", stable(1, 5000), stable(1, 5000))
	f("; variants: no variant has the role stable", canary(0, 10000))
}

// TestPutLeavesItsArgumentAlone: Put modifies neither its document nor the current state.
func TestPutLeavesItsArgumentAlone(t *testing.T) {
	l := newLog(t)
	l.put(api.OriginAPI, route(stable(1, 5000), canary(2, 5000)))
	l.put(api.OriginAPI, route(stable(1, 7000), canary(2, 3000)))
	now, _ := l.Get("iris")
	const shrunk = "[[[0 5000] [8000 10000]] [[5000 8000]]]"
	next := route(api.Variant{Version: 1, Weight: 6000}, canary(2, 4000))
	for range 2 {
		if _, err := l.Put(next); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(now.Slots); next.Variants[0].Role != "" || next.Model != "" || got != shrunk {
			t.Errorf("document %+v, slots %s", next, got)
		}
	}
}

func TestMoved(t *testing.T) {
	f := func(before, after api.RouteState, want int) {
		t.Helper()
		if got := routes.Moved(before, after); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
		if got := routes.Moved(after, before); got != want {
			t.Errorf("the other way: got %d, want %d", got, want)
		}
	}
	fresh := func(variants ...api.Variant) api.RouteState {
		r := route(variants...)
		r.Complete()
		return routes.Fresh(r)
	}
	f(routes.Implied("iris", 1), fresh(stable(1, 9500), canary(2, 500)), 500)
	f(routes.Implied("iris", 3), fresh(stable(1, 9500), canary(2, 500)), 10000)
	f(routes.Implied("other", 1), fresh(stable(1, 10000)), 10000)
	f(api.RouteState{}, fresh(stable(1, 10000)), 10000)
	f(fresh(stable(1, 9500), canary(1, 500)), fresh(stable(1, 10000)), 0)
	f(fresh(stable(1, 9500), canary(2, 500)), fresh(canary(2, 500), stable(1, 9500)), 1000)
}
