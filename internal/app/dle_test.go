package app_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// linear is a model whose answer is the sum of weighted columns, and then each of the operators.
func linear(t *testing.T, weights []float32, then ...string) []byte {
	t.Helper()
	g := onnxgen.New("linear")
	y := g.Op("MatMul", g.Input("x", infer.FP32, "N", len(weights)), g.Init(onnxgen.Float32s(weights, int64(len(weights)), 1)))
	for _, op := range then {
		y = g.Op(op, y)
	}
	g.Output("y", infer.FP32, y, "N", 1)
	return g.Bytes()
}

// priced is a gateway with the regression "price", y = x0 + x1 + x2, and a model of its loss.
type priced struct {
	*gateway

	rng *rand.Rand
}

// startPriced serves both. The inputs of the loss model are the three of the other one and the
// prediction.
func startPriced(t *testing.T, loss []byte, settings string) *priced {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, "price", 1, linear(t, []float32{1, 1, 1}))
	if loss != nil {
		put(t, dir, "price_loss", 1, loss)
	}
	return &priced{rng: rand.New(rand.NewPCG(7, 8)), gateway: start(t, dir, fmt.Sprintf(
		"data_dir: %q\nmodels: {price: {labels: {sample: 100%%, loss: {model: price_loss%s}}}, price_loss: {%s}}", t.TempDir(), settings, patient))}
}

// ask sends rows whose first column has the mean, and returns the predictions and the first columns.
func (p *priced) ask(t *testing.T, id string, n int, mean float64) (predictions, first []float64) {
	t.Helper()
	data := make([]float64, 0, 3*n)
	for range n {
		first = append(first, math.Abs(mean+p.rng.NormFloat64()))
		data = append(data, first[len(first)-1], p.rng.NormFloat64(), p.rng.NormFloat64())
		predictions = append(predictions, data[len(data)-3]+data[len(data)-2]+data[len(data)-1])
	}
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"inputs":[{"name":"x","shape":[%d,3],"datatype":"FP32","data":%s}]}`, n, text)
	if r, err := p.send(t.Context(), http.MethodPost, p.url+"/v2/models/price/infer", body, "X-Request-Id", id); err != nil || r.status != http.StatusOK {
		t.Fatalf("%+v %v", r, err)
	}
	return predictions, first
}

// label sends labels that are off by an error of the size of the first column times a factor.
func (p *priced) label(t *testing.T, id string, predictions, first []float64, factor float64) {
	t.Helper()
	var b strings.Builder
	b.WriteString("request_id,row,label\n")
	for i, x := range predictions {
		fmt.Fprintf(&b, "%s,%d,%v\n", id, i, x+p.rng.NormFloat64()*factor*first[i])
	}
	r, err := p.send(t.Context(), http.MethodPost, p.url+"/v2/models/price/labels", b.String(), "Content-Type", "text/csv")
	if err != nil || !strings.Contains(r.body, fmt.Sprintf(`"joined":%d`, len(predictions))) {
		t.Fatalf("%.300s %v", r.body, err)
	}
}

func (p *priced) report(t *testing.T) (report api.LabelReport) {
	t.Helper()
	if err := json.Unmarshal([]byte(p.must(t, http.MethodGet, p.admin+"/api/v1/labels/price", "")), &report); err != nil {
		t.Fatal(err)
	}
	return report
}

// estimated waits until that many rows have an expected loss, and returns the stream.
func (p *priced) estimated(t *testing.T, rows uint64) (s api.LabelStream) {
	t.Helper()
	eventually(t, func() bool {
		r := p.report(t)
		if len(r.Streams) == 1 {
			s = r.Streams[0]
		}
		return len(s.Estimates) == 1 && s.Estimates[0].Rows == rows
	})
	return s
}

// TestLossOfShadows: the loss model estimates the errors of a shadow from what that predicts, by window too.
func TestLossOfShadows(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "price", 1, linear(t, []float32{1, 1, 1}))
	put(t, dir, "price", 2, linear(t, []float32{2, 2, 2}))
	put(t, dir, "price_loss", 1, linear(t, []float32{0, 0, 0, 1}, "Abs")) // the error is as large as the prediction
	p := &priced{rng: rand.New(rand.NewPCG(7, 8)), gateway: start(t, dir, fmt.Sprintf(`data_dir: %q
