package config

import (
	"fmt"
	"reflect"
	"time"

	"sluice.io/sluice/api"
)

// Document returns the configuration as a JSON document: every setting by its name, in the form of
// the file, with defaults and hidden secrets.
func (c *Config) Document() map[string]any {
	return sectionDocument(reflect.ValueOf(*c))
}

func sectionDocument(v reflect.Value) map[string]any {
	doc := map[string]any{}
	for _, f := range fields(v.Type()) {
		doc[f.name] = valueDocument(v.Field(f.index))
	}
	return doc
}

func valueDocument(v reflect.Value) any {
	switch value := v.Interface().(type) {
	case Secret:
		if value == "" {
			return ""
		}
		return value.String()
	case Key:
		return value.String()
	case Size, Weight, time.Duration:
		return fmt.Sprint(value)
	case Versions:
		return value.document()
	case VersionRef:
		if value.Alias != "" {
			return "@" + value.Alias
		}
		return value.Number
	case api.Fallback:
		return value
	}
	switch v.Kind() {
	case reflect.Struct:
		return sectionDocument(v)
	case reflect.Map:
		doc := map[string]any{}
		for iter := v.MapRange(); iter.Next(); {
			doc[iter.Key().String()] = valueDocument(iter.Value())
		}
		return doc
	case reflect.Slice:
		list := []any{}
		for i := range v.Len() {
			list = append(list, valueDocument(v.Index(i)))
		}
		return list
	default:
		return v.Interface()
	}
}

func (v Versions) document() any {
	switch {
	case v.All:
		return "all"
	case len(v.Numbers) > 0:
		return v.Numbers
	default:
		return map[string]any{"latest": v.Latest}
	}
}
