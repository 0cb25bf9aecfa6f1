package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"sluice.io/sluice/api"
)

// maxNodes bounds the values in a file after its aliases were expanded, so that a small file cannot
// expand to a huge one.
const maxNodes = 200_000

// place is the place of a setting.
type place struct {
	source string
	line   int
	layer  int
	plain  bool // a weight without its %
}

// decoder decodes YAML trees into one Config. A tree is a layer: the file first, then each flag. A
// later layer overrides the earlier ones.
type decoder struct {
	cfg      *Config
	env      func(string) (string, bool)
	at       place // source and layer of the tree being walked
	given    map[string]place
	fresh    map[reflect.Type]reflect.Value // the initial value of an item of that type
	late     []func()                       // decodes settings that start from other settings, after those are known
	nodes    int
	problems Problems
	dropped  int
}

func newDecoder(cfg *Config, env func(string) (string, bool)) *decoder {
	return &decoder{cfg: cfg, env: env, given: map[string]place{}, fresh: map[reflect.Type]reflect.Value{}}
}

// layer decodes one tree into the config.
func (d *decoder) layer(source string, n *yaml.Node) {
	d.at = place{source: source, layer: d.at.layer + 1}
	d.note(n, "", reflect.Struct)
	d.value(n, "", bounds{}, reflect.ValueOf(d.cfg).Elem())
}

// finish decodes the deferred settings.
func (d *decoder) finish() {
	for _, decode := range d.late {
		decode()
	}
}

// problem records a problem with the value of n.
func (d *decoder) problem(n *yaml.Node, path, format string, args ...any) {
	at := d.at
	at.line = n.Line
	d.add(at, path, fmt.Sprintf(format, args...))
}

// problemAt records a problem with a setting in any layer, or in none: it points at the setting, or
// at the nearest section around it.
func (d *decoder) problemAt(path, format string, args ...any) {
	for p := path; ; p = parent(p) {
		if at, ok := d.given[p]; ok || p == "" {
			d.add(at, path, fmt.Sprintf(format, args...))
			return
		}
	}
}

func (d *decoder) add(at place, path, message string) {
	if len(d.problems) == maxProblems {
		d.dropped++
		return
	}
	d.problems = append(d.problems, Problem{Source: at.source, Line: at.line, Path: path, Message: message, layer: at.layer})
}

