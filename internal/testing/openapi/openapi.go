// Package openapi makes api/openapi.json: the operations of api/openapi.yaml, and the schemas
// of the Go types, with their doc comments.
package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
	"go.yaml.in/yaml/v3"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/wire/oip"
)

// documents returns the answers that operations name. Reflection finds their fields.
func documents() []any {
	return []any{
		api.ServerStatus{},
		api.ModelStatus{},
		api.ReloadResult{},
		api.VersionInfo{},
		api.Alias{},
		api.AliasResult{},
		api.Route{},
		api.RouteResult{},
		api.RouteStats{},
		api.History{},
		api.ShadowReport{},
		api.RolloutSpec{},
		api.RolloutPlan{},
		api.Rollout{},
		api.ServedAt{},
		api.Event{},
		api.JournalReport{},
		api.WatchStarted{},
		api.WatchMissing{},
		api.WatchStates{},
		api.DriftStatus{},
		api.DriftReport{},
		api.Signal{},
		api.Retraining{},
		api.TrainingRequest{},
		api.RetrainProgress{},
		api.RetrainFailure{},
		api.RetrainAsk{},
		api.RetrainSimulation{},
		api.LabelRows{},
		api.LabelResult{},
		api.LabelReport{},
		api.Captured{},
		api.CaptureFile{},
		api.CaptureDeletion{},
		api.Caller{},
		api.Session{},
		oip.ServerMetadata{},
		oip.ModelMetadata{},
		oip.ModelConfig{},
		oip.ModelStatistics{},
		oip.IndexEntry{},
	}
}

// Build returns the document. source is the text of api/openapi.yaml. Build reads doc comments from
// the working directory, which must be the root of the module.
func Build(source []byte) ([]byte, error) {
	var doc map[string]any
	if err := yaml.Unmarshal(source, &doc); err != nil {
		return nil, err
	}
	delete(doc, "x-errors")
	schemas, ok := at(doc, "components", "schemas").(map[string]any)
	if !ok {
		return nil, errors.New("components.schemas is missing")
	}
	if err := reflected(schemas); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		return nil, err
	}
	return append(bytes.ReplaceAll(text, []byte(`"#/$defs/`), []byte(`"#/components/schemas/`)), '\n'), nil
}

func at(doc map[string]any, keys ...string) any {
	var v any = doc
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// reflected adds the schemas of documents. A schema that the source also has is an error.
func reflected(schemas map[string]any) error {
	r := jsonschema.Reflector{AllowAdditionalProperties: true, Mapper: special}
	for _, dir := range []string{"api", "internal/wire/oip"} {
		if err := r.AddGoComments("sluice.io/sluice", dir, jsonschema.WithFullComment()); err != nil {
			return err
		}
	}
	for _, v := range documents() {
		for name, schema := range r.Reflect(v).Definitions {
			text, err := json.Marshal(schema)
			if err != nil {
				return err
			}
			var made map[string]any
			if err := json.Unmarshal(text, &made); err != nil {
				return err
			}
			plain(made)
			if old, ok := schemas[name]; ok && !reflect.DeepEqual(old, any(made)) {
				return fmt.Errorf("there are two schemas named %s", name)
			}
			schemas[name] = made
		}
	}
	return nil
}

// special returns the schemas of types whose JSON differs from their fields.
func special(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[api.Duration]():
		return &jsonschema.Schema{Ref: "#/components/schemas/Duration"}
	case reflect.TypeFor[api.Fallback]():
		return &jsonschema.Schema{Ref: "#/components/schemas/Fallback"}
	case reflect.TypeFor[api.Points]():
		return &jsonschema.Schema{Ref: "#/components/schemas/Points"}
	case reflect.TypeFor[json.RawMessage]():
		return jsonschema.TrueSchema
	}
	return nil
}

// plain joins the lines of descriptions, and writes {} for values of any type.
func plain(schema map[string]any) {
	if fields, ok := schema["properties"].(map[string]any); ok {
		for name, v := range fields {
			if v == true {
				fields[name] = map[string]any{}
			}
		}
	}
	if text, ok := schema["description"].(string); ok {
		schema["description"] = strings.Join(strings.Fields(text), " ")
	}
	for _, v := range schema {
		if m, ok := v.(map[string]any); ok {
			plain(m)
		}
	}
}
