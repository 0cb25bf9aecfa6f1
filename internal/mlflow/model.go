package mlflow

import (
	"context"
	"io"
	"io/fs"
	"maps"
	"math"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// maxDescription is the max size of the file MLmodel in bytes.
const maxDescription = 1 << 20

// Model is a version of a registered model, with its artifacts.
type Model struct {
	Reference Reference           // with the number of the version
	Metadata  api.VersionMetadata // lineage, tags, and the description as a field of the card
	File      string              // the path of the ONNX file

	files files
}

// Close releases the artifacts.
func (m *Model) Close() error { return m.files.close() }

// Open returns a file that lies beside the ONNX file, or that itself if name is empty, and its size, which is negative if it is not
// known. name is a path relative to the folder of the ONNX file. The caller closes the file. Errors of it are *infer.Error if it comes
// from a server.
func (m *Model) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	at := m.File
	if name != "" {
		at = path.Join(path.Dir(at), name)
	}
	if !fs.ValidPath(at) {
		return nil, 0, infer.Errorf(infer.Invalid, "%s is not a valid path of an artifact", quote(name))
	}
	return m.files.open(ctx, at)
}

// Beside returns those of the names that are plain files of the model's folder. It returns none if the ONNX file is in a
// folder of its own.
func (m *Model) Beside(ctx context.Context, names []string) ([]string, error) {
	if path.Dir(m.File) != "." {
		return nil, nil
	}
	all, err := m.files.list(ctx)
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(all, name) }), err
}

// modelFile reads MLmodel, and returns the path of the ONNX file that it names.
func modelFile(ctx context.Context, at files) (string, error) {
	file, _, err := at.open(ctx, "MLmodel")
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(file, maxDescription+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > maxDescription:
		return "", infer.Errorf(infer.Invalid, "MLmodel has more than %d bytes", maxDescription)
	}
	return parseDescription(text)
}

// parseDescription returns the path of the ONNX file from the text of MLmodel.
func parseDescription(text []byte) (string, error) {
	var description struct {
		Flavors map[string]yaml.Node `yaml:"flavors"`
	}
	if err := yaml.Unmarshal(text, &description); err != nil {
		return "", &infer.Error{Code: infer.Invalid, Msg: "MLmodel is not valid YAML with flavors", Err: err}
	}
	node, ok := description.Flavors["onnx"]
	if !ok {
		have := slices.Sorted(maps.Keys(description.Flavors))
		return "", infer.Errorf(infer.Invalid, "the model has the flavors %s, and not onnx, which the gateway serves: convert it to ONNX, for example with "+
			"skl2onnx.to_onnx, and log that with mlflow.onnx.log_model", quote(strings.Join(have, ", ")))
	}
	var flavor struct {
		Data string `yaml:"data"`
	}
	if err := node.Decode(&flavor); err != nil {
		return "", &infer.Error{Code: infer.Invalid, Msg: "MLmodel: flavors.onnx is not valid", Err: err}
	}
	if !fs.ValidPath(flavor.Data) || flavor.Data == "." || strings.ContainsAny(flavor.Data, "\\\x00") {
		return "", infer.Errorf(infer.Invalid, "MLmodel: flavors.onnx.data is %s, expected the path of a file in the model's folder", quote(flavor.Data))
	}
	return flavor.Data, nil
}

// metadata returns what is known of a version: page is the address of its page, and run is where it was trained.
func metadata(page string, v *version, r *run) (m api.VersionMetadata) {
	l := &m.Lineage
	l.Source, l.Run = page, v.RunID
	l.Metrics, l.Parameters = map[string]float64{}, map[string]string{}
	for _, list := range [][]metric{r.Data.Metrics, v.Metrics} {
		for _, x := range list {
			if value := float64(x.Value); !math.IsNaN(value) && !math.IsInf(value, 0) {
				l.Metrics[x.Key] = value
			}
		}
	}
	for _, list := range [][]pair{r.Data.Params, v.Params} {
		for _, p := range list {
			l.Parameters[p.Key] = p.Value
		}
	}
	m.Tags = map[string]string{}
	for _, p := range r.Data.Tags {
		if p.Key == "mlflow.source.git.commit" {
			l.CodeRevision = p.Value
		}
		if !strings.HasPrefix(p.Key, "mlflow.") { // the server's own
			m.Tags[p.Key] = p.Value
		}
	}
	for _, p := range v.Tags {
		if !strings.HasPrefix(p.Key, "mlflow.") {
			m.Tags[p.Key] = p.Value
		}
	}
	for _, d := range r.Inputs.Datasets {
		name := strings.Trim(d.Dataset.Name+"@"+d.Dataset.Digest, "@")
		l.DataSnapshot = strings.Trim(l.DataSnapshot+", "+name, ", ")
	}
	if v.Description != "" {
		m.Card = map[string]any{"description": v.Description}
	}
	return m
}
