package config

import (
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"sluice.io/sluice/api"
)

// scalar decodes one value: text, a number, true or false, a size, a duration.
func (d *decoder) scalar(n *yaml.Node, path string, b bounds, v reflect.Value) {
	switch t := v.Type(); {
	case typeIs[Secret](t):
		d.secret(n, path, v)
	case typeIs[Key](t):
		d.key(n, path, v)
	case typeIs[Size](t):
		number(d, n, path, b, v, `a size such as 64MiB (units: B, KiB, MiB, GiB)`, parseSize)
	case typeIs[Weight](t):
		d.weight(n, path, b, v)
	case typeIs[time.Duration](t):
		number(d, n, path, b, v, `a duration such as 30s or 1m30s`, time.ParseDuration)
	case t.Kind() == reflect.Bool:
		d.boolean(n, path, v)
	case t.Kind() == reflect.Float64:
		number(d, n, path, b, v, "a number", parseFloat)
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		number(d, n, path, b, v, "an integer", parseInt)
	case t.Kind() == reflect.String:
		d.text(n, path, b, v)
	default:
		panic("BUG: a setting of type " + t.String())
	}
}

// number decodes ordered values. Quoted text is not a plain number, but may be a size or a
// duration, which have their own types.
func number[T int64 | float64 | Size | Weight | time.Duration](
	d *decoder, n *yaml.Node, path string, b bounds, v reflect.Value, kind string, parse func(string) (T, error),
) {
	x, err := parse(n.Value)
	quoted := n.ShortTag() == "!!str" && v.Type().PkgPath() == ""
	if err != nil || quoted || !isText(n) {
		d.problem(n, path, "expected %s, got %s", kind, describe(n))
		return
	}
	if want := check(x, b, parse); want != "" {
		d.problem(n, path, "expected %s, got %s", want, n.Value)
		return
	}
	v.Set(reflect.ValueOf(x).Convert(v.Type()))
}

// weight decodes a share, and records its notation.
func (d *decoder) weight(n *yaml.Node, path string, b bounds, v reflect.Value) {
	number(d, n, path, b, v, "a percentage in steps of 0.01% such as 2.5%, or a whole number of basis points such as 250", parseWeight)
	if at, given := d.given[path]; given {
		at.plain = !strings.HasSuffix(n.Value, "%")
		d.given[path] = at
	}
}

// versionRef decodes a version's number, or the name of an alias.
func (d *decoder) versionRef(n *yaml.Node, path string, v reflect.Value) {
	alias, named := strings.CutPrefix(n.Value, "@")
	number, err := parseInt(n.Value)
	switch {
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" && named && api.ValidAlias(alias):
		v.Set(reflect.ValueOf(VersionRef{Alias: alias}))
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" && err == nil && number >= 1:
		v.Set(reflect.ValueOf(VersionRef{Number: number}))
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" && err == nil:
		d.problem(n, path, "expected at least 1, got %s", n.Value)
	default:
		d.problem(n, path, "expected an integer, or an alias such as \"@champion\", got %s", describe(n))
	}
}

// fallback decodes the two forms of a fallback.
func (d *decoder) fallback(n *yaml.Node, path string, v reflect.Value) {
	version, err := parseInt(n.Value)
	switch {
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" && n.Value == api.RoleStable:
		v.Set(reflect.ValueOf(api.Fallback{Stable: true}))
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" && err == nil && version > 0:
		v.Set(reflect.ValueOf(api.Fallback{Version: version}))
	default:
		d.problem(n, path, "expected stable or the number of a version, got %s", describe(n))
	}
}

func parseInt(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }

func parseFloat(s string) (float64, error) {
	x, err := strconv.ParseFloat(s, 64)
	if err == nil && (math.IsNaN(x) || math.IsInf(x, 0)) {
		err = strconv.ErrRange
	}
	return x, err
}

func (d *decoder) boolean(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
		d.problem(n, path, "expected true or false, got %s", describe(n))
		return
	}
	v.SetBool(strings.EqualFold(n.Value, "true"))
}

// isText reports whether a node can be text. Numbers and truth values can, as written: a model may
// be named 1.
func isText(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
		return true
	default:
		return false
	}
}

func (d *decoder) text(n *yaml.Node, path string, b bounds, v reflect.Value) {
	switch {
	case n.Value == "null" && slices.Contains(b.enum, n.Value): // with or without quotes
		v.SetString(n.Value)
	case !isText(n):
		d.problem(n, path, "expected text, got %s", describe(n))
	case strings.Contains(n.Value, "${"):
		d.problem(n, path, "${NAME} is replaced in secrets only, got %s", describe(n))
	case b.enum != nil && !slices.Contains(b.enum, n.Value):
		d.problem(n, path, "expected %s, got %s", b, describe(n))
	default:
		v.SetString(n.Value)
	}
}

// secret decodes text and replaces each ${NAME} by the environment variable. Messages never show
// any of it.
func (d *decoder) secret(n *yaml.Node, path string, v reflect.Value) {
	if !isText(n) {
		d.problem(n, path, "expected text")
		return
	}
	var out strings.Builder
	for rest := n.Value; ; {
		before, after, found := strings.Cut(rest, "${")
		out.WriteString(before)
		if !found {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed || !isVariable(name) {
			d.problem(n, path, "expected ${NAME}: a name of letters, digits and underscores between braces")
			return
		}
		value, set := d.env(name)
		if !set {
			d.problem(n, path, "the environment variable %s is not set", name)
			return
		}
		out.WriteString(value)
		rest = tail
	}
	v.SetString(out.String())
}

func isVariable(name string) bool {
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}
