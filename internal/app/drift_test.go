package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/slot"
	"sluice.io/sluice/internal/testing/fake"
)

// TestDriftOfACanary: its outputs change, and nothing else is found.
func TestDriftOfACanary(t *testing.T) {
	d := newDrifts(t, 3)
	d.fakes.live = map[int64]fake.Options{2: {Compute: func(m *infer.Model, inputs []infer.Tensor) ([]infer.Tensor, error) {
		once, err := double(m, inputs)
		if err != nil {
			return nil, err
		}
		twice, err := double(m, once) // four times the input
		return twice, err
	}}}
	d.start(t, d.compared(), `routes: {double: {variants: [{version: 1, weight: 50%}, {version: 2, weight: 50%, role: canary}], sticky: {header: User}, shadows: [{version: 3, sample: 100%}]}}`)
	const asked = 8 // rows of 1, 2 and 3
	users := map[string]string{}
	for user, version := range d.assigned(t, "double", asked) {
		users[version] = user
	}
	d.feed(t, "double", driftRows, nil, "User", users["1"])
	d.feed(t, "double", driftRows, nil, "User", users["2"])
	canary := d.until(t, 2, api.RoleCanary, func(s api.DriftStatus) bool { return s.Windows >= 1 })
	if canary.State != "DETECTED" || canary.Last.Features[0].Kind != "output" {
		t.Errorf("%+v", canary)
	}
	d.reported(t, canary)
	for _, f := range canary.Last.Features {
		if f.Kind == "input" && f.State == "DETECTED" {
			t.Errorf("%+v", f)
		}
	}
	stable := d.until(t, 1, api.RoleStable, func(s api.DriftStatus) bool { return s.Windows >= 1 })
	if stable.State == "DETECTED" {
		t.Errorf("%+v", stable)
	}
	d.until(t, 1, api.RoleStable, func(s api.DriftStatus) bool {
		return s.Rows+d.stream(t, 2, api.RoleCanary).Rows == 2*driftRows+asked
	})
	if list := d.status(t); len(list) != 2 {
		t.Errorf("the shadow is compared too: %+v", list)
	}
	for _, s := range d.signalled(t, 1) {
		if s.Version != 2 || s.Role != api.RoleCanary {
			t.Errorf("%+v", s)
		}
	}
}

// TestDriftStaysOverEdits: edits of routes, and reloads, lose no row of a window.
func TestDriftStaysOverEdits(t *testing.T) {
	d := newDrifts(t, 3)
	d.start(t, d.compared())
	d.feed(t, "double", 30, nil)
	d.counted(t, 3, api.RoleDefault, 30)
	d.set(t, "other", `{"model":"double","variants":[{"version":1,"weight":5000},{"version":2,"weight":5000,"role":"canary"}]}`) // three streams, not one
	d.must(t, http.MethodPost, d.admin+"/-/reload", "")
	d.feed(t, "double", 30, nil)
	if s := d.counted(t, 3, api.RoleDefault, 60); s.Rows != 60 || s.Waiting != 60 {
		t.Errorf("%+v", s)
	}
	if list := d.status(t); len(list) != 3 {
		t.Errorf("%+v", list)
	}
	d.set(t, "double", `{"variants":[{"version":3,"weight":10000}]}`)
	d.feed(t, "double", 10, nil)
	if s := d.counted(t, 3, api.RoleStable, 10); s.Rows != 10 {
		t.Errorf("another role goes on from the old one: %+v", s)
	}
	if list := d.status(t); len(list) != 3 {
		t.Errorf("%+v", list)
	}
}

// TestDriftAfterARestart: a detected stream stays detected, with its findings, and is signalled
// once.
func TestDriftAfterARestart(t *testing.T) {
	d := newDrifts(t, 1)
	settings := []string{dataIn(t.TempDir()), d.compared()}
	d.start(t, settings...)
	d.feed(t, "double", driftRows, higher)
	before := d.until(t, 1, api.RoleDefault, func(s api.DriftStatus) bool { return s.Windows == 1 })
	list := d.signalled(t, 1)
	must(t, d.stop())
	d.start(t, settings...)
	after := d.stream(t, 1, api.RoleDefault)
	if diff := cmp.Diff(before.Last, after.Last); diff != "" || before.State != "DETECTED" || after.State != "DETECTED" || !after.Since.Equal(before.Since) || after.Windows != 0 {
		t.Errorf("%s %+v %+v", diff, before, after)
	}
	d.feed(t, "double", driftRows, higher)
	d.until(t, 1, api.RoleDefault, func(s api.DriftStatus) bool { return s.Windows == 1 && s.State == "DETECTED" })
	if diff := cmp.Diff(list, d.signals(t), exceptAlso); diff != "" || list[0].Type != api.TypeRetrainRequested {
		t.Errorf("%s %+v", diff, list)
	}
	var evidence api.DriftEvidence
	for _, e := range d.journal(t, 0) {
		if e.Type == api.EventDriftState && evidence.Window == nil {
			must(t, json.Unmarshal(e.After, &evidence))
		}
	}
	if diff := cmp.Diff(*before.Last, evidence.Verdict); diff != "" || evidence.Window == nil {
		t.Errorf("%s %s", diff, evidence.Window)
	}
}

// exceptAlso leaves out the features of a problem that are detected later: by chance a later window shows others.
var exceptAlso = cmpopts.IgnoreFields(api.SignalProgress{}, "Also")

