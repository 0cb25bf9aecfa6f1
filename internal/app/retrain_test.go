package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// trainerVariable makes this test program a trainer of the kind that it names.
const trainerVariable = "SLUICE_TEST_TRAINER"

// trainerDir is the variable with a folder for the trainer and its test.
const trainerDir = "SLUICE_TEST_DIR"

// trainerToken is that of the training program.
var trainerToken string

// trainer is a training program. It returns its exit status.
func trainer(kind string) int {
	text, err := io.ReadAll(os.Stdin)
	var doc api.TrainingRequest
	if err = jsonOf(text, err, &doc); err != nil {
		fmt.Println("the document:", err)
		return 2
	}
	own := bytes.Replace(text, []byte(",\n \"token\": \""+doc.Token+"\""), nil, 1) // the file does not have the token
	if file, err := os.ReadFile(os.Getenv("SLUICE_REQUEST")); err != nil || doc.Token == "" || !bytes.Equal(file, own) {
		fmt.Println("the file of the document differs:", err)
		return 2
	}
	for _, name := range []string{"SLUICE_TEST_SECRET"} {
		if os.Getenv(name) != "" {
			fmt.Println("the program has", name)
			return 2
		}
	}
	trainerToken = doc.Token
	progress := 0.5
	said, _ := json.Marshal(api.RetrainProgress{Progress: &progress, Message: "halfway", Log: "http://logs.example/1"})
	fmt.Println(post(doc.Calls.Progress, said))
	push := func(model []byte) int {
		status := post(doc.Calls.Push, model)
		fmt.Println("push:", status)
		if strings.HasPrefix(status, "2") {
			return 0
		}
		return 1
	}
	switch kind {
	case "hands": // the test does the rest
		fmt.Println("my token is", doc.Token)
		if err := os.WriteFile(filepath.Join(os.Getenv(trainerDir), "document"), text, 0o600); err != nil {
			fmt.Println(err)
		}
		time.Sleep(time.Hour)
	case "honest":
		return push(timesFile(3)) + push(timesFile(3)) // the second one changes nothing
	case "slow": // until the test has deleted the captured requests
		for {
			text := string(get(doc.Data.Export))
			if !strings.Contains(text, "r59") && !strings.Contains(text, "r0") {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		return push(timesFile(3))
	case "worse":
		return push(timesFile(9))
	case "signature":
		return push(onnxgen.Identity(infer.FP64, "N", 1).Bytes())
	case "other":
		doc.Calls.Push = strings.Replace(doc.Calls.Push, "/models/reg/", "/models/other/", 1)
		return push(timesFile(3))
	case "fails":
		said, _ := json.Marshal(api.RetrainFailure{Reason: "too few rows"})
		fmt.Println(post(doc.Calls.Fail, said))
		return 0
	case "silent":
		time.Sleep(time.Hour)
	case "floods":
		fmt.Println("the beginning")
		for range 2000 {
			fmt.Println(strings.Repeat("x", 999))
		}
		fmt.Println("the end")
		return 3
	}
	return 0
}

func jsonOf(text []byte, err error, to any) error {
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}

// calling sends a request as the trainer.
func calling(method, url string, body []byte) (*http.Response, error) {
	req, err := http.NewRequest(method, url, bytes.NewReader(body)) //nolint:gosec // a URL of the document
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Authorization", "Bearer "+trainerToken)
	return http.DefaultClient.Do(req)
}

// get returns an answer's body as JSON lines.
func get(url string) []byte {
	resp, err := calling(http.MethodGet, strings.Replace(url, "format=parquet", "format=jsonl", 1), nil)
	if err != nil {
		return []byte("r0 " + err.Error())
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, _ := io.ReadAll(resp.Body)
	return text
}

// post sends a body and returns status and answer.
func post(url string, body []byte) string {
	resp, err := calling(http.MethodPost, url, body)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, _ := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, text)
}

// retraining returns a gateway with model "reg", which multiplies by 2, and a trainer of a kind. Settings are those of the model's section
// retrain, or of the general sections if they begin with "retrain." or "capture.".
func retraining(t *testing.T, kind string, settings ...string) *gateway {
	t.Helper()
	return retrainingLogging(t, zaptest.NewLogger(t, zaptest.Level(logLevel)), kind, settings...)
}

// retrainingLogging is retraining with a given log. Settings that begin with "top." are sections of the file.
func retrainingLogging(t *testing.T, log *zap.Logger, kind string, settings ...string) *gateway {
	t.Helper()
	t.Setenv(trainerVariable, kind)
	t.Setenv("SLUICE_TEST_SECRET", "not for trainers")
	dir, data := t.TempDir(), t.TempDir()
	for _, name := range []string{"reg", "other"} {
		folder := filepath.Join(dir, name, "1")
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "model.onnx"), timesFile(2), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	general, rotate := extra("retrain.", &settings), strings.TrimPrefix(extra("capture.", &settings), ", ")
	if rotate == "" {
		rotate = "rotate_age: 100ms"
	}
	var top []string
	settings = slices.DeleteFunc(settings, func(s string) bool {
		section, ok := strings.CutPrefix(s, "top.")
		if ok {
			top = append(top, section)
		}
		return ok
	})
	settings = append([]string{
		fmt.Sprintf("trainer: exec, exec: {command: [%q, -test.run=^$], env: [%s, %s], max_output: 4KiB}, holdout: 0.9", os.Args[0], trainerVariable, trainerDir),
	}, settings...)
	return startLogging(t, log, nil, dir, append(top, fmt.Sprintf("data_dir: %q\ncapture: {%s}\nretrain: {retry: 100ms%s}\nmodels: {reg: {labels: {sample: 100%%}, capture: {sample: 100%%}, retrain: {%s}}}",
		data, rotate, general, strings.Join(settings, ", ")))...)
}

// learn sends labelled requests, of which three times the input is true, and waits until they are captured.
func learn(t *testing.T, g *gateway, n int) {
	t.Helper()
	var rows []string
	for i := range n {
		id := fmt.Sprintf("r%d", i)
		body := fmt.Sprintf(`{"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[%d]}]}`, i+1)
		if r, err := g.send(t.Context(), http.MethodPost, g.url+"/v2/models/reg/infer", body, "X-Request-Id", id); err != nil || r.status != http.StatusOK {
			t.Fatalf("%+v %v", r, err)
		}
		rows = append(rows, fmt.Sprintf(`{"request_id":%q,"label":%d}`, id, 3*(i+1)))
	}
	if got := labels(t, g, "reg", `{"labels":[`+strings.Join(rows, ",")+`]}`); int(got.Joined) != n { //nolint:gosec // small
		t.Fatalf("%+v", got)
	}
	waitFor(t, func() bool {
		var list []api.Captured
		if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/capture", "")), &list); err != nil {
			t.Fatal(err)
		}
		return len(list) == 1 && list[0].Rows >= int64(n) && list[0].Labels >= int64(n)
	})
}

// waitFor waits until a condition holds.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatal("it did not happen within a minute")
}

