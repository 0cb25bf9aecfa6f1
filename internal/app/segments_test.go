package app_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/app"
)

// TestSegments restarts a gateway whose older events are archived: routes, the trail and the
// served versions are the same as before.
func TestSegments(t *testing.T) {
	dir, data := triple(t), t.TempDir()
	settings := []string{dataIn(data), "journal: {segment_events: 100}"}
	g := start(t, dir, settings...)
	g.set(t, "shop", split(2, 3, 5000, `,"model":"double"`))
	early := g.events(t, 0)
	for i := range 230 {
		g.set(t, "double", split(1, 2, 10*i), "Sluice-Actor", "alice")
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) { // the cutter is a goroutine of its own
		if names, err := filepath.Glob(filepath.Join(data, "*.seg")); err != nil || time.Now().After(deadline) {
			t.Fatalf("%v, %v", names, err)
		} else if len(names) >= 2 {
			break
		}
	}
	at := early[len(early)-1].Time
	served := func() (s api.ServedAt) {
		t.Helper()
		text := g.must(t, http.MethodGet, g.admin+"/api/v1/routes/shop?at="+url.QueryEscape(at.Format(time.RFC3339Nano)), "")
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	routes, events, was := g.must(t, http.MethodGet, g.admin+"/api/v1/routes", ""), g.journal(t, 0), served()
	if was.Event != early[len(early)-1].Seq || len(was.Variants) != 2 {
		t.Errorf("%+v", was)
	}
	for range 2 {
		if err := g.stop(); err != nil {
			t.Fatal(err)
		}
		if report, err := app.VerifyJournal(t.Context(), data); err != nil || report.Problem != "" || report.Segments < 2 {
			t.Errorf("%+v, %v", report, err)
		}
		g = start(t, dir, settings...)
		if diff := cmp.Diff(routes, g.must(t, http.MethodGet, g.admin+"/api/v1/routes", "")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(events, g.journal(t, 0)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(was, served()); diff != "" {
			t.Error(diff)
		}
	}
	g.fold(t)
	var report api.JournalReport
	if err := json.Unmarshal([]byte(g.must(t, http.MethodGet, g.admin+"/api/v1/journal/verify", "")), &report); err != nil || report.Problem != "" || report.Events < 230 {
		t.Errorf("%+v, %v", report, err)
	}
	if result := g.set(t, "double", split(1, 2, 500)); result.Revision != 231 {
		t.Errorf("%+v", result)
	}
}
