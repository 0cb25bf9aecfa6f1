//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// scaled returns a model of a MiB that multiplies 2¹⁸ values with a factor.
func scaled(factor float32) []byte {
	const size = 1 << 18
	values := make([]float32, size)
	for i := range values {
		values[i] = factor
	}
	g := onnxgen.New("scale")
	g.Output("y", infer.FP32, g.Op("Mul", g.Input("x", infer.FP32, size), g.Init(onnxgen.Float32s(values, size))), size)
	return g.Bytes()
}

// registryGateway starts a gateway with one model, which a test can push versions to.
func registryGateway(t *testing.T) (k *killed, repository string) {
	t.Helper()
	repository = t.TempDir()
	g := onnxgen.New("other")
	g.Output("y", infer.FP32, g.Op("Neg", g.Input("x", infer.FP32, "N", 1)), "N", 1)
	if err := g.As("other").Write(repository, 1); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	text := fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: '127.0.0.1:0'}, grpc: {address: none}}\nadmin: {address: '127.0.0.1:0'}\ndata_dir: %q\ndefaults: {instances: 1, warmup: false}\n",
		repository, filepath.Join(t.TempDir(), "data"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k = &killed{args: []string{"serve", "-c", file}}
	k.start(t)
	return k, repository
}

// TestKillPush kills the gateway at each step of a push. After the next start the version is whole
// or absent, nothing is left in the staging, and the same push succeeds.
func TestKillPush(t *testing.T) {
	k, repository := registryGateway(t)
	steps := []string{
		".sluice/staging/*", ".sluice/staging/*/files/model.onnx", ".sluice/staging/*/files/sluice.json", ".sluice/staging/*/model", "scale/%d", "",
	}
	whole := 0
	for i := range 2 * len(steps) {
		step, number := steps[i%len(steps)], i+1
		if strings.Contains(step, "%d") {
			step = fmt.Sprintf(step, number)
		}
		target := fmt.Sprintf("/api/v1/models/scale/versions/%d", number)
		answered := make(chan error, 1)
		go func() { answered <- k.push(target, number) }() // ends with the gateway
		var acknowledged error
		if step == "" {
			acknowledged = <-answered
		} else {
			acknowledged = reached(t, filepath.Join(repository, step), answered)
		}
		k.stop(t)
		k.start(t)
		if pushed(t, k, repository, number) {
			whole++
		} else if acknowledged == nil {
			t.Errorf("version %d was acknowledged and is not there", number)
		}
		if err := k.push(target, number); err != nil {
			t.Errorf("the push again: %v", err)
		}
		if !pushed(t, k, repository, number) {
			t.Errorf("version %d is not there", number)
		}
	}
	k.stop(t)
	t.Logf("%d of %d versions were whole after the kill", whole, 2*len(steps))
}

// push pushes a version whose factor is its number.
func (k *killed) push(target string, number int) error {
	req, err := http.NewRequest(http.MethodPut, k.admin+target, bytes.NewReader(scaled(float32(number))))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only the status counts
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

var errUnanswered = errors.New("there is no answer yet")

// reached waits until a file exists, or the push has ended. It returns the outcome of the push.
func reached(t *testing.T, pattern string, answered <-chan error) error {
	t.Helper()
	for {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-answered:
			return err
		default:
		}
		if len(found) > 0 {
			return errUnanswered
		}
	}
}

// pushed reports whether a version is in the repository, and checks that it is whole.
func pushed(t *testing.T, k *killed, repository string, number int) bool {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(repository, ".sluice", "staging", "*")); err != nil || len(left) > 0 {
		t.Errorf("the staging has %v, %v", left, err)
	}
	var events []api.Event
	if err := k.call(http.MethodGet, fmt.Sprintf("%s/api/v1/journal?type=version.registered&subject=models/scale/%d", k.admin, number), nil, &events); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(repository, "scale", strconv.Itoa(number))
	if _, err := os.Stat(folder); err != nil {
		if len(events) != 0 {
			t.Errorf("version %d is not there and has %d events", number, len(events))
		}
		return false
	}
	var info api.VersionInfo
	if err := k.call(http.MethodGet, fmt.Sprintf("%s/api/v1/models/scale/versions/%d", k.admin, number), nil, &info); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(folder, "model.onnx"))
	if err != nil || !bytes.Equal(file, scaled(float32(number))) || info.Record == nil || len(events) != 1 {
		t.Errorf("version %d is not whole: %d bytes, %v, %+v, %d events", number, len(file), err, info, len(events))
		return true
	}
	if d := command(t, "", []string{"models", "digest", folder}); !strings.Contains(d.out, info.Record.Digest) {
		t.Errorf("the record has %s, the files %s", info.Record.Digest, d.out)
	}
	return true
}
