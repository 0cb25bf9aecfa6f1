package capture_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"sluice.io/sluice/internal/capture"
	"sluice.io/sluice/internal/infer"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, append(leftover(), goleak.Cleanup(os.Exit))...)
}

// all captures every request.
func all() capture.Settings {
	return capture.Settings{Sample: 10000, MaxRequest: 1 << 20, Parameters: true}
}

// options are those of a store in a folder.
func options(t testing.TB, dir string) capture.Options {
	t.Helper()
	return capture.Options{
		Open:    func(context.Context) (*capture.Bucket, error) { return capture.OpenDir(dir) },
		Gateway: "g1", Version: "v1", RotateSize: 1 << 20, RotateAge: time.Minute, MaxBuffer: 8 << 20, Retention: 30 * 24 * time.Hour,
		WriteTimeout: 10 * time.Second, FlushTimeout: 10 * time.Second, Logger: quiet(t),
	}
}

func quiet(t testing.TB) *zap.Logger {
	t.Helper()
	return zaptest.NewLogger(t, zaptest.Level(zap.FatalLevel))
}

// running runs a store until stop or the end of the test.
func running(t testing.TB, s *capture.Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = func() {
		cancel()
		err := <-ended
		ended <- err
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// tabular is a model of rows with two numbers, that answers a score.
func tabular(version int64) *infer.Model {
	return infer.NewModel("credit", version,
		[]infer.TensorSpec{{Name: "x", DType: infer.FP32, Shape: infer.Shape{-1, 2}}},
		[]infer.TensorSpec{{Name: "score", DType: infer.FP32, Shape: infer.Shape{-1, 1}}})
}

func floats(values ...float32) (b []byte) {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// asked makes a request of rows and its answer.
func asked(id string, rows int) (*infer.Request, *infer.Response) {
	x, score := make([]float32, 2*rows), make([]float32, rows)
	for i := range x {
		x[i] = float32(i)
	}
	for i := range score {
		score[i] = float32(i) / 2
	}
	resp := infer.NewResponse()
	resp.AddCopy("score", 0, infer.FP32, infer.Shape{int64(rows), 1}, floats(score...))
	return &infer.Request{
		RequestID: id, Arrived: time.Now(), Caller: "alice", Parameters: []byte(`{"tier":"gold"}`),
		Served: infer.Served{Reason: infer.ReasonDefault},
		Inputs: []infer.Tensor{{Name: "x", DType: infer.FP32, Shape: infer.Shape{int64(rows), 2}, Data: floats(x...)}},
	}, resp
}

// send captures n requests.
func send(tap *capture.Tap, prefix string, n, rows int) {
	for i := range n {
		req, resp := asked(fmt.Sprintf("%s-%d", prefix, i), rows)
		tap.Capture(req, resp, "default", 3*time.Millisecond)
		resp.Release()
	}
}

// files returns the paths of the Parquet files below a folder.
func files(t testing.TB, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".parquet") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func read(t testing.TB, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// requests returns the requests of all files.
func requests(t testing.TB, dir string) (list []*capture.Request) {
	t.Helper()
	for _, name := range files(t, dir) {
		if strings.Contains(name, "labels/") {
			continue
		}
		f, err := capture.OpenFile(read(t, name))
		if err == nil {
			err = f.Requests(func(r *capture.Request) error { list = append(list, r); return nil })
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return list
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
