package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
)

// losing returns the settings of "double" with labels, and losses in windows of 50 rows.
func losing(dir string) string {
	return fmt.Sprintf("data_dir: %q\nmodels: {double: {%s, drift: {rows: 50, loss_reference: 100, min_rows: 20}, labels: {sample: 100%%, task: classification, scores: logits}}}", dir, fakeModels)
}

// judged sends requests of ten rows with labels, of which that many are not what the model answers.
func judged(t *testing.T, g *gateway, name string, requests, wrong int) {
	t.Helper()
	for i := range requests {
		id := fmt.Sprintf("%s-%d", name, i)
		asked(t, g, "double", id, make([]int, 10)...)
		rows := make([]string, 10)
		for row := range rows {
			label := 0
			if row < wrong {
				label = 1
			}
			rows[row] = fmt.Sprintf(`{"request_id":%q,"row":%d,"label":%d}`, id, row, label)
		}
		if got := labels(t, g, "double", `{"labels":[`+strings.Join(rows, ",")+`]}`); got.Joined != 10 {
			t.Fatalf("%+v", got)
		}
	}
}

// lossUntil waits for a state of the losses of version 1.
func lossUntil(t *testing.T, g *gateway, state string) api.LossStatus {
	t.Helper()
	for range 3000 {
		for _, s := range labelReport(t, g).Losses {
			if s.Version == 1 && s.Role == api.RoleDefault && s.State == state {
				return s
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not %s: %+v", state, labelReport(t, g).Losses)
	return api.LossStatus{}
}

func lossEvents(t *testing.T, g *gateway) (states []string) {
	t.Helper()
	var events []api.Event
	if err := json.Unmarshal([]byte(g.must(t, http.MethodGet, g.admin+"/api/v1/journal?type=loss.state", "")), &events); err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		var x api.LossEvidence
		if err := json.Unmarshal(e.After, &x); err != nil {
			t.Fatal(err)
		}
		states = append(states, x.From+" "+x.State)
	}
	return states
}

// TestLosses: labels that show a worse model raise one alarm, also over restarts, and a request for
// retraining; the alarm ends when labels show that it is well again.
func TestLosses(t *testing.T) {
	dir, data := doubles(t, 1), t.TempDir()
	fakes := &fakes{}
	g := startOn(t, fakes, dir, losing(data))
	judged(t, g, "reference", 100, 1)
	lossUntil(t, g, "OK")
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	g = startOn(t, fakes, dir, losing(data))
	judged(t, g, "worse", 60, 6)
	s := lossUntil(t, g, "DETECTED")
	if f := s.Findings[0]; s.Reference != "first labelled rows" || f.State != "DETECTED" || f.Value < 0.3 || s.Since.IsZero() {
		t.Errorf("%+v", s)
	}
	var list []api.Signal
	for range 3000 {
		if err := json.Unmarshal([]byte(g.must(t, http.MethodGet, g.admin+"/api/v1/signals", "")), &list); err != nil {
			t.Fatal(err)
		}
		if len(list) > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if len(list) != 1 || list[0].Cause != api.CausePerformance || list[0].Type != api.TypeRetrainRequested || list[0].ModelDigest == "" {
		t.Fatalf("%+v", list)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	g = startOn(t, fakes, dir, losing(data))
	if again := lossUntil(t, g, "DETECTED"); !again.Since.Equal(s.Since) {
		t.Errorf("since %v, then %v", s.Since, again.Since)
	}
	judged(t, g, "well", 60, 1)
	lossUntil(t, g, "OK")
	got := ""
	for range 3000 { // the state is shown before it is in the journal
		if got = strings.Join(lossEvents(t, g), ", "); got == "OK DETECTED, RECOVERING OK" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error(got)
}
