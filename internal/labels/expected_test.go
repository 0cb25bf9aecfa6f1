package labels_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
)

// table is a regressor of a matrix and of a column of text.
func table() *infer.Model {
	return infer.NewModel("price", 1, []infer.TensorSpec{
		{Name: "x", DType: infer.FP32, Shape: infer.Shape{-1, 2}},
		{Name: "n", DType: infer.Int64, Shape: infer.Shape{-1}},
	}, []infer.TensorSpec{{Name: "y", DType: infer.FP32, Shape: infer.Shape{-1, 1}}})
}

// lossOf is a loss model with these inputs.
func lossOf(inputs ...infer.TensorSpec) *infer.Model {
	return infer.NewModel("price_loss", 1, inputs, []infer.TensorSpec{{Name: "loss", DType: infer.FP64, Shape: infer.Shape{-1, 1}}})
}

func matrixOf(columns int64) infer.TensorSpec {
	return infer.TensorSpec{Name: "features", DType: infer.FP32, Shape: infer.Shape{-1, columns}}
}

// asked has a request of two rows and its answer.
func asked() (*infer.Request, []infer.Tensor) {
	req := &infer.Request{RequestID: "a", Inputs: []infer.Tensor{
		{Name: "x", DType: infer.FP32, Shape: infer.Shape{2, 2}, Data: floats(1, 2, 3, 4)},
		{Name: "n", DType: infer.Int64, Shape: infer.Shape{2}, Data: []byte{7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0}},
	}}
	return req, []infer.Tensor{{Name: "y", DType: infer.FP32, Shape: infer.Shape{2, 1}, Data: floats(10, 20)}}
}

// TestInputsOfLossModels: a matrix with the prediction as its last column, or inputs by name.
func TestInputsOfLossModels(t *testing.T) {
	h := start(t, labels.Options{Dir: t.TempDir()})
	f := func(of, m *infer.Model, want ...infer.Tensor) {
		t.Helper()
		k := h.keeper(t, of)
		l, err := k.LossModel(m, labels.NewLossSource("d", api.LossAbsolute), false)
		if err != nil {
			t.Error(err)
			return
		}
		req, outputs := asked()
		if err := l.Shape(req, outputs); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, req.Inputs); diff != "" {
			t.Errorf("%+v: %s", m.Inputs, diff)
		}
		if err := m.Check(req); err != nil || req.Outputs[0].Name != "loss" {
			t.Errorf("%+v, %v", req.Outputs, err)
		}
	}
	named := func(name string, d infer.DType, shape ...int64) infer.TensorSpec {
		return infer.TensorSpec{Name: name, DType: d, Shape: shape}
	}
	all := infer.Tensor{Name: "features", DType: infer.FP32, Shape: infer.Shape{2, 4}, Data: floats(1, 2, 7, 10, 3, 4, 8, 20)}
	req, outputs := asked()
	f(table(), lossOf(matrixOf(4)), all)
	f(table(), lossOf(matrixOf(-1)), all)
	f(table(), lossOf(named("n", infer.Int64, -1), named("y", infer.FP32, -1, 1), named("x", infer.FP32, -1, 2)),
		req.Inputs[1], infer.Tensor{Name: "y", DType: infer.FP32, Shape: infer.Shape{2, 1}, Data: outputs[0].Data}, req.Inputs[0])
	f(table(), lossOf(named("prediction", infer.FP32, -1)), infer.Tensor{Name: "prediction", DType: infer.FP32, Shape: infer.Shape{2}, Data: outputs[0].Data})
	f(table(), lossOf(named("n", infer.Int64, -1)), req.Inputs[1]) // it may do without the prediction
	refused := func(m *infer.Model) {
		t.Helper()
		if _, err := h.keeper(t, table()).LossModel(m, labels.LossSource{}, false); infer.CodeOf(err) != infer.Invalid {
			t.Errorf("%+v: %v", m.Inputs, err)
		}
	}
	refused(lossOf(matrixOf(3)))
	refused(lossOf(named("x", infer.FP64, -1, 2)))
	refused(lossOf(named("x", infer.FP32, 1, 2)))
	refused(lossOf(named("n", infer.Int64, -1), named("y", infer.FP32, -1), named("z", infer.FP32, -1)))
	refused(lossOf(named("n", infer.Int64, -1), named("y", infer.Bytes, -1)))
	refused(infer.NewModel("l", 1, []infer.TensorSpec{matrixOf(4)}, []infer.TensorSpec{named("y", infer.FP32, -1, 2)}))
	if _, err := h.keeper(t, classifier()).LossModel(lossOf(matrixOf(4)), labels.LossSource{}, false); infer.CodeOf(err) != infer.Invalid {
		t.Error("a loss model of a classification")
	}
}