// TestDetectedButNotTold: a detected drift is signalled after a kill before the signal, even if
// no further window follows.
func TestDetectedButNotTold(t *testing.T) {
	d := newDrifts(t, 1)
	d.start(t, d.compared(), dataIn(t.TempDir()))
	d.feed(t, "double", driftRows, higher)
	want := d.signalled(t, 1)[0]
	data := t.TempDir()
	log, err := journal.Open(data)
	must(t, err)
	for _, e := range d.journal(t, 0) {
		if e.Type == api.EventDriftState {
			_, err := log.Append(journal.Any, e)
			must(t, err)
		}
	}
	must(t, log.Close())
	must(t, d.stop())
	for range 2 { // the second start has nothing to signal
		d.start(t, d.compared(), dataIn(data))
		list := d.signals(t)
		if len(list) != 1 || list[0].ID != want.ID || list[0].Window != want.Window || list[0].Rows != want.Rows {
			t.Errorf("%+v, want %+v", list, want)
		}
		if diff := cmp.Diff(want.Features, list[0].Features); diff != "" {
			t.Error(diff)
		}
		must(t, d.stop())
	}
}

// TestWindowsOfFewRows: they report that nothing was judged, and are joined until they have
// enough rows.
func TestWindowsOfFewRows(t *testing.T) {
	d := newDrifts(t, 1)
	d.start(t, d.compared("window: 1s"))
	d.feed(t, "double", 2, func(row []float64) { row[1] = 1e9 })
	began := d.counted(t, 1, api.RoleDefault, 2).Begun
	over := func(s api.DriftStatus) bool { return time.Since(s.Begun) > 2*time.Second }
	s := d.until(t, 1, api.RoleDefault, over)
	if s.State != api.DriftUnjudged || s.Windows != 0 || s.Waiting != 2 || !s.Begun.Equal(began) || s.UnjudgedSince.IsZero() || s.MinRows != 50 || s.Last != nil || len(d.signals(t)) != 0 {
		t.Errorf("%+v", s)
	}
	d.feed(t, "double", 60, func(row []float64) { row[1] = 1e9 })
	s = d.until(t, 1, api.RoleDefault, func(s api.DriftStatus) bool { return s.Windows == 1 })
	if s.State != "DETECTED" || s.Last.Rows < 50 || !s.Last.Window.Start.Equal(began) || s.UnjudgedSince.Before(s.Last.Window.End) {
		t.Errorf("%+v", s)
	}
}

// TestWhatIsLookedAt: a sample of many requests, some rows of a large one, and no more than
// there is room for.
func TestWhatIsLookedAt(t *testing.T) {
	f := func(settings string, requests, rows int, counted, dropped uint64) {
		t.Helper()
		d := newDrifts(t, 1)
		d.start(t, d.compared("rows: 1000000000", settings))
		for i := range requests {
			d.request(t, "double", rows, nil, "X-Request-Id", fmt.Sprintf("request-%d", i))
		}
		s := d.counted(t, 1, api.RoleDefault, counted+dropped)
		if s.Rows != counted || s.Dropped != dropped || s.Rows != s.Waiting {
			t.Errorf("%s: %+v", settings, s)
		}
		must(t, d.stop())
	}
	sampled := uint64(0)
	for i := range 1000 {
		if slot.Slot("drift", fmt.Sprintf("request-%d", i)) < api.TotalWeight/10 {
			sampled++
		}
	}
	if sampled < 70 || sampled > 130 {
		t.Errorf("10 %% of 1000 are %d", sampled)
	}
	f("sample: 10%", 1000, 1, sampled, 0)
	f("sample: 100%", 100, 1, 100, 0)
	f("max_rows_per_request: 16", 3, 300, 48, 0)
	f("max_rows_per_request: 300", 3, 300, 900, 0)
	f("max_rows_per_request: 300, max_buffer: 4KiB", 3, 300, 0, 900) // one request is 7,200 bytes
}

// TestWebhookHangs: it delays neither the answers nor, beyond the time of one delivery, the end
// of the gateway.
func TestWebhookHangs(t *testing.T) {
	const delivery = 3 * time.Second // a wait for one delivery takes no less
	d := newDrifts(t, 1)
	asked, let := make(chan struct{}, 10), make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-let
	}))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(let) })
	d.start(t, d.compared(), fmt.Sprintf("retrain: {webhook: {url: %q, secret: sixteen-bytes-long, timeout: %v}}", hangs.URL, delivery))
	d.feed(t, "double", driftRows, higher)
	<-asked
	began := time.Now()
	d.feed(t, "double", 100, nil)
	if took := time.Since(began); took >= delivery {
		t.Errorf("100 rows took %v", took)
	}
	began = time.Now()
	must(t, d.stop())
	if took := time.Since(began); took > delivery+20*time.Second { // one delivery after another would take minutes
		t.Errorf("the stop took %v", took)
	}
}

// TestWebhookIsTold: once, with all that a receiver needs.
func TestWebhookIsTold(t *testing.T) {
	d := newDrifts(t, 1)
	bodies := make(chan string, 10)
	told := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- r.Header.Get("Sluice-Signature") + " " + string(body)
	}))
	t.Cleanup(told.Close)
	d.start(t, d.compared(), fmt.Sprintf("retrain: {webhook: {url: %q, secret: sixteen-bytes-long}}", told.URL))
	d.feed(t, "double", 3*driftRows, higher)
	body := <-bodies
	for _, part := range []string{"t=", `"type":"io.sluice.retrain.requested.v1"`, `"feature":"x[1]"`, `"modelname":"double"`, `"detector":{"name":"tumbling"`, `"profile_digest":"sha256:`} {
		if !strings.Contains(body, part) {
			t.Errorf("no %s in %s", part, body)
		}
	}
	d.until(t, 1, api.RoleDefault, func(s api.DriftStatus) bool { return s.Windows == 3 })
	must(t, d.stop())
	if len(bodies) > 0 {
		t.Errorf("sent again: %s", <-bodies)
	}
}
