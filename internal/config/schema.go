package config

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/api"
)

// field is one setting or section of a struct, with its parsed tags.
type field struct {
	name     string
	doc      string
	index    int
	def      string // YAML text; hasDef distinguishes an empty default from none
	hasDef   bool
	bounds   bounds
	required bool
	restart  bool // a reload cannot apply it
	reload   bool // a reload can apply it, but not the section around it
}

// bounds limit a value. The texts are in the form of the value: "1", "64MiB", "30s".
type bounds struct {
	min, max string
	enum     []string
}

// fields returns the settings of a section, in the order of the struct.
func fields(t reflect.Type) []field {
	list := make([]field, t.NumField())
	for i := range list {
		tag := t.Field(i).Tag
		f := &list[i]
		*f = field{
			index: i, name: tag.Get("yaml"), doc: tag.Get("doc"),
			bounds:   bounds{min: tag.Get("min"), max: tag.Get("max")},
			required: tag.Get("required") == "true",
			restart:  tag.Get("restart") == "true", reload: tag.Get("restart") == "false",
		}
		f.def, f.hasDef = tag.Lookup("default")
		if enum := tag.Get("enum"); enum != "" {
			f.bounds.enum = strings.Split(enum, "|")
		}
	}
	return list
}

func typeIs[T any](t reflect.Type) bool { return t == reflect.TypeFor[T]() }

// isSection reports whether t is a struct of settings.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !typeIs[Versions](t) && !typeIs[VersionRef](t) && !typeIs[api.Fallback](t)
}

// child returns the path of a key in a mapping. It quotes a key that could be misread as part of a
// path.
func child(path, key string) string {
	if key == "" || strings.ContainsAny(key, ".[]\" :") || strings.IndexFunc(key, func(r rune) bool { return !strconv.IsPrint(r) }) >= 0 {
		key = clip(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func element(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// parent removes the last key or index from a path.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// check returns the expected range of a number, or "" if it is within bounds.
// parse parses a bound.
func check[T int64 | float64 | Size | Weight | time.Duration](v T, b bounds, parse func(string) (T, error)) string {
	low, high := b.min == "", b.max == ""
	if !low {
		limit, err := parse(b.min)
		low = err == nil && v >= limit
	}
	if !high {
		limit, err := parse(b.max)
		high = err == nil && v <= limit
	}
	if low && high {
		return ""
	}
	return b.String()
}

// String describes the bounds.
func (b bounds) String() string {
	switch {
	case b.enum != nil:
		return join(b.enum)
	case b.min != "" && b.max != "":
		return b.min + " to " + b.max
	case b.min != "":
		return "at least " + b.min
	case b.max != "":
		return "at most " + b.max
	default:
		return ""
	}
}