// TestRequestsThatLossModelsCannotTake: what a request can have that the signature allows.
func TestRequestsThatLossModelsCannotTake(t *testing.T) {
	h := start(t, labels.Options{Dir: t.TempDir()})
	byName := infer.TensorSpec{Name: "n", DType: infer.Int64, Shape: infer.Shape{-1}}
	for _, m := range []*infer.Model{lossOf(matrixOf(-1)), lossOf(byName)} {
		l, err := h.keeper(t, table()).LossModel(m, labels.LossSource{}, false)
		if err != nil {
			t.Fatal(err)
		}
		f := func(change func(req *infer.Request, outputs []infer.Tensor)) {
			t.Helper()
			req, outputs := asked()
			change(req, outputs)
			if err := l.Shape(req, outputs); infer.CodeOf(err) != infer.Invalid {
				t.Errorf("%v: %+v", err, req.Inputs)
			}
		}
		f(func(_ *infer.Request, outputs []infer.Tensor) { outputs[0].Index = 1 })
		f(func(req *infer.Request, _ []infer.Tensor) { req.Inputs[1].Shape = infer.Shape{1} })
		f(func(req *infer.Request, _ []infer.Tensor) { req.Inputs[1].Shape = nil })
		f(func(req *infer.Request, _ []infer.Tensor) { req.Inputs = req.Inputs[:1] })
		f(func(_ *infer.Request, outputs []infer.Tensor) { outputs[0].Data = outputs[0].Data[:7] })
	}
}

// expecting is a loss model of a regressor whose answers are given.
type expecting struct {
	*labels.LossModel

	keeper *labels.Keeper
	source labels.LossSource
}

func (h *harness) expecting(t *testing.T, digest, kind string) *expecting {
	t.Helper()
	e := &expecting{keeper: h.keeper(t, table()), source: labels.NewLossSource(digest, kind)}
	var err error
	if e.LossModel, err = e.keeper.LossModel(lossOf(matrixOf(4)), e.source, false); err != nil {
		t.Fatal(err)
	}
	return e
}

// keep keeps predictions of values, and returns the request.
func (e *expecting) keep(id string, values ...float32) *infer.Request {
	req := &infer.Request{RequestID: id, Arrived: time.Now()}
	e.keeper.Keep(req, &infer.Response{Outputs: []infer.Tensor{
		{Name: "y", DType: infer.FP32, Shape: infer.Shape{int64(len(values)), 1}, Data: floats(values...)},
	}}, "stable")
	return req
}

// expect is what the loss model answers.
func (e *expecting) expect(req *infer.Request, losses ...float64) {
	resp := infer.NewResponse()
	defer resp.Release()
	copy(resp.Add("loss", 0, infer.FP64, infer.Shape{int64(len(losses)), 1}, 8*len(losses)), doubles(losses...))
	e.Done(req, resp)
}

