package routes

import (
	"maps"
	"slices"
	"strings"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Set is the declared routes after some events.
type Set struct {
	routes map[string]*history
}

// history is what must be remembered of a route, also after its end.
type history struct {
	revision int64           // the last one used
	now      *api.RouteState // nil if it is deleted
	file     *api.Route      // as the configuration file last applied says; nil if it says nothing
}

// NewSet returns a Set without routes.
func NewSet() *Set { return &Set{routes: map[string]*history{}} }

// Get returns a declared route.
func (s *Set) Get(name string) (api.RouteState, bool) {
	h := s.routes[name]
	if h == nil || h.now == nil {
		return api.RouteState{}, false
	}
	return *h.now, true
}

// Names returns the declared routes, sorted.
func (s *Set) Names() []string {
	names := make([]string, 0, len(s.routes))
	for name, h := range s.routes {
		if h.now != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// All returns the declared routes, sorted by name.
func (s *Set) All() []api.RouteState {
	names := s.Names()
	all := make([]api.RouteState, len(names))
	for i, name := range names {
		all[i] = *s.routes[name].now
	}
	return all
}

// Revision returns the last revision that a route had, also where it is deleted; 0
// where there never was one.
func (s *Set) Revision(name string) int64 {
	if h := s.routes[name]; h != nil {
		return h.revision
	}
	return 0
}

// Put plans a change and applies nothing: it returns what the route will be once
// the event made of it is applied. An empty seed keeps the one that the route has;
// another one is refused, since it would move every key.
func (s *Set) Put(next api.Route) (api.RouteState, error) {
	next = clone(next)
	before, exists := s.Get(next.Name)
	if exists {
		if next.Seed == "" {
			next.Seed = before.Seed
		}
		if next.Seed != before.Seed {
			return api.RouteState{}, infer.Errorf(infer.Invalid,
				"seed: expected %q, which is constant for as long as the route exists, got %.300q; delete the route to begin anew", before.Seed, next.Seed)
		}
	}
	next.Complete()
	if problems := next.Check(); len(problems) > 0 {
		return api.RouteState{}, invalid(problems)
	}
	next.Revision = s.Revision(next.Name) + 1
	if !exists || before.Model != next.Model {
		return Fresh(next), nil
	}
	return api.RouteState{Route: next, Slots: move(before, next.Variants)}, nil
}

func invalid(problems []api.Problem) error {
	texts := make([]string, len(problems))
	for i, p := range problems {
		texts[i] = p.String()
	}
	return infer.Errorf(infer.Invalid, "%s", strings.Join(texts, "; "))
}

// FileChanges compares the routes of the configuration file with the file that was
// last applied: set are those whose own entry appeared or changed, deleted those
// whose entry vanished, both sorted by name. What the API changed since does not
// count, so a file that stays the same undoes no edit.
func (s *Set) FileChanges(file map[string]api.Route) (set []api.Route, deleted []string) {
	for _, name := range slices.Sorted(maps.Keys(file)) {
		if !s.applied(name, file[name]) {
			set = append(set, entry(name, file[name]))
		}
	}
	for name, h := range s.routes {
		if _, stays := file[name]; h.file != nil && !stays {
			deleted = append(deleted, name)
		}
	}
	slices.Sort(deleted)
	return set, deleted
}

// Differing returns the routes of the file that were applied as they stand there
// and are not so now, since the API changed or deleted them; sorted by name.
func (s *Set) Differing(file map[string]api.Route) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(file)) {
		if !s.applied(name, file[name]) {
			continue // not yet what the file says: FileChanges has it
		}
		if now := s.routes[name].now; now == nil || !same(entry(name, file[name]), now.Route) {
			names = append(names, name)
		}
	}
	return names
}

// applied reports whether the file's entry is the one that was applied last.
func (s *Set) applied(name string, r api.Route) bool {
	h := s.routes[name]
	return h != nil && h.file != nil && same(entry(name, r), *h.file)
}

// entry is a route of the file, whose key there is its name.
func entry(name string, r api.Route) api.Route {
	r.Name = name
	return r
}
