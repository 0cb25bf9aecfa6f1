package capture_test

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/capture"
	"sluice.io/sluice/internal/infer"
)

func TestWriteAndRead(t *testing.T) {
	dir := t.TempDir()
	s := capture.New(options(t, dir))
	tap, err := s.Tap(tabular(1), "sha256:d", all())
	if err != nil {
		t.Fatal(err)
	}
	stop := running(t, s)
	send(tap, "a", 3, 2)
	stop()
	got := requests(t, dir)
	if len(got) != 3 {
		t.Fatalf("%d requests", len(got))
	}
	want := &capture.Request{
		ID: "a-1", Time: got[1].Time, Duration: 3 * time.Millisecond, Role: "default", Reason: "default", Caller: "alice",
		Parameters: []byte(`{"tier":"gold"}`), Rows: 2,
		Inputs:  []infer.Tensor{{Name: "x", DType: infer.FP32, Shape: infer.Shape{2, 2}, Data: floats(0, 1, 2, 3)}},
		Outputs: []infer.Tensor{{Name: "score", DType: infer.FP32, Shape: infer.Shape{2, 1}, Data: floats(0, 0.5)}},
	}
	if diff := cmp.Diff(want, got[1]); diff != "" {
		t.Error(diff)
	}
	var m api.CaptureManifest
	if err := json.Unmarshal(read(t, dir, "model=credit/_manifest-g1.json"), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Files) != 1 || m.Files[0].Rows != 6 || filepath.Join(dir, m.Files[0].Path) != files(t, dir)[0] || s.Waiting() != 0 {
		t.Errorf("%+v", m)
	}
}
