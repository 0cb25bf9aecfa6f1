package routes_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/routes"
)

// log is a Set with its events.
type log struct {
	*testing.T
	*routes.Set
	events []api.Event
}

func newLog(t *testing.T) *log {
	t.Helper()
	return &log{T: t, Set: routes.NewSet()}
}

func (l *log) append(e api.Event) {
	l.Helper()
	e.Seq = int64(len(l.events) + 1)
	if err := l.Apply(e); err != nil {
		l.Fatal(err)
	}
	l.events = append(l.events, e)
}

// put changes a route, and returns the state after it and the number of slots that moved.
func (l *log) put(origin string, next api.Route) (api.RouteState, int) {
	l.Helper()
	after, err := l.Put(next)
	if err != nil {
		l.Fatal(err)
	}
	var before *api.RouteState
	moved := api.TotalWeight
	if now, ok := l.Get(next.Name); ok {
		before, moved = &now, routes.Moved(now, after)
	}
	e, err := routes.SetEvent(origin, before, after)
	if err != nil {
		l.Fatal(err)
	}
	l.append(e)
	if now, ok := l.Get(next.Name); !ok {
		l.Fatal("the route is not there")
	} else if diff := cmp.Diff(after, now); diff != "" {
		l.Fatalf("what was applied is not what was planned (+ is applied):\n%s", diff)
	}
	return after, moved
}

func (l *log) remove(origin, name string) {
	l.Helper()
	before, ok := l.Get(name)
	if !ok {
		before = api.RouteState{Route: api.Route{Name: name}}
	}
	e, err := routes.DeleteEvent(origin, before)
	if err != nil {
		l.Fatal(err)
	}
	l.append(e)
}

// reload does the steps of a reload of the configuration file.
func (l *log) reload(file map[string]api.Route) {
	l.Helper()
	set, deleted := l.FileChanges(file)
	for _, r := range set {
		l.put(api.OriginFile, r)
	}
	for _, name := range deleted {
		l.remove(api.OriginFile, name)
	}
	if set, deleted = l.FileChanges(file); len(set)+len(deleted) > 0 {
		l.Errorf("after a reload the file still differs: %v, %v", set, deleted)
	}
}

func route(variants ...api.Variant) api.Route {
	return api.Route{Name: "iris", Variants: variants}
}

func stable(version int64, weight int) api.Variant {
	return api.Variant{Version: version, Weight: weight, Role: api.RoleStable}
}

func canary(version int64, weight int) api.Variant {
	return api.Variant{Version: version, Weight: weight, Role: api.RoleCanary}
}

func control(version int64, weight int) api.Variant {
	return api.Variant{Version: version, Weight: weight, Role: api.RoleControl}
}

// fold returns the Set of the events. It fails if Apply and Fold give different ones.
func fold(t *testing.T, events []api.Event) *routes.Set {
	t.Helper()
	one := routes.NewSet()
	for _, e := range events {
		if err := one.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	same := func(how string, all *routes.Set) {
		t.Helper()
		if diff := cmp.Diff(one, all, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
			t.Fatalf("Apply and %s differ (+ is %s):\n%s", how, how, diff)
		}
	}
	all, err := folded(routes.NewFold(), events)
	if err != nil {
		t.Fatal(err)
	}
	same("Fold", all)
	for _, at := range []int{0, len(events) / 3, len(events)} {
		resumed, err := folded(restored(t, events[:at]), events[at:])
		if err != nil {
			t.Fatal(err)
		}
		same(fmt.Sprintf("a snapshot at %d", at), resumed)
	}
	return all
}

// folded returns the Set that a Fold makes from events.
func folded(f *routes.Fold, events []api.Event) (*routes.Set, error) {
	for _, e := range events {
		if err := f.Apply(e); err != nil {
			return nil, err
		}
	}
	return f.Set()
}

// restored returns a Fold that was restored from the snapshot of another.
func restored(t *testing.T, events []api.Event) *routes.Fold {
	t.Helper()
	first, next := routes.NewFold(), routes.NewFold()
	if _, err := folded(first, events); err != nil {
		t.Fatal(err)
	}
	state, err := first.Snapshot()
	if err == nil {
		err = next.Restore(state)
	}
	if err != nil {
		t.Fatal(err)
	}
	return next
}
