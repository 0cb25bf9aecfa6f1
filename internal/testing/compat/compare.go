package compat

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Aspect is a part of an answer that may differ: one of these, or a field of a model configuration.
type Aspect string

// The aspects. If the status differs nothing else is compared.
const (
	Status   Aspect = "status"
	Text     Aspect = "text" // of an error
	Body     Aspect = "body"
	Encoding Aspect = "encoding" // content type or encoding
	Answers  Aspect = "answers"  // the number of answers
	Any      Aspect = "any"      // one or more of these
)

// compare returns the aspects in which two answers to a row differ.
func compare(row Row, want, got Answer) []Aspect {
	if want.Status != got.Status {
		return []Aspect{Status}
	}
	var differ []Aspect
	if want.Answers != got.Answers {
		differ = append(differ, Answers)
	}
	for _, name := range []string{"Content-Type", "Content-Encoding"} {
		if want.Header[name] != got.Header[name] && !slices.Contains(differ, Encoding) {
			differ = append(differ, Encoding)
		}
	}
	w, wantOK := document(row, want)
	g, gotOK := document(row, got)
	switch {
	case !wantOK || !gotOK:
		if !bytes.Equal(want.Body, got.Body) {
			differ = append(differ, Body)
		}
	case strings.HasSuffix(row.Path, "/config") && want.Status == 200:
		differ = append(differ, fields(w.json, g.json)...)
	case !same(w.json, g.json) || !bytes.Equal(w.blobs, g.blobs):
		if want.Status >= 400 {
			return append(differ, Text)
		}
		return append(differ, Body)
	}
	return differ
}

// fields returns the fields in which two objects differ.
func fields(a, b any) []Aspect {
	x, _ := a.(map[string]any)
	y, _ := b.(map[string]any)
	all := maps.Clone(x)
	maps.Copy(all, y)
	var differ []Aspect
	for _, field := range slices.Sorted(maps.Keys(all)) {
		if !same(x[field], y[field]) {
			differ = append(differ, Aspect(field))
		}
	}
	return differ
}

// parts are the two parts of a body: a JSON document and the tensors after it.
type parts struct {
	json  any
	blobs []byte
}

// document parses a body. ok is false if it is not valid JSON, if it is empty for example.
func document(row Row, a Answer) (p parts, ok bool) {
	body := a.Body
	if header := a.Header["Inference-Header-Content-Length"]; header != "" {
		n, err := strconv.Atoi(header)
		if err != nil || n > len(body) {
			return p, false
		}
		body, p.blobs = body[:n], body[n:]
	}
	d := json.NewDecoder(bytes.NewReader(quoteNonFinite(body)))
	d.UseNumber()
	if d.Decode(&p.json) != nil {
		return p, false
	}
	if object, ok := p.json.(map[string]any); ok && strings.Contains(row.Name, concurrent) {
		delete(object, "id") // the order of the answers is random
	}
	if list, ok := p.json.([]any); ok && row.Path == "/v2/repository/index" {
		p.json = slices.DeleteFunc(list, func(v any) bool {
			m, _ := v.(map[string]any)
			name, _ := m["name"].(string)
			return strings.HasPrefix(name, "ens_") // ensembles are not served here
		})
	}
	if strings.HasSuffix(row.Path, "/stats") {
		p.json = skeleton(p.json)
	}
	return p, true
}

var nonFinite = regexp.MustCompile(`([\[,])(NaN|-?Infinity)`)

// quoteNonFinite makes valid JSON from numbers that JSON does not have.
func quoteNonFinite(body []byte) []byte { return nonFinite.ReplaceAll(body, []byte(`$1"$2"`)) }

// skeleton is a document without its numbers, which are times and counts, and with one element
// for each list.
func skeleton(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = skeleton(e)
		}
		return v
	case []any:
		if len(v) == 0 {
			return v
		}
		return []any{skeleton(v[0])}
	case json.Number:
		return json.Number("0")
	default:
		return v
	}
}

// same compares two documents: integers digit by digit, other numbers by value.
func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, same)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	case json.Number:
		b, ok := b.(json.Number)
		if !ok || a == b {
			return ok
		}
		x, errX := a.Float64()
		y, errY := b.Float64()
		isFloat := strings.ContainsAny(a.String()+b.String(), ".eE")
		return isFloat && errX == nil && errY == nil && x == y
	default:
		return a == b
	}
}
