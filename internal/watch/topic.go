package watch

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"sluice.io/sluice/api"
)

// keepGone is for how many looks a document that does not exist any more is remembered.
const keepGone = 256

// names are names of models or routes, or api.WatchAll.
type names map[string]struct{}

func newNames(list []string) names {
	n := make(names, len(list))
	for _, name := range list {
		n[name] = struct{}{}
	}
	return n
}

func (n names) add(more names) { maps.Copy(n, more) }

func (n names) all() bool {
	_, ok := n[api.WatchAll]
	return ok
}

func (n names) has(name string) bool {
	_, ok := n[name]
	return ok || n.all()
}

// item is what a source has under a key: one document, or a list of them.
type item struct {
	key  string
	name string // of its model or route
	doc  any
	// core is the part of doc that is compared. A document whose core is the same has not changed.
	core any
}

// items returns the items of a collection that are wanted, sorted by key.
func (s *Sources) items(collection string, wanted names) []item {
	var list []item
	switch collection {
	case api.WatchModels:
		list = grouped(s.Models(), wanted, func(m *api.ModelStatus) string { return m.Name })
	case api.WatchDrift:
		list = grouped(s.Drift(), wanted, func(d *api.DriftStatus) string { return d.Model })
	case api.WatchRoutes:
		list = single(s.Routes(), wanted, func(r *api.Route) (string, string) { return r.Name, r.Name })
	case api.WatchRollouts:
		list = single(s.Rollouts(), wanted, func(r *api.Rollout) (string, string) { return r.Spec.Route, r.Spec.Route })
	case api.WatchSignals:
		list = single(s.Signals(), wanted, func(x *api.Signal) (string, string) { return x.ID, x.Model })
	case api.WatchCounters:
		list = s.counters(wanted)
	}
	slices.SortFunc(list, func(a, b item) int { return cmp.Compare(a.key, b.key) })
	return list
}

func single[T any](docs []T, wanted names, keyAndName func(*T) (string, string)) (list []item) {
	for i := range docs {
		if key, name := keyAndName(&docs[i]); wanted.has(name) {
			list = append(list, item{key, name, docs[i], docs[i]})
		}
	}
	return list
}

// grouped makes one item of all documents of a name, which are neighbours.
func grouped[T any](docs []T, wanted names, nameOf func(*T) string) (list []item) {
	for begin := 0; begin < len(docs); {
		name, end := nameOf(&docs[begin]), begin+1
		for end < len(docs) && nameOf(&docs[end]) == name {
			end++
		}
		if wanted.has(name) {
			list = append(list, item{name, name, docs[begin:end:end], docs[begin:end:end]})
		}
		begin = end
	}
	return list
}

// counters returns the statistics of routes. A name that is not one has none.
func (s *Sources) counters(wanted names) (list []item) {
	add := func(name string) {
		if stats, err := s.Counters(name); err == nil {
			list = append(list, item{name, name, stats, withoutWindows(stats)})
		}
	}
	if !wanted.all() {
		for name := range wanted {
			add(name)
		}
		return list
	}
	for _, route := range s.Routes() {
		add(route.Name)
	}
	return list
}

// withoutWindows returns statistics without the time that the recent ones are over, which always changes.
func withoutWindows(s api.RouteStats) api.RouteStats {
	s.Variants, s.Shadows = slices.Clone(s.Variants), slices.Clone(s.Shadows)
	for i := range s.Variants {
		s.Variants[i].Recent.Window = 0
	}
	for i := range s.Shadows {
		s.Shadows[i].Recent.Window = 0
	}
	return s
}

// document is an item, encoded.
type document struct {
	item
	text    []byte // elements of a JSON array; nil if it does not exist any more
	changed int64  // the number of the look that has found it as it is
}

// topic is a collection as looks have found it, sorted by key. It never changes.
type topic struct {
	docs      []*document
	forgotten int64 // watchers that have not seen this look do not know what is gone
}

// update returns the topic after a look, and whether it has changed.
func (t *topic) update(items []item, number int64) (next *topic, changed bool) {
	next = &topic{docs: make([]*document, 0, len(items)), forgotten: t.forgotten}
	old := t.docs
	for _, x := range items {
		for len(old) > 0 && old[0].key < x.key {
			changed = next.gone(old[0], number) || changed
			old = old[1:]
		}
		var was *document
		if len(old) > 0 && old[0].key == x.key {
			was, old = old[0], old[1:]
		}
		if was != nil && was.text != nil && reflect.DeepEqual(was.core, x.core) {
			next.docs = append(next.docs, was)
			continue
		}
		if text, err := elements(x.doc); err == nil { // the documents of the API have a JSON form
			next.docs, changed = append(next.docs, &document{x, text, number}), true
		}
	}
	for _, was := range old {
		changed = next.gone(was, number) || changed
	}
	return next, changed
}

// gone adds a document that does not exist any more, unless that was long ago. It reports whether it is new that it
// does not.
func (t *topic) gone(was *document, number int64) (fresh bool) {
	switch {
	case was.text != nil:
		t.docs = append(t.docs, &document{item{key: was.key, name: was.name}, nil, number})
		return true
	case number-was.changed < keepGone:
		t.docs = append(t.docs, was)
	default:
		t.forgotten = max(t.forgotten, was.changed)
	}
	return false
}

// elements returns a document, or those of a list with commas between them.
func elements(doc any) ([]byte, error) {
	text, err := json.Marshal(doc)
	if err == nil && reflect.TypeOf(doc).Kind() == reflect.Slice {
		text = bytes.TrimSuffix(bytes.TrimPrefix(text, []byte("[")), []byte("]"))
	}
	return text, err
}
