package httpapi

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"sluice.io/sluice/api"
)

// The OpenAPI document describes exactly the endpoints of the data plane.
func TestDocumentDescribesEndpoints(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(api.OpenAPI), &doc); err != nil {
		t.Fatal(err)
	}
	described := map[endpoint]bool{noEndpoint: true}
	for path, item := range doc.Paths {
		if strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/-/") || path == "/metrics" || path == "/docs" {
			continue // of the admin port
		}
		target, err := parsePath([]byte(strings.NewReplacer("{model}", "iris", "{version}", "2").Replace(path)), nil)
		if err != nil || target.endpoint == noEndpoint {
			t.Errorf("%s is described and not served: %v", path, err)
		}
		described[target.endpoint] = true
		for method := range item {
			var h fasthttp.RequestHeader
			h.SetMethod(strings.ToUpper(method))
			if method != "parameters" && !target.endpoint.takes(&h) {
				t.Errorf("%s does not take %s", path, method)
			}
		}
	}
	for e := range endpointV1Predict + 1 {
		if !described[e] {
			t.Errorf("endpoint %d is served and not described", e)
		}
	}
}