models: {price: {%s, labels: {sample: 100%%, loss: {model: price_loss}}}, price_loss: {%s}}
routes: {price: {model: price, variants: [{version: 1, weight: 100%%}], shadows: [{version: 2, sample: 100%%}]}}`, t.TempDir(), patient, patient))}
	p.ask(t, "a", 500, 1)
	var answers, shadow api.LabelStream
	eventually(t, func() bool {
		streams := p.report(t).Streams
		for i := range streams {
			if streams[i].Role == api.RoleShadow {
				shadow = streams[i]
			} else {
				answers = streams[i]
			}
		}
		return len(answers.Estimates) == 1 && len(shadow.Estimates) == 1
	})
	a, b := answers.Estimates[0], shadow.Estimates[0]
	if a.Rows != 500 || b.Rows != 500 || b.Method != api.EstimateDLE || shadow.Version != 2 || math.Abs(b.Value-2*a.Value) > 1e-3*b.Value || a.Value == 0 {
		t.Errorf("%+v, %+v", a, b)
	}
	for _, s := range []api.LabelStream{answers, shadow} {
		if len(s.Windows) != 1 || s.Windows[0].Predictions != 500 || len(s.Windows[0].Estimates) != 1 || s.Windows[0].Estimates[0].Value != s.Estimates[0].Value {
			t.Errorf("%+v", s.Windows)
		}
	}
}

// TestLossModel: the loss of a regression is estimated before labels come, for rows that become
// harder too. Labels agree, until the errors grow in a way that the inputs do not show.
func TestLossModel(t *testing.T) {
	f := func(settings, metric string, unit float64, loss []byte) {
		t.Helper()
		p := startPriced(t, loss, settings)
		predictions, first := p.ask(t, "easy", 1000, 0)
		easy := p.estimated(t, 1000)
		harder, more := p.ask(t, "hard", 1000, 3)
		s := p.estimated(t, 2000)
		e, want := s.Estimates[0], 0.0
		for _, x := range append(append([]float64{}, first...), more...) {
			want += math.Pow(x*unit, map[string]float64{"mae": 1, "rmse": 2}[metric]) / 2000
		}
		if metric == "rmse" {
			want = math.Sqrt(want)
		}
		if e.Name != metric || e.Method != api.EstimateDLE || math.Abs(e.Value-want) > 1e-4 || e.Value < easy.Estimates[0].Value*1.5 || e.Check != nil ||
			e.StandardError <= 0 || e.Low == nil || *e.Low >= e.Value || *e.High <= e.Value {
			t.Errorf("%s: want %v: %+v", metric, want, e)
		}
		p.label(t, "easy", predictions, first, 1)
		p.label(t, "hard", harder, more, 1)
		s = p.estimated(t, 2000)
		e = s.Estimates[0]
		if e.Check == nil || e.Check.Rows != 2000 || e.Check.Holds == nil || !*e.Check.Holds || math.Abs(e.Check.Estimate-e.Value) > 1e-9 {
			t.Errorf("%s: %+v %+v", metric, e, e.Check)
		}
		for _, m := range s.Metrics {
			if m.Name == metric && math.Abs(m.Value-e.Check.Truth) > 1e-9 {
				t.Errorf("%s is %v, and %v beside the estimate", metric, m.Value, e.Check.Truth)
			}
		}
		late, rows := p.ask(t, "late", 1000, 0)
		p.label(t, "late", late, rows, 10) // the labels may come before the expected losses
		eventually(t, func() bool {
			e = p.estimated(t, 3000).Estimates[0]
			return e.Check.Rows == 3000
		})
		if *e.Check.Holds {
			t.Errorf("%s: it holds after the errors have grown: %+v", metric, e.Check)
		}
		if n := p.series(t, "sluice_model_performance_estimate_holds", `model="price"`, `metric="`+metric+`"`); n != 0 {
			t.Error(n)
		}
		if n := p.series(t, "sluice_shadow_requests_total", `route="labels.loss/price"`, `model="price_loss"`, `code="ok"`); n != 3 {
			t.Error(n)
		}
		if l := p.report(t).LossModel; l == nil || l.Model != "price_loss" || l.Version != 1 || l.State != api.StateReady || l.Requests != 3 || l.Errors != 0 {
			t.Errorf("%+v", l)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}
	mean := float32(math.Sqrt(2 / math.Pi))
	f("", "mae", float64(mean), linear(t, []float32{mean, 0, 0, 0}, "Abs"))
	squares := onnxgen.New("squares")
	first := squares.Op("MatMul", squares.Input("x", infer.FP32, "N", 4), squares.Init(onnxgen.Float32s([]float32{1, 0, 0, 0}, 4, 1)))
	squares.Output("loss", infer.FP32, squares.Op("Mul", first, first), "N", 1)
	f(", kind: squared_error, version: 1", "rmse", 1, squares.Bytes())
}

// TestLossModelsThatDoNotFit: the report says what is wrong, and everything else works.
func TestLossModelsThatDoNotFit(t *testing.T) {
	f := func(want string, loss []byte, settings string) {
		t.Helper()
		p := startPriced(t, loss, settings)
		predictions, first := p.ask(t, "a", 10, 0)
		p.label(t, "a", predictions, first, 1)
		var text string
		eventually(t, func() bool {
			r := p.report(t)
			text = ""
			if r.LossModel != nil {
				text = r.LossModel.Reason
			}
			if len(r.Streams) == 1 {
				text += " " + r.Streams[0].NoEstimates
			}
			return len(r.Streams) == 1 && len(r.Streams[0].Metrics) == 3 && strings.Contains(text, want)
		})
		if s := p.report(t).Streams[0]; len(s.Estimates) != 0 {
			t.Errorf("%s: %+v", want, s.Estimates)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}
	wide := onnxgen.New("wide")
	wide.Output("y", infer.FP32, wide.Op("Abs", wide.Input("x", infer.FP32, "N", 4)), "N", 4)
	f("has 6 columns", linear(t, make([]float32, 6)), "")
	f("one output with one number a row", wide.Bytes(), "")
	f("no version of the loss model", nil, "")
	f("has no version 3", linear(t, make([]float32, 4)), ", version: 3")
	f("not loaded: not an ONNX model", []byte("not a model"), "")
	f("gave no loss that can be for any of 10 rows", linear(t, []float32{0, 0, 0, 0}, "Log", "Abs"), "") // infinity
}

// TestLossModelIsReplaced: estimates are those of the version that the loss model has now. A version
// that is in use cannot be taken out of the repository.
func TestLossModelIsReplaced(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	put(t, dir, "price", 1, linear(t, []float32{1, 1, 1}))
	put(t, dir, "price_loss", 1, linear(t, []float32{0, 0, 0, 1}, "Abs"))
	put(t, dir, "price_loss", 2, linear(t, []float32{0, 0, 0, 2}, "Abs"))
	with := func(version int) *priced {
		return &priced{rng: rand.New(rand.NewPCG(7, 8)), gateway: start(t, dir, fmt.Sprintf(
			"data_dir: %q\nmodels: {price: {labels: {sample: 100%%, loss: {model: price_loss, version: %d}}}, price_loss: {%s}}", data, version, patient))}
	}
	p := with(1)
	predictions, _ := p.ask(t, "a", 10, 0)
	mean := 0.0
	for _, x := range predictions {
		mean += math.Abs(x) / 10
	}
	if got := p.estimated(t, 10).Estimates[0].Value; math.Abs(got-mean) > 1e-5 {
		t.Errorf("%v, want %v", got, mean)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = with(2)
	if s := p.report(t).Streams[0]; len(s.Estimates) != 0 || s.Predictions != 10 {
		t.Errorf("%+v", s)
	}
	p.ask(t, "b", 10, 0) // the same rows
	if got := p.estimated(t, 10).Estimates[0].Value; math.Abs(got-2*mean) > 1e-5 {
		t.Errorf("%v, want %v", got, 2*mean)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = with(1)
	if got := p.estimated(t, 10).Estimates[0].Value; math.Abs(got-mean) > 1e-5 {
		t.Errorf("the first one again: %v, want %v", got, mean)
	}
	if status, text := p.call(t, http.MethodDelete, p.admin+"/api/v1/models/price_loss/versions/1", ""); status < 400 || status >= 500 {
		t.Errorf("%d %s", status, text)
	}
}

// TestLossModelOfRealData: models that LightGBM trained on visits to doctors, and later rows with more
// and more chronic diseases. The estimate is NannyML's of the same rows, and the labels agree.
func TestLossModelOfRealData(t *testing.T) {
	folder := filepath.Join("..", "..", "testdata", "dle")
	rows := numbers(t, filepath.Join(folder, "visits.csv")) // the first and the last of ten parts
	text, err := os.ReadFile(filepath.Join(folder, "nannyml.json"))
	if err != nil {
		t.Fatal(err)
	}
	var sets []struct {
		Parts []map[string]struct{ NannyML, Metric float64 }
	}
	if err := json.Unmarshal(text, &sets); err != nil {
		t.Fatal(err)
	}
	parts := sets[0].Parts
	p := &priced{gateway: start(t, filepath.Join(folder, "models"), fmt.Sprintf(
		"data_dir: %q\nmodels: {visits: {labels: {sample: 100%%, loss: {model: visits_mae}}}, visits_mae: {%s}}", t.TempDir(), patient))}
	report := func() (r api.LabelReport) {
		if err := json.Unmarshal([]byte(p.must(t, http.MethodGet, p.admin+"/api/v1/labels/visits", "")), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	labels := strings.Builder{}
	labels.WriteString("request_id,row,label\n")
	for i, want := range []float64{parts[0]["mae"].NannyML, (parts[0]["mae"].NannyML + parts[9]["mae"].NannyML) / 2} {
		part := rows[600*i : 600*(i+1)]
		data := make([][]float64, len(part))
		for k, row := range part {
			data[k] = row[:len(row)-1]
			fmt.Fprintf(&labels, "part-%d,%d,%v\n", i, k, row[len(row)-1])
		}
		text, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		body := fmt.Sprintf(`{"inputs":[{"name":"input","shape":[600,%d],"datatype":"FP32","data":%s}]}`, len(data[0]), text)
		if r, err := p.send(t.Context(), http.MethodPost, p.url+"/v2/models/visits/infer", body, "X-Request-Id", fmt.Sprintf("part-%d", i)); err != nil || r.status != http.StatusOK {
			t.Fatalf("%+v %v", r, err)
		}
		var e api.LabelEstimate
		eventually(t, func() bool {
			r := report()
			if len(r.Streams) != 1 || len(r.Streams[0].Estimates) != 1 {
				return false
			}
			e = r.Streams[0].Estimates[0]
			return e.Rows == uint64(600*(i+1))
		})
		if math.Abs(e.Value-want) > 0.01 { // the rows of the file have six digits
			t.Errorf("part %d: the estimate is %v, NannyML's is %v", i, e.Value, want)
		}
	}
	if r, err := p.send(t.Context(), http.MethodPost, p.url+"/v2/models/visits/labels", labels.String(), "Content-Type", "text/csv"); err != nil || !strings.Contains(r.body, `"joined":1200`) {
		t.Fatalf("%.300s %v", r.body, err)
	}
	s := report().Streams[0]
	check, truth := s.Estimates[0].Check, (parts[0]["mae"].Metric+parts[9]["mae"].Metric)/2
	if check == nil || check.Rows != 1200 || !*check.Holds || math.Abs(check.Truth-truth) > 0.01 {
		t.Errorf("%+v, the truth is %v", check, truth)
	}
}