// value decodes n into v, for any type.
func (d *decoder) value(n *yaml.Node, path string, b bounds, v reflect.Value) {
	if d.nodes++; d.nodes >= maxNodes {
		if d.nodes == maxNodes {
			d.problem(n, path, "more than %d values once aliases are followed", maxNodes)
		}
		return
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch t := v.Type(); {
	case typeIs[Versions](t):
		d.versions(n, path, v)
	case typeIs[VersionRef](t):
		d.versionRef(n, path, v)
	case typeIs[api.Fallback](t):
		d.fallback(n, path, v)
	case t.Kind() == reflect.Struct:
		d.section(n, path, v)
	case t.Kind() == reflect.Map:
		d.mapping(n, path, v)
	case t.Kind() == reflect.Slice:
		d.list(n, path, b, v)
	default:
		d.scalar(n, path, b, v)
	}
}

// note records the place of a setting: a value in the last layer that gives it, a section or
// mapping in the first one.
func (d *decoder) note(n *yaml.Node, path string, kind reflect.Kind) {
	_, known := d.given[path]
	if known && (kind == reflect.Struct || kind == reflect.Map) {
		return
	}
	d.given[path] = place{source: d.at.source, line: n.Line, layer: d.at.layer}
}

// isEmpty reports whether n has no value, like a section in which all lines are commented out.
func isEmpty(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// pairs calls f for each key of a mapping. It reports values that are not mappings, keys that are
// not plain text, and duplicate keys.
func (d *decoder) pairs(n *yaml.Node, path string, f func(key string, keyNode, value *yaml.Node)) {
	if isEmpty(n) {
		return
	}
	if n.Kind != yaml.MappingNode || n.ShortTag() != "!!map" {
		d.problem(n, path, "expected a mapping, got %s", describe(n))
		return
	}
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || isEmpty(key) {
			d.problem(key, path, "expected a name as key, got %s", describe(key))
			continue
		}
		if key.ShortTag() == "!!merge" {
			d.problem(key, path, "merge keys (<<) are not supported; settings that models share go under defaults")
			continue
		}
		if first, twice := lines[key.Value]; twice {
			d.problem(key, child(path, key.Value), "given twice, first on line %d", first)
			continue
		}
		lines[key.Value] = key.Line
		f(key.Value, key, value)
	}
}

func (d *decoder) section(n *yaml.Node, path string, v reflect.Value) {
	known := fields(v.Type())
	d.pairs(n, path, func(key string, keyNode, value *yaml.Node) {
		names := make([]string, len(known))
		for i, f := range known {
			if f.name == key {
				d.note(keyNode, child(path, key), v.Field(f.index).Kind())
				d.field(value, child(path, key), f, v.Field(f.index))
				return
			}
			names[i] = f.name
		}
		if to := movedTo(child(path, key)); to != "" {
			d.problem(keyNode, child(path, key), "is now %s", to)
			return
		}
		if near := nearest(key, names); near != "" {
			d.problem(keyNode, child(path, key), "unknown key; did you mean %s?", near)
			return
		}
		d.problem(keyNode, child(path, key), "unknown key; known here: %s", strings.Join(names, ", "))
	})
}

// movedTo returns the present name of a setting of an earlier release, "" if there is none.
func movedTo(path string) string {
	for _, name := range []string{"labels.max_count", "labels.max_bytes"} {
		if of, found := strings.CutSuffix(path, "."+name); found {
			return of + ".class_" + name
		}
	}
	return ""
}

// field decodes a setting. Models start from the defaults, so they are decoded after every layer
// has set those.
func (d *decoder) field(n *yaml.Node, path string, f field, v reflect.Value) {
	if !typeIs[map[string]Model](v.Type()) {
		d.value(n, path, f.bounds, v)
		return
	}
	at := d.at
	d.late = append(d.late, func() {
		d.at = at
		d.value(n, path, f.bounds, v)
	})
}

// required reports required settings of a section that are empty. A given 0 is a number, not empty.
// It does not check lists and mappings.
func (d *decoder) required(path string, v reflect.Value) {
	for _, f := range fields(v.Type()) {
		value, name := v.Field(f.index), child(path, f.name)
		switch {
		case isSection(value.Type()):
			d.required(name, value)
		case f.required && value.IsZero() && !d.failed(name) && (!value.CanInt() || !d.isGiven(name)):
			d.problemAt(name, "must be given")
		}
	}
}

// failed reports whether a problem with a setting, or with a section around it, was already found.
func (d *decoder) failed(path string) bool {
	for {
		if slices.ContainsFunc(d.problems, func(p Problem) bool { return p.Path == path }) {
			return true
		}
		if path == "" {
			return false
		}
		path = parent(path)
	}
}

// failedIn reports whether a problem with a setting, with a section around it or with anything
// below it was already found.
func (d *decoder) failedIn(path string) bool {
	return d.failed(path) || slices.ContainsFunc(d.problems, func(p Problem) bool {
		rest, below := strings.CutPrefix(p.Path, path)
		return below && strings.IndexAny(rest, ".[") == 0
	})
}

func (d *decoder) isGiven(path string) bool {
	_, given := d.given[path]
	return given
}

// versions decodes the three forms of Versions.
func (d *decoder) versions(n *yaml.Node, path string, v reflect.Value) {
	var chosen Versions
	switch {
	case n.Kind == yaml.ScalarNode && n.Value == "all":
		chosen.All = true
	case n.Kind == yaml.SequenceNode:
		d.value(n, path, bounds{min: "1"}, reflect.ValueOf(&chosen.Numbers).Elem())
		if len(n.Content) == 0 {
			d.problem(n, path, "an empty list would serve nothing")
		}
	case n.Kind == yaml.MappingNode:
		var form struct {
			Latest int `yaml:"latest" min:"1"`
		}
		d.value(n, path, bounds{}, reflect.ValueOf(&form).Elem())
		if len(n.Content) == 0 {
			d.problem(n, path, "expected {latest: n}, got an empty mapping")
		}
		chosen.Latest = form.Latest
	default:
		d.problem(n, path, "expected {latest: n}, all or a list of version numbers, got %s", describe(n))
	}
	v.Set(reflect.ValueOf(chosen))
}

// describe names the kind of a node, for messages.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case isEmpty(n):
		return "nothing"
	case !isText(n):
		return n.Tag + " " + clip(n.Value)
	case n.ShortTag() == "!!str":
		return clip(n.Value)
	default:
		return n.Value
	}
}
