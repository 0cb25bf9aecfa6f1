package app_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"sluice.io/sluice/api"
)

// A policy is tried on what the journal has, and what it would have done is beside what the gateway did.
func TestSimulatedPolicy(t *testing.T) {
	g := retraining(t, "fails", "retrain.cool_down: 1h")
	learn(t, g, 60)
	since := time.Now().UTC().Add(-4 * time.Hour)
	done := g.ended(t, g.retrain(t).ID)
	f := func(q url.Values) (out api.RetrainSimulation) {
		t.Helper()
		q.Set("since", since.Format(time.RFC3339))
		if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/models/reg/retrain/simulation?"+q.Encode(), "")), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	out := f(url.Values{})
	if len(out.Made) != 1 || out.Made[0].ID != done.ID || out.Requests != 1 || len(out.Steps) != 1 || out.Steps[0].Cause != api.CauseManual || !out.Steps[0].At.Equal(out.Made[0].At) {
		t.Errorf("%+v", out)
	}
	if p := out.Policy; p.CoolDown != api.Duration(time.Hour) || p.Unpromised != api.UnpromisedHold || p.Training <= 0 || p.Training > api.Duration(time.Hour) || len(out.Notes) != 2 {
		t.Errorf("%+v", out)
	}
	// Every hour, which the cool-down makes every two hours.
	out = f(url.Values{"schedule": {"1h"}, "training": {"1s"}, "cool_down": {"90m"}})
	if out.Requests < 3 || out.Steps[0].Cause != api.CauseSchedule || out.Steps[1].HeldBack != api.HeldBackCoolDown {
		t.Errorf("%+v", out)
	}
	out = f(url.Values{"schedule": {"1h"}, "min_labels": {"1000"}})
	if out.Requests != 1 || out.Steps[0].HeldBack != api.HeldBackLabels {
		t.Errorf("%+v", out)
	}
	for path, want := range map[string]int{
		"none/retrain/simulation": http.StatusNotFound, "reg/retrain/simulation?since=x": http.StatusBadRequest, "reg/retrain/simulation?budget=-1": http.StatusBadRequest,
		"reg/retrain/simulation?since=2999-01-01T00:00:00Z": http.StatusBadRequest, "reg/retrain/simulation?schedule=1ms": http.StatusBadRequest,
		"reg/retrain/simulation?training=0s": http.StatusBadRequest, "reg/retrain/simulation?cooldown=1h": http.StatusBadRequest, "reg/retrain/simulation?lookback=x": http.StatusBadRequest,
		"reg/retrain/simulation?unpromised=yes": http.StatusBadRequest, "reg/retrain/simulation?unpromised=ask": http.StatusOK,
	} {
		if status, text := g.control(t, "GET", "/api/v1/models/"+path, "", ""); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, text, want)
		}
	}
}
