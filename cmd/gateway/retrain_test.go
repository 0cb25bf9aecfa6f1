package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
)

// retrainSide is a control API with retrainings. It records changes.
func retrainSide(t *testing.T) (url string, changes *[]string) {
	t.Helper()
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.Local)
	half := 0.5
	list := []api.Retraining{
		{
			ID: "aaaaaaaaaa", Model: "iris", Parent: 2, Cause: api.CauseDrift, State: api.RetrainRunning, Trainer: api.TrainerExec, RequestedAt: at, AcceptedAt: &at, Deadline: &at,
			Progress: &half, Message: "trial 1\x1b[31m", Document: "sha256:1",
		},
		{
			ID: "bbbbbbbbbb", Model: "wine", Parent: 1, Cause: api.CauseManual, State: api.RetrainFinished, RequestedAt: at, Candidate: 2, Digest: "sha256:2", Rollout: "wine-1",
			Why: "rollout 'wine-1' has begun", Judgement: &api.Judgement{Verdict: api.VerdictBetter, Why: "error 0.1, 0.2 of the parent", Rows: 100, Labelled: 90},
		},
	}
	changes = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			*changes = append(*changes, r.URL.Path+" "+strings.TrimSpace(string(body))+r.Header.Get("Sluice-Change-Reason"))
		}
		var answer any = list[0]
		switch {
		case r.URL.Path == "/api/v1/retrainings":
			answer = list
		case r.URL.Path == "/api/v1/signals":
			answer = []api.Signal{{SignalData: api.SignalData{ID: list[0].ID}}, {SignalData: api.SignalData{ID: list[1].ID}}}
		case strings.HasSuffix(r.URL.Path, "/simulation"):
			*changes = append(*changes, r.URL.RawQuery)
			answer = api.RetrainSimulation{
				Requests: 1, Since: at, Until: at, Made: []api.RetrainMade{{}, {}}, Notes: []string{"a note"}, Policy: api.RetrainPolicy{Budget: 4},
				Steps: []api.RetrainStep{
					{At: at, Cause: api.CauseDrift, Version: 2, Role: "stable", Features: []string{"input a", "input b"}},
					{At: at, Cause: api.CauseSchedule, HeldBack: api.HeldBackBudget, Retry: at},
				},
			}
		case strings.HasSuffix(r.URL.Path, "/log"):
			_, _ = io.WriteString(w, "epoch 1\n\x1b[31mred\n")
			return
		case strings.HasSuffix(r.URL.Path, "/training"):
			answer = api.TrainingRequest{Format: 1, ID: "bbbbbbbbbb"}
		case strings.Contains(r.URL.Path, "bbbbbbbbbb"):
			answer = list[1]
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server.URL, changes
}

func TestRetrainCommands(t *testing.T) {
	url, changes := retrainSide(t)
	f := func(want string, args ...string) {
		t.Helper()
		got := command(t, "", append([]string{"retrain", "--admin", url}, args...), "SLUICE_ACTOR", "tester")
		if got.code != exitOK || !strings.Contains(got.out, want) || strings.Contains(got.out, "\x1b") {
			t.Errorf("%v: %+v, want %q", args, got, want)
		}
	}
	f("aaaaaaaa  iris   2       drift   running   exec     2026-05-04 03:02:01  -        -        -", "list")
	f("bbbbbbbb  wine   1       manual  finished  -        2026-05-04 03:02:01  2        better   rollout 'wine-1' has begun")
	f("Progress   50 %", "show", "aaaa")
	f("Compared   error 0.1, 0.2 of the parent; 100 rows, 90 with labels", "show", "bbbb")
	f("epoch 1\n·[31mred\n", "log", "aaaa")
	f(`"id": "bbbbbbbbbb"`, "document", "bbbb")
	f("is requested; follow it with gateway retrain show aaaaaaaa", "request", "iris", "--reason", "new labels")
	f("is canceled", "cancel", "aaaa", "--reason", "wrong data")
	want := []string{`/api/v1/models/iris/retrain {"reason":"new labels"}`, "/api/v1/signals/aaaaaaaaaa/cancel wrong data"}
	if strings.Join(*changes, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", *changes, want)
	}
	if got := command(t, "", []string{"retrain", "request", "iris", "--admin", url}); got.code != exitUsage {
		t.Errorf("without a reason: %+v", got)
	}
}

func TestRetrainSimulate(t *testing.T) {
	url, asked := retrainSide(t)
	file := filepath.Join(t.TempDir(), "next.yaml")
	if err := os.WriteFile(file, []byte("repository: {path: m}\nretrain: {cool_down: 5h}\nmodels: {iris: {retrain: {budget: 3, schedule: 100h}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(query string, args ...string) {
		t.Helper()
		*asked = nil
		got := command(t, "", append([]string{"retrain", "simulate", "iris", "--admin", url}, args...))
		for _, want := range []string{"would have made 1 requests; the gateway made 2.", "requested          input a, input b", "held back: budget  until 2026-05-04", "note: a note", "budget 4"} {
			if !strings.Contains(got.out, want) {
				t.Errorf("%v: %+v, want %q", args, got, want)
			}
		}
		if got.code != exitOK || strings.Join(*asked, " ") != query {
			t.Errorf("%v: %+v, asked %q, want %q", args, got, *asked, query)
		}
	}
	f("")
	f("budget=0&cool_down=24h&since=2026-05-01T00%3A00%3A00Z&training=1h", "--budget", "0", "--cool-down", "24h", "--since", "2026-05-01T00:00:00Z", "--training", "1h")
	f("budget=3&cool_down=1h&lookback=720h0m0s&min_labels=0&schedule=100h0m0s&unpromised=hold", "--config", file, "--cool-down", "1h")
	f("unpromised=ask", "--unpromised", "ask")
	if got := command(t, "", []string{"retrain", "simulate", "iris", "--admin", url, "--since", "yesterday"}); got.code != exitUsage {
		t.Errorf("%+v", got)
	}
}
