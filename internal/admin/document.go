package admin

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"sluice.io/sluice/api"
)

// openAPI answers with the OpenAPI document of both ports.
func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request, _ api.Actor) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write([]byte(api.OpenAPI))
	return err
}

// docs answers with the OpenAPI document as a page without scripts.
func (s *Server) docs(w http.ResponseWriter, _ *http.Request, _ api.Actor) error {
	page, err := s.page()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err = w.Write(page)
	return err
}

//go:embed document.html
var pageText string

// renderDocs returns the page.
func renderDocs() ([]byte, error) {
	page, err := template.New("docs").Parse(pageText)
	if err != nil {
		return nil, err
	}
	doc, err := readDocument(api.OpenAPI)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = page.Execute(&out, doc)
	return out.Bytes(), err
}

// apiDoc is the part of the OpenAPI document that the page shows.
type apiDoc struct {
	Info struct{ Title, Version, Summary, Description string }
	Tags []struct {
		Name, Description string
		Operations        []operation `json:"-"`
	}
	Paths      map[string]map[string]json.RawMessage
	Components struct {
		Parameters map[string]parameter
		Responses  map[string]response
		Schemas    map[string]schema
	}
	Names []string `json:"-"` // the names of the schemas, sorted
}

type operation struct {
	Method, Path         string
	Tags                 []string
	OperationID          string `json:"operationId"`
	Summary, Description string
	Parameters           []parameter
	RequestBody          struct{ Content content }
	Responses            map[string]response
}

type parameter struct {
	Ref         string `json:"$ref"`
	Name, In    string
	Required    bool
	Description string
	Schema      schema
}

type response struct {
	Ref         string `json:"$ref"`
	Description string
	Content     content
}

type content map[string]struct{ Schema schema }

// schema is the part of JSON Schema that the page can show in one line.
type schema struct {
	Ref         string `json:"$ref"`
	Type        any
	Format      string
	Description string
	Items       *schema
	AnyOf       []schema `json:"anyOf"`
	Const       string
	Enum        []json.RawMessage
	Properties  map[string]schema
	Required    []string
}

func readDocument(text string) (*apiDoc, error) {
	var doc apiDoc
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return nil, err
	}
	for name := range doc.Components.Schemas {
		doc.Names = append(doc.Names, name)
	}
	slices.Sort(doc.Names)
	operations, err := doc.operations()
	if err != nil {
		return nil, err
	}
	for i := range doc.Tags {
		for _, o := range operations {
			if slices.Contains(o.Tags, doc.Tags[i].Name) {
				doc.Tags[i].Operations = append(doc.Tags[i].Operations, o)
			}
		}
	}
	return &doc, nil
}

// operations returns the operations sorted by path, with references resolved.
func (d *apiDoc) operations() (list []operation, err error) {
	for path, item := range d.Paths {
		var shared []parameter
		if text, ok := item["parameters"]; ok {
			if err := json.Unmarshal(text, &shared); err != nil {
				return nil, err
			}
		}
		for method, text := range item {
			if method == "parameters" {
				continue
			}
			o := operation{Method: strings.ToUpper(method), Path: path}
			if err := json.Unmarshal(text, &o); err != nil {
				return nil, err
			}
			o.Parameters = slices.Concat(shared, o.Parameters)
			for i, p := range o.Parameters {
				if p.Ref != "" {
					o.Parameters[i] = d.Components.Parameters[last(p.Ref)]
				}
			}
			for status, r := range o.Responses {
				if r.Ref != "" {
					o.Responses[status] = d.Components.Responses[last(r.Ref)]
				}
			}
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b operation) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) })
	return list, nil
}

func last(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// Name returns the name of the schema that s refers to, or "" if s is not a reference.
func (s schema) Name() string { return last(s.Ref) }

// Is describes a schema that is not a reference.
func (s schema) Is() string {
	var words []string
	switch t := s.Type.(type) {
	case string:
		words = append(words, t)
	case []any:
		for _, v := range t {
			if text, ok := v.(string); ok {
				words = append(words, text)
			}
		}
	}
	text := strings.Join(words, " or ")
	if s.Format != "" {
		text += " (" + s.Format + ")"
	}
	if s.Const != "" {
		text += ` "` + s.Const + `"`
	}
	if len(s.Enum) > 0 {
		values := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			values[i] = strings.Trim(string(v), `"`)
		}
		text += ": " + strings.Join(values, ", ")
	}
	return strings.TrimSpace(text)
}

// Needs reports whether a property is required.
func (s schema) Needs(property string) bool { return slices.Contains(s.Required, property) }
