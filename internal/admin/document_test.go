package admin_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"sluice.io/sluice/api"
)

// operations returns the operations of the document by path and method.
func operations(t *testing.T) map[string]map[string]json.RawMessage {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(api.OpenAPI), &doc); err != nil {
		t.Fatal(err)
	}
	for _, item := range doc.Paths {
		delete(item, "parameters")
	}
	return doc.Paths
}

// The document describes exactly the endpoints of the control API.
func TestDocumentDescribesEndpoints(t *testing.T) {
	described := operations(t)
	served := map[string]bool{}
	for _, e := range serve(t, "127.0.0.1:0", nil).server.Endpoints() {
		method, path := strings.ToLower(e[0]), e[1]
		if method == "" || path == "/{$}" || strings.HasPrefix(path, "/assets/") || strings.HasPrefix(path, "/debug/") || path == "/api/v1/retrain" || strings.HasPrefix(path, "/api/v1/retrain/") {
			continue // the console, pprof, the handler of unknown paths, and an old name
		}
		served[method+path] = true
		if described[path][method] == nil {
			t.Errorf("api/openapi.yaml lacks %s %s", method, path)
		}
	}
	for path, item := range described {
		for method := range item {
			if (strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/-/")) && !served[method+path] {
				t.Errorf("api/openapi.yaml has %s %s, which is not served", method, path)
			}
		}
	}
}

// The page shows every operation and has no script.
func TestDocsPage(t *testing.T) {
	s := serve(t, "0.0.0.0:0", map[string]string{"tester": "a token of the tests"}) // neither needs a token
	if got := s.ask(http.MethodGet, "/openapi.json", nil); got.status != http.StatusOK || got.body != api.OpenAPI {
		t.Errorf("openapi.json: %d, %d bytes", got.status, len(got.body))
	}
	page := s.ask(http.MethodGet, "/docs", nil)
	if page.status != http.StatusOK || strings.Contains(page.body, "<script") {
		t.Errorf("docs: %d %.200s", page.status, page.body)
	}
	for path, item := range operations(t) {
		for method, text := range item {
			var o struct{ OperationID, Summary string }
			if err := json.Unmarshal(text, &o); err != nil || o.OperationID == "" || o.Summary == "" {
				t.Errorf("%s %s has no name or summary: %v", method, path, err)
			}
			if !strings.Contains(page.body, `<h3 id="`+o.OperationID+`">`) {
				t.Errorf("the page lacks %s %s", method, path)
			}
		}
	}
}
