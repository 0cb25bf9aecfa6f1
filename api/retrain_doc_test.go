package api_test

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"sluice.io/sluice/api"
)

// docs/training-request.json is the document of a run of make demo-loop. It must be one that the gateway makes today, and
// docs/retraining.md must explain each of its fields.
func TestDocumentedTrainingRequest(t *testing.T) {
	text, err := os.ReadFile("../docs/training-request.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc api.TrainingRequest
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if doc.ID == "" || doc.Seed == 0 || len(doc.Data.Files) == 0 || doc.Data.Manifest == "" || doc.Data.Export == "" || doc.Parent.Digest == "" || doc.Calls == (api.TrainingCalls{}) {
		t.Errorf("the example lacks what a training needs: %+v", doc)
	}
	page, err := os.ReadFile("../docs/retraining.md")
	if err != nil {
		t.Fatal(err)
	}
	f := func(prefix string, of any) {
		t.Helper()
		for field := range reflect.TypeOf(of).Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name != "data" && !strings.Contains(string(page), "`"+prefix+name+"`") { // its own fields are there
				t.Errorf("docs/retraining.md does not explain `%s%s`", prefix, name)
			}
		}
	}
	f("", doc)
	f("data.", doc.Data)
}
