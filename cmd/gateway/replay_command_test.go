package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// capturedTraffic starts a gateway with versions 1 and 2 of "scale", which multiply by their number.
// Version 1 answers 20 requests of two rows, whose captured files are in the bucket.
func capturedTraffic(t *testing.T) (admin, bucket string) {
	t.Helper()
	dir, data := t.TempDir(), t.TempDir()
	for version := int64(1); version <= 3; version++ {
		if err := onnxgen.Scale(float32(version)).Write(dir, version); err != nil {
			t.Fatal(err)
		}
	}
	at, admin := served(t, dir, fmt.Sprintf("data_dir: %q\ncapture: {rotate_age: 100ms}\nmodels: {scale: {versions: [1], capture: {sample: 100%%}}}\nroutes: {scale: {variants: [{version: 1, weight: 100%%}, {version: 2, weight: 0%%, role: canary}]}}\n", data))
	c, err := client.New(client.Options{Data: at, Admin: admin})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range 20 {
		x := client.NewTensor("x", []int64{2, 1}, []float32{float32(i), 1})
		if _, err := c.Infer(t.Context(), "scale", client.InferRequest{RequestID: fmt.Sprintf("r%d", i), Inputs: []client.Tensor{x}}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3000 {
		if list, err := c.Captured(t.Context()); err != nil {
			t.Fatal(err)
		} else if len(list) == 1 && list[0].Rows == 40 {
			return admin, filepath.Join(data, "capture")
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("nothing is captured")
	return "", ""
}

func TestReplay(t *testing.T) {
	admin, bucket := capturedTraffic(t)
	ask := func(code int, args ...string) (doc replayDocument, text string) {
		t.Helper()
		got := command(t, "", append([]string{"replay", "scale", "--admin", admin, "-o", "json"}, args...))
		if got.code != code {
			t.Fatalf("%v: %+v", args, got)
		}
		if strings.HasPrefix(got.out, "{") {
			if err := json.Unmarshal([]byte(got.out), &doc); err != nil {
				t.Fatal(err)
			}
		}
		return doc, got.errOut
	}
	same, _ := ask(exitOK, "--version", "1", "--from", bucket, "--fail")
	if o := same.Outputs[0]; same.Requests != 20 || same.Compared != 20 || same.Differing != 0 || o.Equal != 1 || o.Elements != 40 || same.Reference.Count != 20 || same.Candidate.P99 <= 0 {
		t.Errorf("%+v", same)
	}
	differ, text := ask(exitFailed, "--version", "2", "--from", bucket, "--fail", "--concurrency", "1")
	// 0 times anything is equal; the largest number differs most.
	if o := differ.Outputs[0]; differ.Differing != 20 || o.Beyond != 39 || o.MaxAbsolute != 19 || o.MaxRelative != 0.5 || len(differ.Worst) != 10 || !strings.Contains(text, "--fail") {
		t.Errorf("%+v %s", differ, text)
	}
	if w := differ.Worst[0]; w.Output != "y" || w.Candidate == w.Reference || !strings.HasPrefix(w.RequestID, "r") {
		t.Errorf("%+v", w)
	}
	if d, _ := ask(exitOK, "--version", "2", "--from", bucket, "--tolerance", "1", "--pace", "1000x", "--limit", "7", "--against", "1"); d.Requests != 7 || d.Differing != 0 || d.Against != 1 {
		t.Errorf("%+v", d)
	}
	if _, text := ask(exitFailed, "--version", "3", "--from", bucket); !strings.Contains(text, "not loaded") {
		t.Error(text)
	}
	if _, text := ask(exitFailed, "--version", "1", "--from", bucket, "--since", "2099-01-01T00:00:00Z"); !strings.Contains(text, "no requests") {
		t.Error(text)
	}
	for _, from := range [][]string{nil, {"--from", "file://" + bucket}} { // through the API, and as a bucket
		same, _ := ask(exitOK, append([]string{"--version", "1", "--fail"}, from...)...)
		if same.Requests != 20 || same.Compared != 20 || same.Differing != 0 || same.Read.Files == 0 {
			t.Errorf("%v: %+v", from, same)
		}
	}
	if _, text := ask(exitFailed, "--version", "1", "--until", "1h"); !strings.Contains(text, "no requests") {
		t.Error(text)
	}
	if _, text := ask(exitFailed, "--version", "1", "--from", "ftp://x"); !strings.Contains(text, "expected a URL that begins with") {
		t.Error(text)
	}
	lines := filepath.Join(t.TempDir(), "requests.jsonl")
	place(t, lines, `{"id":"a","inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[3]}]}`+"\n\n"+`{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[]}]}`)
	d, _ := ask(exitFailed, "--version", "2", "--from", lines, "--against", "1", "--fail")
	if d.Requests != 2 || d.Errors != 1 || d.Compared != 1 || d.Worst[0].RequestID != "a" || d.Causes[0].First != "line 3" {
		t.Errorf("%+v", d)
	}
	if _, text := ask(exitFailed, "--version", "2", "--from", lines, "--pace", "1x"); !strings.Contains(text, "no times") {
		t.Error(text)
	}
	printed := command(t, "", []string{"replay", "scale", "--admin", admin, "--version", "2", "--from", bucket})
	expectLines(t, printed, "scale version 2, compared with the recorded answers", "20 requests in", "OUTPUT", "y ", "LATENCY", "before ", "now ", "WORST ROWS")
}

func TestReplayOfDamagedFiles(t *testing.T) {
	admin, bucket := capturedTraffic(t)
	files, err := filepath.Glob(filepath.Join(bucket, "model=scale", "version=1", "day=*", "*.parquet"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{good[:len(good)/2], append([]byte("PAR1"), make([]byte, 1000)...), []byte("PAR1"), nil, []byte("{}")} {
		file := filepath.Join(t.TempDir(), "bad.parquet")
		place(t, file, string(data))
		if got := command(t, "", []string{"replay", "scale", "--admin", admin, "--version", "1", "--from", file}); got.code != exitFailed || strings.Contains(got.errOut, file) {
			t.Errorf("%d bytes: %+v", len(data), got)
		}
	}
	place(t, filepath.Join(filepath.Dir(files[0]), "00000000.parquet"), string(good[:len(good)/2]))
	got := command(t, "", []string{"replay", "scale", "--admin", admin, "--version", "1", "--from", bucket})
	expectLines(t, got, "20 requests in", "damaged: 00000000.parquet: ")
	text := filepath.Join(t.TempDir(), "lines")
	place(t, text, "{}")
	if got := command(t, "", []string{"replay", "scale", "--admin", admin, "--version", "1", "--from", text}); got.code != exitFailed || !strings.Contains(got.errOut, "line 1") {
		t.Errorf("%+v", got)
	}
}

func TestReplayFlags(t *testing.T) {
	f := func(args ...string) {
		t.Helper()
		if got := command(t, "", append([]string{"replay", "scale"}, args...)); got.code != exitUsage {
			t.Errorf("%v: %+v", args, got)
		}
	}
	f("--from", "x")
	for _, bad := range []string{"--pace=0x", "--pace=2", "--pace=-1x", "--pace=NaNx", "--concurrency=0", "--concurrency=99", "--limit=-1", "--tolerance=-1", "--tolerance=NaN", "--since=x", "--against=-1"} {
		f("--version", "1", "--from", "x", bad)
	}
}
