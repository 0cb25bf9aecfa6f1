package app_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

func (g *gateway) batching(t *testing.T, version string) api.BatchingStatus {
	t.Helper()
	m, ok := g.models(t)[version]
	if !ok || m.Detail == nil {
		t.Fatalf("%s is not loaded", version)
	}
	return m.Detail.Batching
}

// fixedRows is twice its input "x", FP32 [1, 3]. If reshaped, the graph has a 1 of its own.
func fixedRows(reshaped bool) []byte {
	g := onnxgen.New("fixed")
	x := g.Input("x", infer.FP32, 1, 3)
	y := g.Op("Add", x, x)
	if reshaped {
		y = g.Op("Reshape", y, g.Init(onnxgen.Int64s([]int64{1, 3}, 2)))
	}
	g.Output("y", infer.FP32, y, 1, 3)
	return g.Bytes()
}

func TestRelaxedModelsServe(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "as_it_is", 1, fixedRows(false))
	put(t, dir, "relaxed", 1, fixedRows(false))
	put(t, dir, "stubborn", 1, fixedRows(true))
	g := start(t, dir, "models: {relaxed: {batching: {relax: true}}, stubborn: {batching: {relax: true}}}")
	f := func(version, summary, reason, advice string, rows2 int) {
		t.Helper()
		s := g.batching(t, version+"/1")
		if s.Summary != summary || !strings.Contains(s.Reason, reason) || s.Advice != advice || s.Enabled != strings.HasPrefix(summary, "yes") {
			t.Errorf("%s: %+v", version, s)
		}
		url := g.url + "/v2/models/" + version + "/infer"
		if status, body := g.call(t, http.MethodPost, url, `{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}`); status != 200 || !strings.Contains(body, "[2,4,6]") {
			t.Errorf("%s: %d %s", version, status, body)
		}
		if status, body := g.call(t, http.MethodPost, url, `{"inputs":[{"name":"x","datatype":"FP32","shape":[2,3],"data":[1,2,3,4,5,6]}]}`); status != rows2 {
			t.Errorf("%s, two rows: %d %s", version, status, body)
		}
	}
	f("as_it_is", "no, fixed rows", "input 'x' has no free first dimension (it is fixed at 1)", "set batching.relax to let requests be joined", 400)
	f("relaxed", "yes, probed", "rows give equal outputs", "", 200)
	f("stubborn", "no, fixed rows", "cannot be made free: output 'y' has no free first dimension", "export the model with a free first dimension", 400)
}

// numbered is 10 times the excess of 64 ids, INT64 [N, 2], over 1000. It refuses other ids, so
// all made-up ones. If it mixes, the largest of the run is added.
func numbered(mixes bool) []byte {
	g := onnxgen.New("numbered")
	ids := g.Op("Sub", g.Input("ids", infer.Int64, "N", 2), g.Init(onnxgen.Int64s([]int64{1000}, 1)))
	table := make([]float32, 64)
	for i := range table {
		table[i] = 10 * float32(i)
	}
	y := g.Op("Gather", g.Init(onnxgen.Float32s(table, 64)), ids)
	if mixes {
		y = g.Op("Add", y, g.Op("ReduceMax", y).Ints("axes", 0))
	}
	g.Output("y", infer.FP32, y, "M", 2)
	return g.Bytes()
}

func TestRealRequestsSettleBatching(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "apart", 1, numbered(false))
	put(t, dir, "mixing", 1, numbered(true))
	put(t, dir, "untried", 1, numbered(false))
	g := start(t, dir, "models: {untried: {batching: {trial: {enabled: false}}}}")
	ask := func(model string, a, b int) {
		t.Helper()
		body := fmt.Sprintf(`{"inputs":[{"name":"ids","datatype":"INT64","shape":[1,2],"data":[%d,%d]}]}`, 1000+a, 1000+b)
		want := fmt.Sprintf("[%d,%d]", 10*a, 10*b)
		if model == "mixing" {
			want = fmt.Sprintf("[%d,%d]", 20*a, 20*b) // of one row
		}
		if status, body := g.call(t, http.MethodPost, g.url+"/v2/models/"+model+"/infer", body); status != 200 || !strings.Contains(body, want) {
			t.Fatalf("%s: %d %s, want %s", model, status, body, want)
		}
	}
	settle := func(model, from, to string) {
		t.Helper()
		if s := g.batching(t, model+"/1"); s.Enabled || s.Summary != from {
			t.Errorf("%s before: %+v", model, s)
		}
		for i, end := 0, time.Now().Add(2*time.Minute); time.Now().Before(end); i++ {
			ask(model, i%64, i/64%64)
			if s := g.batching(t, model+"/1"); s.Summary != from {
				if s.Summary != to || s.Enabled != strings.HasPrefix(to, "yes") {
					t.Errorf("%s: %+v", model, s)
				}
				break
			}
		}
		if s := g.batching(t, model+"/1"); s.Summary != to {
			t.Errorf("%s after: %+v", model, s)
		}
		for i := range 100 {
			ask(model, i%64, i%7)
		}
	}
	settle("apart", "on trial", "yes, tried")
	if s := g.batching(t, "untried/1"); s.Enabled || s.Summary != "no, undecided" {
		t.Errorf("untried: %+v", s)
	}
	settle("mixing", "on trial", "no, rows mix")
	told := map[string]string{}
	eventually(t, func() bool {
		for _, e := range g.events(t, 0) {
			if strings.HasPrefix(e.Type, "batching.") {
				told[e.Subject] = e.Type + " " + string(e.After)
			}
		}
		return len(told) == 2
	})
	for subject, want := range map[string][]string{
		"models/apart/1": {api.EventBatchingEnabled, "copies of ", `"digest":"sha256:`}, "models/mixing/1": {api.EventBatchingDisabled, "changes with the rows beside it"},
	} {
		for _, part := range want {
			if !strings.Contains(told[subject], part) {
				t.Errorf("%s: %s, want %q", subject, told[subject], part)
			}
		}
	}
}

// The batcher is replaced while callers send requests: each gets its answer.
func TestNoRequestIsLostWhenBatchingIsSettled(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "apart", 1, numbered(false))
	g := start(t, dir)
	const callers = 8
	ended := make(chan error, callers)
	over := make(chan struct{})
	for c := range callers {
		go func() { // the test receives the result
			for i := 0; ; i++ {
				select {
				case <-over:
					ended <- nil
					return
				default:
				}
				a, b := (i+c)%64, (i/64+7*c)%64
				body := fmt.Sprintf(`{"inputs":[{"name":"ids","datatype":"INT64","shape":[1,2],"data":[%d,%d]}]}`, 1000+a, 1000+b)
				r, err := g.send(context.Background(), http.MethodPost, g.url+"/v2/models/apart/infer", body)
				if want := fmt.Sprintf("[%d,%d]", 10*a, 10*b); err == nil && (r.status != http.StatusOK || !strings.Contains(r.body, want)) {
					err = fmt.Errorf("%d %s, want %s", r.status, r.body, want)
				}
				if err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	for g.batching(t, "apart/1").Summary == "on trial" {
		runtime.Gosched()
	}
	for range 50 { // and some more after that
		g.batching(t, "apart/1")
	}
	close(over)
	for range callers {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if s := g.batching(t, "apart/1"); s.Summary != "yes, tried" {
		t.Errorf("%+v", s)
	}
}
