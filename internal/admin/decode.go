package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// document reads JSON token by token. Decoding into a struct would accept duplicate keys,
// keys in any case, and null for a number, and its errors would not name the element of a
// list.
type document struct{ dec *json.Decoder }

// decodeRoute reads a route. It checks only the form, and does not complete the route.
func decodeRoute(body []byte) (api.Route, error) {
	var route api.Route
	if !utf8.Valid(body) {
		return route, infer.Errorf(infer.Invalid, "the body is not UTF-8; expected a route as JSON")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return route, infer.Errorf(infer.Invalid, "the body is empty; expected a route as JSON")
	}
	d := document{json.NewDecoder(bytes.NewReader(body))}
	if err := d.route(&route); err != nil {
		return api.Route{}, err
	}
	if _, err := d.dec.Token(); !errors.Is(err, io.EOF) {
		return api.Route{}, infer.Errorf(infer.Invalid, "the body has more than one JSON value, from byte %d on; expected one route", d.dec.InputOffset())
	}
	return route, nil
}

func (d document) route(route *api.Route) error {
	return d.object("", func(key, at string) error {
		switch key {
		case "name":
			return d.scalar(at, "text", &route.Name)
		case "model":
			return d.scalar(at, "text", &route.Model)
		case "revision": // ignored in favour of If-Match, so that the answer of a GET can be sent back
			return d.scalar(at, "a whole number", &route.Revision)
		case "variants":
			return d.list(at, func(at string) error {
				route.Variants = append(route.Variants, api.Variant{})
				return d.variant(at, &route.Variants[len(route.Variants)-1])
			})
		case "shadows":
			return d.list(at, func(at string) error {
				route.Shadows = append(route.Shadows, api.Shadow{})
				return d.shadow(at, &route.Shadows[len(route.Shadows)-1])
			})
		case "sticky":
			return d.sticky(at, &route.Sticky)
		case "fallback":
			return d.optional(at, `"stable" or a version's number`, &route.Fallback)
		case "seed":
			return d.scalar(at, "text", &route.Seed)
		}
		return unknown(at, "name, model, revision, variants, shadows, sticky, fallback and seed")
	})
}

func (d document) variant(at string, v *api.Variant) error {
	err := d.object(at, func(key, at string) error {
		switch key {
		case "version":
			return d.version(at, &v.Version, &v.Alias)
		case "alias":
			return d.scalar(at, "text", &v.Alias)
		case "weight":
			return d.scalar(at, "a whole number of basis points, 2000 for 20%", &v.Weight)
		case "role":
			return d.scalar(at, "stable, canary or control", &v.Role)
		}
		return unknown(at, "version, weight and role")
	}, "version", "weight")
	if v.Alias != "" { // the alias gives the version, also in the answer of a GET that is sent back
		v.Version = 0
	}
	return err
}

// version reads the version of a part: a number, or "@alias".
func (d document) version(at string, number *int64, alias *string) error {
	var raw json.RawMessage
	if err := d.dec.Decode(&raw); err != nil {
		return d.broken(at, err)
	}
	var text string
	if json.Unmarshal(raw, &text) == nil && len(text) > 1 && text[0] == '@' {
		*alias = text[1:]
		return nil
	}
	if string(raw) == "null" || json.Unmarshal(raw, number) != nil {
		return infer.Errorf(infer.Invalid, "%s: expected a version's number, or \"@alias\", got %.40s", at, raw)
	}
	return nil
}

func (d document) shadow(at string, s *api.Shadow) error {
	err := d.object(at, func(key, at string) error {
		switch key {
		case "version":
			return d.version(at, &s.Version, &s.Alias)
		case "alias":
			return d.scalar(at, "text", &s.Alias)
		case "sample":
			return d.scalar(at, "a whole number of basis points, 2000 for 20%", &s.Sample)
		}
		return unknown(at, "version and sample")
	}, "version", "sample")
	if s.Alias != "" {
		s.Version = 0
	}
	return err
}

func (d document) sticky(at string, s *api.Sticky) error {
	return d.object(at, func(key, at string) error {
		switch key {
		case "header":
			return d.scalar(at, "the name of a header", &s.Header)
		case "parameter":
			return d.scalar(at, "the name of a parameter", &s.Parameter)
		}
		return unknown(at, "header or parameter")
	})
}

func unknown(at, expected string) error {
	return infer.Errorf(infer.Invalid, "%.255s: unknown field; expected %s", at, expected)
}

// object reads an object. member reads the value of a key. The required keys must be there.
// null is an empty object, except for the document itself.
func (d document) object(at string, member func(key, at string) error, required ...string) error {
	found, err := d.open(at, '{', "an object")
	if err != nil || !found {
		return err
	}
	seen := make(map[string]bool)
	for d.dec.More() {
		token, err := d.dec.Token()
		if err != nil {
			return d.broken(at, err)
		}
		key, _ := token.(string) // the decoder accepts nothing else here
		path := key
		if at != "" {
			path = at + "." + key
		}
		if seen[key] {
			return infer.Errorf(infer.Invalid, "%.255s: duplicate field", path)
		}
		seen[key] = true
		if err := member(key, path); err != nil {
			return err
		}
	}
	if err := d.close(at); err != nil {
		return err
	}
	for _, key := range required {
		if !seen[key] {
			return infer.Errorf(infer.Invalid, "%s.%s: the field is missing", at, key)
		}
	}
	return nil
}

// list reads a list. element reads one element. null is an empty list.
func (d document) list(at string, element func(at string) error) error {
	found, err := d.open(at, '[', "a list")
	if err != nil || !found {
		return err
	}
	for i := 0; d.dec.More(); i++ {
		if err := element(fmt.Sprintf("%s[%d]", at, i)); err != nil {
			return err
		}
	}
	return d.close(at)
}

// open reads the beginning of an object or a list, or null.
func (d document) open(at string, delim json.Delim, expected string) (found bool, err error) {
	switch token, err := d.dec.Token(); {
	case err != nil:
		return false, d.broken(at, err)
	case token == delim:
		return true, nil
	case token == nil && at != "":
		return false, nil
	case at == "":
		return false, infer.Errorf(infer.Invalid, "the body is not a JSON object; expected a route")
	default:
		return false, infer.Errorf(infer.Invalid, "%s: expected %s", at, expected)
	}
}

func (d document) close(at string) error {
	if _, err := d.dec.Token(); err != nil {
		return d.broken(at, err)
	}
	return nil
}

// scalar reads a value other than null.
func (d document) scalar(at, expected string, into any) error {
	return d.value(at, expected, false, into)
}

// optional reads a value that may be null.
func (d document) optional(at, expected string, into any) error {
	return d.value(at, expected, true, into)
}

func (d document) value(at, expected string, null bool, into any) error {
	var raw json.RawMessage
	if err := d.dec.Decode(&raw); err != nil {
		return d.broken(at, err)
	}
	if string(raw) == "null" && !null || json.Unmarshal(raw, into) != nil {
		return infer.Errorf(infer.Invalid, "%s: expected %s, got %.40s", at, expected, raw)
	}
	return nil
}

// broken returns the error for bad JSON, with its place.
func (d document) broken(at string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the text is truncated")
	}
	if at != "" {
		at = " (" + at + ")"
	}
	return infer.Errorf(infer.Invalid, "the body is not valid JSON at byte %d%s: %v", d.dec.InputOffset(), at, err)
}
