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

// history is what the Set keeps of a route, also after it was deleted.
type history struct {
	revision int64           // the last one used
	now      *api.RouteState // nil if it is deleted
	file     *api.Route      // its entry in the configuration file that was applied last; nil if there is none
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

// Names returns the names of the declared routes, sorted.
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

// Revision returns the last revision of a route, even if it is deleted, or 0 if it never
// existed.
func (s *Set) Revision(name string) int64 {
	if h := s.routes[name]; h != nil {
		return h.revision
	}
	return 0
}

// Put plans a change and applies nothing. It returns the state of the route after the
// event of the change is applied. An empty seed keeps the current one. It fails with
// Invalid if the route has problems or the seed is another one, which would move every key.
func (s *Set) Put(next api.Route) (api.RouteState, error) {
	next = clone(next)
	before, exists := s.Get(next.Name)
	if exists {
		if next.Seed == "" {
			next.Seed = before.Seed
		}
		if next.Seed != before.Seed {
			return api.RouteState{}, infer.Errorf(infer.Invalid,
				"seed: expected %q, which cannot change while the route exists, got %.300q; to use another seed, delete the route first", before.Seed, next.Seed)
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

// FileChanges compares the routes of the configuration file with the file that was applied
// last. set has the routes whose entry is new or changed, deleted those whose entry is gone,
// both sorted by name. It ignores changes through the API, so a file that stays the same
// does not revert edits.
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

// Differing returns the routes of the file that were applied, and that the API has changed
// or deleted since. They are sorted by name.
func (s *Set) Differing(file map[string]api.Route) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(file)) {
		if !s.applied(name, file[name]) {
			continue // the entry was not applied yet: FileChanges has it
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

// entry returns a route of the file with its name, which is its key there.
func entry(name string, r api.Route) api.Route {
	r.Name = name
	return r
}
