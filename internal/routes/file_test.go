package routes_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
)

func TestFileAndAPIMeet(t *testing.T) {
	l := newLog(t)
	a, b := route(stable(1, 10000)), route(stable(2, 10000))
	a.Name, b.Name = "a", "b"
	edited, changed := route(stable(1, 9000), canary(2, 1000)), route(stable(1, 8000), canary(2, 2000))
	edited.Name, changed.Name = "a", "a"
	f := func(file map[string]api.Route, set, deleted, differing []string) {
		t.Helper()
		var got []string
		changes, gone := l.FileChanges(file)
		for _, r := range changes {
			got = append(got, r.Name)
		}
		if diff := cmp.Diff(set, got) + cmp.Diff(deleted, gone) + cmp.Diff(differing, l.Differing(file)); diff != "" {
			t.Errorf("set, deleted and differing (+ is got):\n%s", diff)
		}
		// After a restart the set has only what the journal has.
		again := fold(t, l.events)
		changes2, gone2 := again.FileChanges(file)
		if diff := cmp.Diff(changes, changes2) + cmp.Diff(gone, gone2) + cmp.Diff(l.Differing(file), again.Differing(file)); diff != "" {
			t.Errorf("after a restart (+):\n%s", diff)
		}
	}
	both := map[string]api.Route{"b": b, "a": a}
	f(both, []string{"a", "b"}, nil, nil)
	l.reload(both)
	f(both, nil, nil, nil)

	l.put(api.OriginAPI, edited) // an unchanged file does not revert an edit
	f(both, nil, nil, []string{"a"})
	l.put(api.OriginAPI, a) // a reverted edit is not a difference
	f(both, nil, nil, nil)

	l.remove(api.OriginAPI, "b") // a deleted route stays deleted
	f(both, nil, nil, []string{"b"})
	l.put(api.OriginAPI, edited)
	f(map[string]api.Route{"a": changed, "b": b}, []string{"a"}, nil, []string{"b"})
	l.reload(map[string]api.Route{"a": changed, "b": b})
	f(map[string]api.Route{"a": changed, "b": b}, nil, nil, []string{"b"})
	if now, _ := l.Get("a"); now.Variants[1].Weight != 2000 {
		t.Errorf("the changed entry was not applied: %+v", now)
	}

	f(map[string]api.Route{"a": changed}, nil, []string{"b"}, nil) // the entry of a deleted route is removed
	l.reload(map[string]api.Route{"a": changed})
	f(both, []string{"a", "b"}, nil, nil) // so it is new when it comes back
	f(nil, nil, []string{"a"}, nil)
	l.put(api.OriginAPI, edited)
	c := b
	c.Name = "c"
	l.put(api.OriginAPI, c) // the file does not change a route that it never named
	f(nil, nil, []string{"a"}, nil)
	l.reload(nil)
	f(nil, nil, nil, nil)
	if diff := cmp.Diff([]string{"c"}, l.Names()); diff != "" {
		t.Error(diff)
	}
	f(map[string]api.Route{"c": c}, []string{"c"}, nil, nil) // a new entry counts even if it equals the route
	before := l.Revision("c")
	l.reload(map[string]api.Route{"c": c})
	if l.Revision("c") != before+1 {
		t.Errorf("revision %d after %d", l.Revision("c"), before)
	}
	f(map[string]api.Route{"c": c}, nil, nil, nil)
}

// TestFileEntriesByMeaning: an entry that leaves out a default or the seed is not a change.
func TestFileEntriesByMeaning(t *testing.T) {
	l := newLog(t)
	brief := api.Route{Variants: []api.Variant{{Version: 1, Weight: 10000}}}
	l.reload(map[string]api.Route{"iris": brief})
	full := route(stable(1, 10000))
	full.Model, full.Seed, full.Shadows, full.Revision = "iris", "iris", []api.Shadow{}, 9
	f := func(change func(r *api.Route), want int) {
		t.Helper()
		r := full
		change(&r)
		if set, _ := l.FileChanges(map[string]api.Route{"iris": r}); len(set) != want {
			t.Errorf("%d changes, want %d", len(set), want)
		}
	}
	f(func(*api.Route) {}, 0)
	f(func(r *api.Route) { r.Seed = "" }, 0)
	f(func(r *api.Route) { r.Shadows = nil }, 0)
	f(func(r *api.Route) { r.Seed = "spring" }, 1)
	f(func(r *api.Route) { r.Model = "other" }, 1)
	f(func(r *api.Route) { r.Sticky.Header = "X-User" }, 1)
	f(func(r *api.Route) { r.Fallback.Stable = true }, 1)
	f(func(r *api.Route) { r.Variants = []api.Variant{stable(2, 10000)} }, 1)
	f(func(r *api.Route) { r.Shadows = []api.Shadow{{Version: 2, Sample: 100}} }, 1)

	seeded := newLog(t)
	full.Seed = "spring"
	seeded.put(api.OriginAPI, full)
	seeded.reload(map[string]api.Route{"iris": brief})
	if now, _ := seeded.Get("iris"); now.Seed != "spring" || len(seeded.Differing(map[string]api.Route{"iris": brief})) > 0 {
		t.Errorf("the seed is %q", now.Seed)
	}
}
