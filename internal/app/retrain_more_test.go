package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
)

func TestShadowOnly(t *testing.T) {
	g := retraining(t, "honest", "rollout: shadow-only")
	r := g.ended(t, g.retrain(t).ID)
	if r.State != api.RetrainFinished || r.Judgement.Verdict != api.VerdictUnknown || !strings.Contains(r.Why, "shadow of route 'reg'") {
		t.Errorf("%+v", r)
	}
	var route api.Route
	if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/routes/reg", "")), &route); err != nil {
		t.Fatal(err)
	}
	if len(route.Shadows) != 1 || route.Shadows[0].Version != 2 || route.Variants[0].Version != 1 {
		t.Errorf("%+v", route)
	}
}

// TestDeletedData: the requests that a document names are deleted before the comparison.
func TestDeletedData(t *testing.T) {
	g := retraining(t, "slow")
	learn(t, g, 60)
	id := g.retrain(t).ID
	waitFor(t, func() bool {
		return strings.Contains(g.must(t, "GET", g.admin+"/api/v1/signals/"+id+"/retraining", ""), `"message":"halfway"`)
	})
	for i := range 60 {
		g.mustControl(t, "DELETE", "/api/v1/capture/reg?request_id=r"+strconv.Itoa(i), "", "")
	}
	r := g.ended(t, id)
	if r.State != api.RetrainFinished || r.Judgement.Verdict != api.VerdictUnknown || r.Judgement.Rows != 0 || !strings.Contains(r.Judgement.Why, "no captured requests") {
		t.Errorf("%+v %+v", r, r.Judgement)
	}
}

// TestWhatHoldsBack: the schedule makes requests, and the budget and the number of labels hold them back.
func TestWhatHoldsBack(t *testing.T) {
	f := func(why string, settings ...string) {
		t.Run(why, func(t *testing.T) {
			g := retraining(t, "fails", append([]string{"schedule: 1s"}, settings...)...)
			var e api.Event
			waitFor(t, func() bool {
				var events []api.Event
				if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/journal?type=retrain.suppressed", "")), &events); err != nil {
					t.Fatal(err)
				}
				if len(events) > 0 {
					e = events[0]
				}
				return len(events) > 0
			})
			var held api.SignalSuppression
			if err := json.Unmarshal(e.After, &held); err != nil || held.Why != why || held.Cause != api.CauseSchedule {
				t.Errorf("%v %+v", err, held)
			}
			for _, r := range g.retrainings(t) {
				if r.Cause != api.CauseSchedule {
					t.Errorf("%+v", r)
				}
			}
		})
	}
	f(api.HeldBackLabels, "min_labels: 1000")
	f(api.HeldBackCoolDown)
	f(api.HeldBackBudget, "budget: 1", "retrain.cool_down: 0s")
}

func (g *gateway) retrainings(t *testing.T) (list []api.Retraining) {
	t.Helper()
	if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/retrainings?model=reg", "")), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// TestTrainersAreChecked: what the control API refuses.
func TestTrainersAreChecked(t *testing.T) {
	g := retraining(t, "silent")
	f := func(want int, method, path, body string) {
		t.Helper()
		if status, text := g.control(t, method, path, "", body); status != want {
			t.Errorf("%s %s: %d %s, want %d", method, path, status, text, want)
		}
	}
	f(http.StatusBadRequest, "POST", "/api/v1/models/reg/retrain", `{}`)
	f(http.StatusBadRequest, "POST", "/api/v1/models/reg/retrain", `{"reason":"x","more":1}`)
	f(http.StatusNotFound, "POST", "/api/v1/models/none/retrain", `{"reason":"x"}`)
	f(http.StatusNotFound, "GET", "/api/v1/signals/none/retraining", "")
	f(http.StatusNotFound, "GET", "/api/v1/signals/none/training", "")
	f(http.StatusNotFound, "POST", "/api/v1/signals/none/progress", `{}`)
	f(http.StatusNotFound, "POST", "/api/v1/models/reg/versions?retrain=none", string(timesFile(3)))
	id := g.retrain(t).ID
	f(http.StatusBadRequest, "POST", "/api/v1/signals/"+id+"/progress", `{"progress":2}`)
	f(http.StatusBadRequest, "POST", "/api/v1/signals/"+id+"/fail", `{}`)
	f(http.StatusBadRequest, "GET", "/api/v1/signals/"+id+"/training?part=all", "")
	f(http.StatusNotFound, "GET", "/api/v1/signals/"+id+"/training?part=window", "")
	f(http.StatusForbidden, "POST", "/api/v1/models/other/versions?retrain="+id, string(timesFile(3)))
	began := time.Now()
	if err := g.stop(); err != nil || time.Since(began) > 30*time.Second { // the program is killed
		t.Errorf("the stop took %v: %v", time.Since(began), err)
	}
	waitFor(t, func() bool { return trainers(t) == 0 })
}

// TestRowsInMemory: rows that are in no file yet are in the document, since it has them written first.
func TestRowsInMemory(t *testing.T) {
	g := retraining(t, "fails", "capture.rotate_age: 1h")
	for i := range 30 {
		body := fmt.Sprintf(`{"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[%d]}]}`, i)
		if r, err := g.send(t.Context(), http.MethodPost, g.url+"/v2/models/reg/infer", body); err != nil || r.status != http.StatusOK {
			t.Fatalf("%+v %v", r, err)
		}
	}
	r := g.ended(t, g.retrain(t).ID)
	var doc api.TrainingRequest
	if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/signals/"+r.ID+"/training", "")), &doc); err != nil {
		t.Fatal(err)
	}
	if d := doc.Data; d.Rows != 30 || len(d.Files) != 1 || d.Problem != "" || d.Unwritten != nil {
		t.Errorf("%+v", d)
	}
}