// sums returns what the store says about a loss model.
func (h *harness) sums(t *testing.T, s labels.LossSource) (x labels.Expected) {
	t.Helper()
	h.restart(t) // writes what waits
	if _, err := h.Report("price", func(_ *api.LabelStream, scores *labels.Scores) { x = scores.Expected(s) }); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestExpectedLosses: sums over all rows, and beside labels, whatever comes first, and if labels or
// predictions are replaced.
func TestExpectedLosses(t *testing.T) {
	h := start(t, labels.Options{Dir: t.TempDir()})
	value := func(id string, row int, x float64) labels.Row {
		return labels.Row{RequestID: id, Row: row, Label: labels.NumberLabel(x)}
	}
	e := h.expecting(t, "one", api.LossAbsolute)
	a := e.keep("a", 1, 2, 3, 4, 5)
	h.label(t, "price", value("a", 0, 3)) // before the loss model has answered
	e.expect(a, 1, 2, -1, math.NaN())     // below 0 is 0; none for the last row
	h.label(t, "price", value("a", 1, 2), value("a", 3, 9))
	want := labels.Expected{Source: e.source, Rows: 3, Invalid: 2, Sum: 3, Squares: 5, Labelled: 2, LabelledSum: 3, LabelledSquares: 5, Truth: 2, Residuals: 1 + 4}
	check := func(what string) {
		t.Helper()
		if diff := cmp.Diff(want, h.sums(t, want.Source)); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	check("both orders")
	h.label(t, "price", value("a", 1, 5))
	want.Truth, want.Residuals = 5, 1+1
	check("a contradiction")
	e = h.expecting(t, "one", api.LossAbsolute) // after the restart
	e.expect(a, 9, 9, 9, 9, 9)
	check("answered twice")
	e = h.expecting(t, "one", api.LossAbsolute)
	again := e.keep("b", 1)
	again.Arrived = again.Arrived.Add(-time.Second)
	e.expect(again, 3)
	e.expect(&infer.Request{RequestID: "c", Arrived: time.Now()}, 3)
	check("another request of that id, and none")
	square := h.expecting(t, "one", api.LossSquared)
	d := square.keep("d", 5)
	square.expect(d, 4)
	h.label(t, "price", value("d", 0, 8))
	check("beside another loss model")
	want = labels.Expected{Source: square.source, Rows: 1, Sum: 4, Squares: 16, Labelled: 1, LabelledSum: 4, LabelledSquares: 16, Truth: 9, Residuals: 25}
	check("of the squared error")
}

// TestExpectedLossesOfShadows: the loss model says of a shadow's prediction what it says of an answer, and
// neither is taken for the other.
func TestExpectedLossesOfShadows(t *testing.T) {
	h := start(t, labels.Options{Dir: t.TempDir()})
	answers := h.expecting(t, "one", api.LossAbsolute)
	a := answers.keep("a", 1, 2)
	shadow := &expecting{source: answers.source}
	model := infer.NewModel("price", 2, table().Inputs, table().Outputs)
	shadow.keeper = h.keeper(t, model)
	var err error
	if shadow.LossModel, err = shadow.keeper.LossModel(lossOf(matrixOf(4)), shadow.source, true); err != nil {
		t.Fatal(err)
	}
	shadow.keeper.Keep(a, &infer.Response{Outputs: []infer.Tensor{
		{Name: "y", DType: infer.FP32, Shape: infer.Shape{2, 1}, Data: floats(5, 6)},
	}}, api.RoleShadow)
	h.label(t, "price", labels.Row{RequestID: "a", Label: labels.NumberLabel(4)}) // before the loss models have answered
	answers.expect(a, 3, 1)
	shadow.expect(a, 2, 2)
	shadow.expect(&infer.Request{RequestID: "b", Arrived: time.Now()}, 7) // not kept
	h.label(t, "price", labels.Row{RequestID: "a", Row: 1, Label: labels.NumberLabel(8)})
	found := map[int64]labels.Expected{}
	h.restart(t)
	if _, err := h.Report("price", func(s *api.LabelStream, scores *labels.Scores) { found[s.Version] = scores.Expected(shadow.source) }); err != nil {
		t.Fatal(err)
	}
	want := map[int64]labels.Expected{
		1: {Source: shadow.source, Rows: 2, Sum: 4, Squares: 10, Labelled: 2, LabelledSum: 4, LabelledSquares: 10, Truth: 3 + 6, Residuals: 0 + 25},
		2: {Source: shadow.source, Rows: 2, Sum: 4, Squares: 8, Labelled: 2, LabelledSum: 4, LabelledSquares: 8, Truth: 1 + 2, Residuals: 1 + 0},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
}

// TestExpectedLossesWithoutRoom: they are dropped and counted, and predictions are not.
func TestExpectedLossesWithoutRoom(t *testing.T) {
	h := prepare(labels.Options{Dir: t.TempDir()})
	k, err := h.Keeper(infer.Version{Model: "price", Number: 1}, labels.KeepOptions{Model: table(), Sample: api.TotalWeight, MaxRows: 100, MaxBytes: 200})
	if err != nil {
		t.Fatal(err)
	}
	e := &expecting{keeper: k, source: labels.NewLossSource("d", api.LossAbsolute)}
	if e.LossModel, err = k.LossModel(lossOf(matrixOf(4)), e.source, false); err != nil {
		t.Fatal(err)
	}
	a := e.keep("a", 1, 2, 3)
	e.expect(a, make([]float64, 30)...)
	h.run(t)
	defer h.stop(t)
	h.label(t, "price", labels.Row{RequestID: "a", Label: labels.NumberLabel(1)}) // what waits is written before
	if kept := h.report(t, "price").Kept; kept.Kept != 3 || kept.EstimatesDropped != 30 || kept.Dropped != 0 {
		t.Errorf("%+v", kept)
	}
}

func doubles(values ...float64) (b []byte) {
	for _, x := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return b
}
