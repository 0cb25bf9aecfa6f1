package client_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

func TestLabels(t *testing.T) {
	last, c := recordData(t, `{"model":"m","rows":2,"joined":1,"unknown":1,"results":["joined","unknown"]}`)
	got, err := c.Labels(t.Context(), "a b", []api.LabelRow{
		{RequestID: "r", Row: 1, Label: "yes", Time: time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)}, {RequestID: "s", Label: 2.5},
	})
	want := api.LabelResult{Model: "m", LabelCounts: api.LabelCounts{Rows: 2, Joined: 1, Unknown: 1}, Results: []string{"joined", "unknown"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	const body = `{"labels":[{"request_id":"r","row":1,"label":"yes","time":"2026-11-30T08:00:00Z"},{"request_id":"s","label":2.5}]}`
	if last.Target != "POST /v2/models/a%20b/labels" || last.Body != body || last.Type != "application/json" || last.Token != "Bearer secret" {
		t.Errorf("%+v", last)
	}
	last, c = record(t, http.StatusOK, `{"model":"a b","confidence":0.95}`)
	if report, err := c.LabelReport(t.Context(), "a b"); err != nil || report.Confidence != 0.95 || last.Target != "GET /api/v1/labels/a%20b" {
		t.Errorf("%+v %v %+v", report, err, last)
	}
	last, c = record(t, http.StatusOK, `[{"model":"a b"}]`)
	if list, err := c.LabelReports(t.Context()); err != nil || len(list) != 1 || last.Target != "GET /api/v1/labels" {
		t.Errorf("%+v %v %+v", list, err, last)
	}
}

// recordData is record for the data port.
func recordData(t *testing.T, text string) (last *recorded, c *client.Client) {
	t.Helper()
	last = &recorded{}
	return last, over(client.Options{Token: "secret"}, func(req *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(req.Body)
		*last = recorded{Target: req.Method + " " + req.URL.RequestURI(), Body: string(body), Type: req.Header.Get("Content-Type"), Token: req.Header.Get("Authorization")}
		return answer(http.StatusOK, text), err
	})
}
