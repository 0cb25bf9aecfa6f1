package config

import (
	"reflect"

	"go.yaml.in/yaml/v3"
)

// mapping decodes into a new map with the entries of v, so that a map shared with the defaults is
// never changed.
func (d *decoder) mapping(n *yaml.Node, path string, v reflect.Value) {
	t := v.Type()
	merged := reflect.MakeMap(t)
	for entries := v.MapRange(); entries.Next(); {
		merged.SetMapIndex(entries.Key(), entries.Value())
	}
	d.pairs(n, path, func(key string, keyNode, value *yaml.Node) {
		d.note(keyNode, child(path, key), t.Elem().Kind())
		entry := d.start(t.Elem())
		if old := merged.MapIndex(reflect.ValueOf(key)); old.IsValid() {
			entry.Set(old)
		}
		d.value(value, child(path, key), bounds{}, entry)
		merged.SetMapIndex(reflect.ValueOf(key), entry)
	})
	v.Set(merged)
}

// start returns the initial value of an entry of a mapping or an item of a list: for a model the
// common defaults, for another section its own.
func (d *decoder) start(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch {
	case typeIs[Model](t):
		v.Set(reflect.ValueOf(d.cfg.Defaults))
	case isSection(t):
		if _, known := d.fresh[t]; !known {
			first := reflect.New(t).Elem()
			newDecoder(nil, nil).defaults("", first) // its own defaults, which have no place
			d.fresh[t] = first
		}
		v.Set(d.fresh[t])
	}
	return v
}

// list decodes into a new slice: a list replaces the earlier one.
func (d *decoder) list(n *yaml.Node, path string, b bounds, v reflect.Value) {
	if isEmpty(n) {
		return
	}
	if n.Kind != yaml.SequenceNode || n.ShortTag() != "!!seq" {
		d.problem(n, path, "expected a list, got %s", describe(n))
		return
	}
	items := reflect.MakeSlice(v.Type(), 0, 0)
	for i, itemNode := range n.Content {
		d.note(itemNode, element(path, i), reflect.String)
		item := d.start(v.Type().Elem())
		d.value(itemNode, element(path, i), b, item)
		if isSection(item.Type()) {
			d.required(element(path, i), item)
		}
		items = reflect.Append(items, item)
	}
	v.Set(items)
}
