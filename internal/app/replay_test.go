package app_test

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/fake"
)

// counted returns the gateway's own series, without those of replays, and the statistics of the
// model "double".
func counted(t *testing.T, g *gateway) []string {
	t.Helper()
	window := regexp.MustCompile(`"window":"[^"]*"`)
	var list []string
	for line := range strings.Lines(g.must(t, "GET", g.admin+"/metrics", "")) {
		if strings.HasPrefix(line, "sluice_") && !strings.HasPrefix(line, "sluice_replay") &&
			!slices.ContainsFunc([]string{"_memory", "batch_cost", "waiting_bytes"}, func(moving string) bool { return strings.Contains(line, moving) }) {
			list = append(list, line)
		}
	}
	return append(list, g.must(t, "GET", g.url+"/v2/models/double/stats", ""), window.ReplaceAllString(g.must(t, "GET", g.admin+"/api/v1/routes/double/stats", ""), ""))
}

const (
	twoDoubles = "\nroutes: {double: {variants: [{version: 1, weight: 100%}, {version: 2, weight: 0%, role: canary}]}}"
	oneRow     = `{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]}`
)

func replayURL(g *gateway, version int) string {
	return fmt.Sprintf("%s/api/v1/models/double/versions/%d/infer", g.admin, version)
}

func TestReplaysAreInNoStatistics(t *testing.T) {
	data := t.TempDir()
	broken := func(int) error { return infer.Errorf(infer.Internal, "broken") }
	f := &fakes{live: map[int64]fake.Options{2: {Fail: broken}}}
	g := startOn(t, f, doubles(t, 3), strings.Replace(capturing(data), "capture: {sample: 100%}", "labels: {sample: 100%}, capture: {sample: 100%}, drift: {min_rows: 1}", 1)+twoDoubles)
	for i := range 5 {
		if err := g.ask("double", i); err != nil {
			t.Fatal(err)
		}
	}
	awaitCaptured(t, g, 5)
	before := counted(t, g)
	for range 20 {
		if text := g.must(t, "POST", replayURL(g, 1), oneRow); !strings.Contains(text, `"model_version":"1"`) || !strings.Contains(text, `"data":[2,4,6]`) {
			t.Fatal(text)
		}
		if status, text := g.call(t, "POST", replayURL(g, 2), oneRow); status != http.StatusInternalServerError { // it would open a breaker
			t.Fatal(status, text)
		}
	}
	if diff := cmp.Diff(before, counted(t, g)); diff != "" {
		t.Errorf("replays changed (-before +after):\n%s", diff)
	}
	metrics := g.must(t, "GET", g.admin+"/metrics", "")
	for _, want := range []string{
		`sluice_replay_requests_total{code="ok",model="double",version="1"} 20`,
		`sluice_replay_requests_total{code="internal",model="double",version="2"} 20`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if got := captured(t, filepath.Join(data, "capture")); len(got) != 5 {
		t.Errorf("%d requests are captured, want those of callers", len(got))
	}
}

func TestReplayRefuses(t *testing.T) {
	g := startOn(t, &fakes{}, doubles(t, 4), "models: {double: {"+fakeModels+"}}", twoDoubles, "http.max_body: 64KiB")
	f := func(version int, body string, want int, text string) {
		t.Helper()
		if status, got := g.call(t, "POST", replayURL(g, version), body); status != want || !strings.Contains(got, text) {
			t.Errorf("version %d: %d %s, want %d %s", version, status, got, want, text)
		}
	}
	f(1, oneRow, 200, `"data":[2,4,6]`)
	f(1, "{", 400, "")
	f(1, "", 400, "")
	f(1, strings.Replace(oneRow, "[1,3]", "[1,4]", 1), 400, "")
	f(1, strings.Replace(oneRow, `"x"`, `"z"`, 1), 400, "z")
	f(1, strings.Repeat(" ", 64<<10)+oneRow, 413, "limit of 65536 bytes")
	f(3, oneRow, 409, "weight 0")
	f(5, oneRow, 404, "")
	if status, text := g.call(t, "POST", strings.Replace(replayURL(g, 1), "double", "nobody", 1), oneRow); status != 404 {
		t.Error(status, text)
	}
	// A body without a length.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, replayURL(g, 1), struct{ *strings.Reader }{strings.NewReader(oneRow)})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil || errors.Join(resp.Body.Close()) != nil || resp.StatusCode != http.StatusOK {
		t.Error(err, resp)
	}
}
