package router

import "reflect"

// Leftovers takes a call from the pool, as the next request would, and returns
// the names of what it still holds.
func Leftovers() []string {
	c := calls.Get().(*call)
	defer calls.Put(c)
	var names []string
	for field, value := range reflect.ValueOf(c).Elem().Fields() {
		if field.Name != "run" && !value.IsZero() {
			names = append(names, field.Name)
		}
	}
	return names
}
