package openapi

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
)

var update = flag.Bool("update", false, "write api/openapi.json")

// The document that both ports serve is the one made from its sources.
func TestDocumentIsCurrent(t *testing.T) {
	t.Chdir("../../..")
	source, err := os.ReadFile("api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := Build(source)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("api/openapi.json", doc, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(doc), api.OpenAPI); diff != "" {
		t.Errorf("api/openapi.json is not current; go test ./internal/testing/openapi -update writes it (-want +got):\n%s", diff)
	}
}