// retrain requests a retraining of "reg", and returns it.
func (g *gateway) retrain(t *testing.T) (r api.Retraining) {
	t.Helper()
	if err := json.Unmarshal([]byte(g.mustControl(t, "POST", "/api/v1/models/reg/retrain", "", `{"reason":"the world has changed"}`)), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// ended waits until a retraining has ended, and its signal is closed.
func (g *gateway) ended(t *testing.T, id string) (r api.Retraining) {
	t.Helper()
	waitFor(t, func() bool {
		var s api.Signal
		for what, to := range map[string]any{"/retraining": &r, "": &s} {
			if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/signals/"+id+what, "")), to); err != nil {
				t.Fatal(err)
			}
		}
		return r.Final() && s.State == api.SignalClosed
	})
	return r
}

func TestRetraining(t *testing.T) {
	g := retraining(t, "honest")
	learn(t, g, 200)
	asked := g.retrain(t)
	if asked.State != api.RetrainRequested || asked.Parent != 1 || asked.Cause != api.CauseManual {
		t.Errorf("%+v", asked)
	}
	r := g.ended(t, asked.ID)
	j := r.Judgement
	if r.State != api.RetrainFinished || r.Candidate != 2 || r.Trainer != api.TrainerExec || r.Attempts != 1 || *r.Progress != 0.5 || r.Message != "halfway" || r.Log == "" {
		t.Errorf("%+v, log:\n%s", r, g.must(t, "GET", g.admin+"/api/v1/signals/"+r.ID+"/log", ""))
	}
	if j == nil || j.Verdict != api.VerdictBetter || j.Candidate != 0 || j.Parent <= 0 || j.High >= 0 || j.Labelled < 50 || j.Loss != "absolute_error" {
		t.Fatalf("%+v", j)
	}
	var info api.VersionInfo
	if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/models/reg/versions/2", "")), &info); err != nil {
		t.Fatal(err)
	}
	if l := info.Record.Lineage; l.Retrain != r.ID || l.Parent != 1 || info.Record.Digest != r.Digest {
		t.Errorf("%+v", l)
	}
	if status, _ := g.call(t, "GET", g.admin+"/api/v1/models/reg/versions/3", ""); status != http.StatusNotFound {
		t.Errorf("the second push made a version: %d", status)
	}
	if status, text := g.control(t, "POST", "/api/v1/models/reg/versions?retrain="+r.ID, "", string(timesFile(4))); status != http.StatusConflict {
		t.Errorf("late files: %d %s", status, text)
	}
	wantTrail(t, g, r.ID, "retrain.requested", "retrain.accepted", "retrain.token", "retrain.running", "retrain.running", "retrain.judged", "retrain.finished", "retrain.closed")
	wantDocument(t, g, r)
}

