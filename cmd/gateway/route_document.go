package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"sluice.io/sluice/api"
)

// routeDocument is the state of a route in a file.
type routeDocument struct {
	name     string
	route    *api.Route // nil: the route is deleted
	revision *int64     // the revision from which the document was made, if it has one
}

// readRoutes reads routes from a file of JSON or YAML: routes and lists of routes, as routes get,
// list and set print them, and events of the journal, of which the last one of each route counts.
// implied is the number of implied routes that were left out.
func readRoutes(file string, in io.Reader) (docs []routeDocument, implied int, err error) {
	text, err := readFile(file, in)
	if err != nil {
		return nil, 0, err
	}
	values, err := jsonValues(text)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", file, err)
	}
	for _, value := range values {
		items := []json.RawMessage{value}
		list := json.Unmarshal(value, &items) == nil
		for i, item := range items {
			doc, err := readRouteDocument(item)
			switch {
			case err != nil:
				return nil, 0, fmt.Errorf("%s: entry %d: %w", file, i+1, err)
			case doc == nil: // an event about something else
			case list && doc.revision != nil && *doc.revision == 0:
				implied++
			default:
				docs = addDocument(docs, *doc)
			}
		}
	}
	return docs, implied, nil
}

// addDocument adds a document, or replaces an earlier one of the same route.
func addDocument(docs []routeDocument, doc routeDocument) []routeDocument {
	for i := range docs {
		if docs[i].name == doc.name {
			docs[i] = doc
			return docs
		}
	}
	return append(docs, doc)
}

func readFile(file string, in io.Reader) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(in)
	}
	return os.ReadFile(file)
}

// jsonValues returns the JSON values in a text, which may be YAML.
func jsonValues(text []byte) (values []json.RawMessage, err error) {
	next := json.NewDecoder(bytes.NewReader(text)).Decode
	if start := bytes.TrimSpace(text); len(start) == 0 || start[0] != '{' && start[0] != '[' {
		dec := yaml.NewDecoder(bytes.NewReader(text))
		next = func(to any) error {
			var value any
			if err := dec.Decode(&value); err != nil {
				return err
			}
			asJSON, err := json.Marshal(value)
			if err != nil {
				return err
			}
			return json.Unmarshal(asJSON, to)
		}
	}
	for {
		var value json.RawMessage
		switch err := next(&value); {
		case errors.Is(err, io.EOF) && len(values) == 0:
			return nil, errors.New("the file is empty")
		case errors.Is(err, io.EOF):
			return values, nil
		case err != nil:
			return nil, err
		}
		values = append(values, value)
	}
}

// readRouteDocument parses a route or an event; nil if the event is not about a route.
func readRouteDocument(text json.RawMessage) (*routeDocument, error) {
	var event api.Event
	if err := json.Unmarshal(text, &event); err == nil && event.Type != "" && event.Subject != "" {
		name, ok := strings.CutPrefix(event.Subject, routeSubject(""))
		if !ok || event.Type != api.EventRouteSet && event.Type != api.EventRouteDeleted {
			return nil, nil //nolint:nilnil // not about a route
		}
		_, after, err := event.Routes()
		return &routeDocument{name: name, route: after}, err
	}
	var doc struct {
		Revision *int64 `json:"revision"` // hides the field of the route
		api.Route
		// The fields that answers have in addition to the route.
		Slots      any `json:"slots"`
		SlotsMoved any `json:"slots_moved"`
		DryRun     any `json:"dry_run"`
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return nil, inJSON(err)
	}
	if doc.Name == "" {
		return nil, errors.New("expected a route or an event, but there is no name")
	}
	return &routeDocument{name: doc.Name, route: &doc.Route, revision: doc.Revision}, nil
}
