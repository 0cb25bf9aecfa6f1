package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// asTrainer makes this test program a trainer.
const asTrainer = "SLUICE_TEST_TRAINER"

// train is a trainer that pushes a version, whose files follow from the seed.
func train() int {
	var doc api.TrainingRequest
	if err := json.NewDecoder(os.Stdin).Decode(&doc); err != nil {
		return 2
	}
	const pause = 50 * time.Millisecond // so that kills find it at work
	time.Sleep(pause)
	// The document is that of the first start; the gateway of this test has another port after each.
	_, path, _ := strings.Cut(doc.Calls.Push, "/api/")
	target := os.Getenv("SLUICE_URL") + "/api/" + path
	model := onnxgen.Scale(float32(doc.Seed%1000) + 2).Bytes()
	for range 2 { // the answer may have been lost
		req, err := http.NewRequest(http.MethodPost, target, bytes.NewReader(model)) //nolint:gosec // a URL of the document
		if err != nil {
			return 1
		}
		req.Header.Set("Authorization", "Bearer "+doc.Token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode/100 != 2 {
			return 1
		}
		_ = resp.Body.Close()
	}
	time.Sleep(pause)
	return 0
}

var loopKills = flag.Int("loop-kills", 36, "how often TestKillRetraining kills the gateway, at least")

// TestKillRetraining kills the gateway in each state of retrainings. The next start goes on: of each request that was answered 2xx there is one version,
// one comparison and one end, the token of its trainer is valid until then and not longer, and no program is left.
func TestKillRetraining(t *testing.T) {
	repository, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	if err := onnxgen.Scale(1).As("reg").Write(repository, 1); err != nil {
		t.Fatal(err)
	}
	t.Setenv(asTrainer, "1")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	k := killable(t, repository, data, fmt.Sprintf(
		"defaults: {instances: 1, warmup: false}\nretrain: {retry: 50ms}\nmodels: {reg: {retrain: {trainer: exec, attempts: 50, exec: {command: [%q], env: [%s]}}}}\n", self, asTrainer))
	k.start(t)
	order := []string{api.RetrainRequested, api.RetrainAccepted, api.RetrainRunning, api.RetrainRegistered, api.RetrainJudged, api.RetrainFinished}
	ids := map[string]bool{}
	for i, all := 0, 0; all < *loopKills; i++ {
		id := k.askRetraining(t)
		ids[id] = true
		killed := 0
		for j := i % len(order); j < len(order); j++ {
			k.awaitRetraining(t, id, order[j:])
			k.stop(t)
			killed++
			all++
			k.start(t)
		}
		r := k.awaitRetraining(t, id, order[len(order)-1:])
		if r.Candidate != int64(i+2) || r.Judgement == nil || r.Judgement.Verdict != api.VerdictUnknown {
			t.Errorf("after %d kills: %+v", killed, r)
		}
		k.wantRetrained(t, id)
	}
	k.wantAll(t, ids)
	k.stop(t)
	if verified := command(t, "", []string{"journal", "verify", "--data-dir", data}); verified.code != exitOK {
		t.Errorf("%+v", verified)
	}
}

// wantAll checks that there are the retrainings that were answered, and no others, each with a version of its own, and that no token is valid.
func (k *killed) wantAll(t *testing.T, ids map[string]bool) {
	t.Helper()
	var list []api.Retraining
	k.control(t, http.MethodGet, "/api/v1/retrainings?model=reg", "", &list)
	versions := map[int64]bool{}
	for i := range list {
		r := &list[i]
		if !ids[r.ID] || r.State != api.RetrainFinished || versions[r.Candidate] {
			t.Errorf("%+v", *r)
		}
		versions[r.Candidate] = true
	}
	var stored []api.VersionInfo
	k.control(t, http.MethodGet, "/api/v1/models/reg/versions", "", &stored)
	if len(list) != len(ids) || len(stored) != len(ids)+1 {
		t.Errorf("%d retrainings and %d versions of %d requests", len(list), len(stored), len(ids))
	}
	var callers []api.Caller
	k.control(t, http.MethodGet, "/api/v1/callers", "", &callers)
	for _, c := range callers {
		if strings.HasPrefix(c.Name, "retrain:") {
			t.Errorf("%s may still call", c.Name)
		}
	}
}

// control sends a request to the control API and decodes its answer.
func (k *killed) control(t *testing.T, method, path, body string, to any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, k.admin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if err := json.NewDecoder(resp.Body).Decode(to); err != nil || resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %d %v %+v", method, path, resp.StatusCode, err, to)
	}
}

func (k *killed) askRetraining(t *testing.T) string {
	t.Helper()
	var r api.Retraining
	k.control(t, http.MethodPost, "/api/v1/models/reg/retrain", `{"reason":"a test"}`, &r)
	return r.ID
}

// awaitRetraining waits until a retraining is in one of some states.
func (k *killed) awaitRetraining(t *testing.T, id string, states []string) (r api.Retraining) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		r = api.Retraining{}
		k.control(t, http.MethodGet, "/api/v1/signals/"+id+"/retraining", "", &r)
		if slices.Contains(states, r.State) {
			return r
		}
		if r.Final() {
			t.Fatalf("the retraining ended: %+v", r)
		}
	}
	t.Fatalf("it did not become %v within a minute: %+v", states, r)
	return r
}

// wantRetrained checks that each step of a retraining is in the journal once, and that no program is left.
func (k *killed) wantRetrained(t *testing.T, id string) {
	t.Helper()
	want := map[string]int{api.EventRetrainRequested: 1, api.EventRetrainJudged: 1, api.EventRetrainFinished: 1, api.EventRetrainClosed: 1}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		var events []api.Event
		k.control(t, http.MethodGet, "/api/v1/journal?limit=1000&subject=retrain/"+id, "", &events)
		got := map[string]int{}
		for _, e := range events {
			if want[e.Type] > 0 {
				got[e.Type]++
			}
		}
		if fmt.Sprint(got) == fmt.Sprint(want) && trainersLeft(t, id) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the journal has %v, want %v; %d programs are left", got, want, trainersLeft(t, id))
		}
	}
}

// trainersLeft counts the training programs of a retraining.
func trainersLeft(t *testing.T, id string) (n int) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if env, err := os.ReadFile(filepath.Join(dir, "environ")); err == nil && bytes.Contains(env, []byte("SLUICE_RETRAIN_ID="+id)) {
			n++
		}
	}
	return n
}
