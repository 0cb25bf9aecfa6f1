package app_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
)

// estimated is a gateway with a demo model, which keeps predictions.
type estimated struct {
	*gateway

	rng        *rand.Rand
	rows       [][]float64 // that others are drawn between
	model      string
	repository string
}

// numbers reads a file of numbers with a header.
func numbers(t *testing.T, path string) (rows [][]float64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records[1:] {
		row := make([]float64, len(record))
		for i, text := range record {
			if row[i], err = strconv.ParseFloat(text, 64); err != nil {
				t.Fatal(err)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// draw draws rows between two that are drawn. towards is how close they are to the one for which
// prefer is larger, 0 to 1.
func (e *estimated) draw(n int, prefer func(row []float64) float64) [][]float64 {
	list := make([][]float64, n)
	for i := range list {
		a, b := e.rows[e.rng.IntN(len(e.rows))], e.rows[e.rng.IntN(len(e.rows))]
		part := e.rng.Float64()
		if prefer != nil {
			if prefer(a) < prefer(b) {
				a, b = b, a
			}
			part = math.Sqrt(part)
		}
		list[i] = make([]float64, len(a))
		for k := range a {
			list[i][k] = part*a[k] + (1-part)*b[k]
		}
	}
	return list
}

// ask sends rows, 250 in a request, and returns the probabilities of the model.
func (e *estimated) ask(t *testing.T, id string, rows [][]float64) (scores [][]float64) {
	t.Helper()
	const most = 250
	for at := 0; at < len(rows); at += most {
		part := rows[at:min(at+most, len(rows))]
		data, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		body := fmt.Sprintf(`{"inputs":[{"name":"input","shape":[%d,%d],"datatype":"FP32","data":%s}],"outputs":[{"name":"probabilities"}]}`, len(part), len(part[0]), data)
		r, err := e.send(t.Context(), http.MethodPost, e.url+"/v2/models/"+e.model+"/infer", body, "X-Request-Id", fmt.Sprintf("%s-%d", id, at/most))
		if err != nil || r.status != http.StatusOK {
			t.Fatalf("%+v %v", r, err)
		}
		var answer struct {
			Outputs []struct {
				Data  []float64
				Shape []int
			}
		}
		if err := json.Unmarshal([]byte(r.body), &answer); err != nil {
			t.Fatal(err)
		}
		out := answer.Outputs[0]
		for i := range part {
			scores = append(scores, out.Data[i*out.Shape[1]:(i+1)*out.Shape[1]])
		}
	}
	return scores
}

// label sends the labels of rows that ask has sent.
func (e *estimated) label(t *testing.T, id string, classes []int) {
	t.Helper()
	const most = 250
	var b strings.Builder
	b.WriteString("request_id,row,label\n")
	for i, class := range classes {
		fmt.Fprintf(&b, "%s-%d,%d,%d\n", id, i/most, i%most, class)
	}
	r, err := e.send(t.Context(), http.MethodPost, e.url+"/v2/models/"+e.model+"/labels", b.String(), "Content-Type", "text/csv")
	if err != nil || !strings.Contains(r.body, fmt.Sprintf(`"joined":%d`, len(classes))) {
		t.Fatalf("%.300s %v", r.body, err)
	}
}

// stream returns the report on the only stream, once all its predictions are written.
func (e *estimated) stream(t *testing.T, rows uint64) api.LabelStream {
	t.Helper()
	for range 3000 {
		var report api.LabelReport
		if err := json.Unmarshal([]byte(e.must(t, http.MethodGet, e.admin+"/api/v1/labels/"+e.model, "")), &report); err != nil {
			t.Fatal(err)
		}
		if len(report.Streams) == 1 && report.Streams[0].Predictions == rows {
			return report.Streams[0]
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the predictions are not written")
	return api.LabelStream{}
}

// startEstimated serves a copy of a demo model as version 1, without a profile yet.
func startEstimated(t *testing.T, model, version string, rows [][]float64) *estimated {
	t.Helper()
	e := &estimated{rng: rand.New(rand.NewPCG(3, 4)), rows: rows, model: model, repository: t.TempDir()}
	if err := os.CopyFS(filepath.Join(e.repository, model, "1"), os.DirFS(filepath.Join("..", "..", "models", model, version))); err != nil {
		t.Fatal(err)
	}
	e.gateway = start(t, e.repository)
	return e
}

// keep restarts the gateway so that it keeps predictions.
func (e *estimated) keep(t *testing.T) {
	t.Helper()
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	e.gateway = start(t, e.repository, fmt.Sprintf("data_dir: %q\nmodels: {%s: {labels: {sample: 100%%}}}", t.TempDir(), e.model))
}

// profile puts a profile beside the version that serves, made of rows with their classes.
func (e *estimated) profile(t *testing.T, rows [][]float64, classes []int) {
	t.Helper()
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	header := make([]string, 0, len(rows[0])+1)
	for k := range rows[0] {
		header = append(header, fmt.Sprintf("input[%d]", k))
	}
	_ = w.Write(append(header, "truth"))
	for i, row := range rows {
		record := make([]string, 0, len(row)+1)
		for _, x := range row {
			record = append(record, strconv.FormatFloat(x, 'g', -1, 64))
		}
		_ = w.Write(append(record, strconv.Itoa(classes[i])))
	}
	w.Flush()
	cfg := config.Default()
	cfg.Repository.Path = e.repository
	x, err := offline.RepositoryEvaluator(cfg, infer.Version{Model: e.model}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	p, err := offline.MakeProfile(t.Context(), &b, offline.ProfileOptions{
		Model: x.Model(), Evaluator: x, NeedOutputs: true, Labels: offline.LabelOptions{Column: "truth"},
	})
	if cerr := x.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	f, err := os.Create(filepath.Join(e.repository, e.model, "1", "profile.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // written below
	if err := p.Write(f); err != nil {
		t.Fatal(err)
	}
}

// truths draws the class of each row from its scores.
func (e *estimated) truths(scores [][]float64, probability func(score float64) float64) []int {
	list := make([]int, len(scores))
	for i, s := range scores {
		if e.rng.Float64() < probability(s[1]) {
			list[i] = 1
		}
	}
	return list
}

// TestEstimates: the model is overconfident, which its profile knows. Other rows come than in the
// profile, and their performance is estimated before their labels come. Labels that follow the same
// rule agree. Those of a world that has changed do not, and the report says that the estimator was
// wrong.
func TestEstimates(t *testing.T) {
	softer := func(score float64) float64 { return 0.15 + 0.7*score }
	e := startEstimated(t, "breast_cancer", "1", numbers(t, filepath.Join("..", "..", "testdata", "drift", "breast_cancer.csv")))
	reference := e.draw(2500, nil)
	scores := e.ask(t, "reference", reference)
	e.profile(t, reference, e.truths(scores, softer))
	large := func(row []float64) float64 { return row[0] } // the mean radius
	f := func(name string, truth func(float64) float64, holds bool) {
		t.Helper()
		e.keep(t)
		shifted := e.ask(t, "later", e.draw(1500, large))
		before := wanted(t, e.stream(t, 1500), 1500)
		for _, x := range before {
			if x.Check != nil || x.Low == nil || x.Value < *x.Low || x.Value > *x.High || x.StandardError <= 0 {
				t.Errorf("%s, before labels: %+v", name, x)
			}
		}
		classes := e.truths(shifted, truth)
		e.label(t, "later", classes)
		s := e.stream(t, 1500)
		after := wanted(t, s, 1500)
		for name, x := range after {
			if x.Value != before[name].Value || x.Check == nil || x.Check.Rows != 1500 || math.Abs(x.Check.Estimate-x.Value) > 1e-9 {
				t.Errorf("after labels: %+v, before %+v", x, before[name])
			}
			t.Logf("%s: %s: estimated %.4f ± %.4f, truth %.4f, bound %.4f", name, name, x.Value, x.StandardError, x.Check.Truth, *x.Check.Bound)
		}
		for _, m := range s.Metrics {
			if x, ok := after[m.Name]; ok && math.Abs(x.Check.Truth-m.Value) > 0.002 {
				t.Errorf("the truth of %s is %v beside an estimate, and %v measured", m.Name, x.Check.Truth, m.Value)
			}
		}
		for _, metric := range []string{"accuracy", "log_loss", "brier"} {
			if got := *after[metric].Check.Holds; got != holds {
				t.Errorf("%s: holds is %v for %s: %+v", name, got, metric, after[metric].Check)
			}
		}
	}
	f("covariate shift", softer, true)
	f("concept drift", func(score float64) float64 { return 0.15 + 0.7*(1-score) }, false)
}

// wanted returns the estimates of a stream by name.
func wanted(t *testing.T, s api.LabelStream, rows uint64) map[string]api.LabelEstimate {
	t.Helper()
	found := map[string]api.LabelEstimate{}
	for _, x := range s.Estimates {
		if found[x.Name] = x; x.Method != api.EstimateCBPE || x.Rows != rows {
			t.Errorf("%+v", x)
		}
	}
	for _, name := range []string{"accuracy", "log_loss", "brier", "auc", "precision", "recall", "f1"} {
		if _, ok := found[name]; !ok {
			t.Errorf("no %s in %+v; %s", name, s.Estimates, s.NoEstimates)
		}
	}
	return found
}

// TestEstimatesOfClasses is TestEstimates for three classes, and for labels whose shares shift.
func TestEstimatesOfClasses(t *testing.T) {
	e := startEstimated(t, "iris", "2", [][]float64{ // the means of the three classes
		{5.01, 3.43, 1.46, 0.25}, {5.94, 2.77, 4.26, 1.33}, {6.59, 2.97, 5.55, 2.03},
	})
	soft := func(scores [][]float64) []int { // the rule of the world: a tenth is any class
		list := make([]int, len(scores))
		for i, s := range scores {
			if e.rng.Float64() < 0.1 {
				list[i] = e.rng.IntN(3)
				continue
			}
			u := e.rng.Float64()
			for k, p := range s {
				if u -= p; u < 0 {
					list[i] = k
					break
				}
			}
		}
		return list
	}
	around := func(n int, shares ...float64) [][]float64 {
		list := make([][]float64, n)
		for i := range list {
			u, class := e.rng.Float64(), 0
			for u -= shares[0]; u > 0 && class < 2; u -= shares[class] {
				class++
			}
			for _, x := range e.rows[class] {
				list[i] = append(list[i], x+0.5*e.rng.NormFloat64())
			}
		}
		return list
	}
	reference := around(2500, 0.4, 0.3, 0.3)
	e.profile(t, reference, soft(e.ask(t, "reference", reference)))
	e.keep(t)
	scores := e.ask(t, "later", around(1500, 0.1, 0.3, 0.6))
	before := e.stream(t, 1500)
	if len(before.Estimates) != 4 || len(before.Shift) != 3 || before.Shift[0].Check != nil || !before.Shift[0].Shifted {
		t.Fatalf("%+v", before)
	}
	e.label(t, "later", soft(scores))
	after := e.stream(t, 1500)
	for i, x := range after.Estimates {
		t.Logf("%s: estimated %.4f ± %.4f, truth %.4f, bound %.4f", x.Name, x.Value, x.StandardError, x.Check.Truth, *x.Check.Bound)
		if b := before.Estimates[i]; b.Name != x.Name || b.Value != x.Value || x.Low == nil || x.Check == nil || x.Check.Holds == nil || !*x.Check.Holds {
			t.Errorf("%+v, before %+v, check %+v", x, b, x.Check)
		}
		for _, m := range after.Metrics {
			if m.Name == x.Name && math.Abs(m.Value-x.Check.Truth) > 0.005 {
				t.Errorf("%+v beside %+v", x.Check, m)
			}
		}
	}
	for _, c := range after.Shift {
		if c.Class == "" || c.Check == nil || c.Check.Rows != 1500 || c.Value < c.Low || c.Value > c.High {
			t.Errorf("%+v", c)
		}
	}
}
