package mlflow_test

import (
	"io/fs"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/mlflow"
)

// A path from MLmodel never leads out of the folder.
func FuzzDescription(f *testing.F) {
	for _, seed := range []string{mlmodel, "flavors: {onnx: {data: ../x}}", "flavors: {onnx: &a [*a]}", "flavors: 1", "{", "flavors: {onnx: {data: \"a\\0b\"}}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path, err := mlflow.ParseDescription(text)
		if err != nil && infer.CodeOf(err) != infer.Invalid {
			t.Error(err)
		}
		if err == nil && (!fs.ValidPath(path) || path == ".") {
			t.Errorf("%q", path)
		}
	})
}