// wantTrail checks the types of the events about a retraining.
func wantTrail(t *testing.T, g *gateway, id string, want ...string) {
	t.Helper()
	var events []api.Event
	if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/journal?subject=retrain/"+id, "")), &events); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		got = append(got, e.Type)
	}
	slices.SortFunc(events, func(a, b api.Event) int { return int(a.Seq - b.Seq) })
	if !slices.Equal(got, want) {
		t.Errorf("the events are %v, want %v", got, want)
	}
}

// wantDocument checks the document that the trainer of "reg" got.
func wantDocument(t *testing.T, g *gateway, r api.Retraining) {
	t.Helper()
	var doc api.TrainingRequest
	text := g.must(t, "GET", g.admin+"/api/v1/signals/"+r.ID+"/training", "")
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	switch d := doc.Data; {
	case doc.ID != r.ID || doc.Model != "reg" || doc.Reason != "the world has changed" || doc.Seed == 0:
		t.Errorf("%s", text)
	case doc.Parent.Version != 1 || !strings.HasPrefix(doc.Parent.Digest, "sha256:") || doc.Parent.Inputs[0].Name != "x":
		t.Errorf("%+v", doc.Parent)
	case d.Rows != 200 || d.Labels != 200 || len(d.Files) < 2 || d.FilesTotal != len(d.Files) || d.Files[0].SHA256 == "" || !d.Holdout.Before(d.Until) || d.Problem != "":
		t.Errorf("%+v", d)
	}
	rows, err := g.send(t.Context(), "GET", strings.Replace(doc.Data.Export, "format=parquet", "format=jsonl", 1), "")
	if err != nil || rows.status != http.StatusOK || strings.Count(rows.body, "\n") != 200 || strings.Count(rows.body, `"label_number"`) != 200 {
		t.Errorf("%v, %d rows", err, strings.Count(rows.body, "\n"))
	}
}

func TestBadTrainers(t *testing.T) {
	f := func(kind, state, why, log string, settings ...string) {
		t.Run(kind, func(t *testing.T) {
			g := retraining(t, kind, settings...)
			if kind == "worse" {
				learn(t, g, 200)
			}
			r := g.ended(t, g.retrain(t).ID)
			text := g.must(t, "GET", g.admin+"/api/v1/signals/"+r.ID+"/log", "")
			if r.State != state || !strings.Contains(r.Why, why) || !strings.Contains(text, log) || len(text) > 5<<10 {
				t.Errorf("%s: %s; log of %d bytes:\n%s", r.State, r.Why, len(text), text)
			}
			if kind != "worse" && r.Candidate != 0 {
				t.Errorf("version %d was registered", r.Candidate)
			}
		})
	}
	f("worse", api.RetrainFinished, "worse", "push: 201", "rollout: canary-auto")
	f("signature", api.RetrainFailed, "exit status 1", "version 1")
	f("other", api.RetrainFailed, "exit status 1", "push: 403")
	f("fails", api.RetrainFailed, "the trainer says: too few rows", "200")
	f("silent", api.RetrainFailed, "was killed", "200", "timeout: 2s")
	f("nothing", api.RetrainFailed, "pushed no version", "200")
	f("floods", api.RetrainFailed, "exit status 3: the end", "bytes are left out")
}

func TestCancelKillsTheTrainer(t *testing.T) {
	g := retraining(t, "silent")
	id := g.retrain(t).ID
	if status, text := g.control(t, "POST", "/api/v1/models/reg/retrain", "", `{"reason":"again"}`); status != http.StatusConflict || !strings.Contains(text, id) {
		t.Errorf("two at once: %d %s", status, text)
	}
	waitFor(t, func() bool {
		return strings.Contains(g.must(t, "GET", g.admin+"/api/v1/signals/"+id+"/retraining", ""), `"message":"halfway"`)
	})
	g.mustControl(t, "POST", "/api/v1/signals/"+id+"/cancel", "", "")
	if r := g.ended(t, id); r.State != api.RetrainRejected || !strings.Contains(r.Why, "canceled by") {
		t.Errorf("%+v", r)
	}
	for _, call := range []string{"/progress", "/cancel"} {
		if status, text := g.control(t, "POST", "/api/v1/signals/"+id+call, "", ""); status != http.StatusConflict {
			t.Errorf("%s: %d %s", call, status, text)
		}
	}
	waitFor(t, func() bool { return trainers(t) == 0 })
}

// trainers counts the training programs that run.
func trainers(t *testing.T) (n int) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err == nil && bytes.Contains(env, []byte(trainerVariable)) && bytes.Contains(env, []byte("SLUICE_RETRAIN_ID=")) {
			n++
		}
	}
	return n
}

func TestCanaryAuto(t *testing.T) {
	g := retraining(t, "honest", "rollout: canary-auto, preset: fast")
	learn(t, g, 200)
	r := g.ended(t, g.retrain(t).ID)
	var rollout api.Rollout
	if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/rollouts/reg", "")), &rollout); err != nil {
		t.Fatal(err)
	}
	if r.State != api.RetrainFinished || r.Rollout != rollout.ID || rollout.Spec.Version != 2 || rollout.StartedBy.Actor != "gateway" {
		t.Errorf("%+v, %+v", r, rollout)
	}
}
