// Package access makes books of callers for tests of listeners.
package access

import (
	"slices"
	"sync/atomic"

	"sluice.io/sluice/internal/callers"
)

// Of returns a book, as listeners take it.
func Of(o callers.Options) *atomic.Pointer[callers.Book] {
	book, err := callers.New(o, nil)
	if err != nil {
		panic(err)
	}
	at := &atomic.Pointer[callers.Book]{}
	at.Store(book)
	return at
}

// Open returns the book of a gateway without access control.
func Open() *atomic.Pointer[callers.Book] { return Of(callers.Options{}) }

// Keys returns a book with callers that may do everything, by name with the key of each.
func Keys(named map[string]string) *atomic.Pointer[callers.Book] {
	var o callers.Options
	for name, key := range named {
		o.Callers = append(o.Callers, Can(name, key, callers.All, "*"))
	}
	return Of(o)
}

// Can returns a caller with a key that may do something with models. Without a key it must be
// callers.Anonymous.
func Can(name, key string, actions callers.Action, models ...string) callers.Member {
	m := callers.Member{Name: name, Grant: callers.Grant{Allow: []callers.Rule{{Models: slices.Clone(models), Actions: actions}}}}
	if key != "" {
		m.Keys = []callers.Key{callers.KeyOf([]byte(key))}
	}
	return m
}
