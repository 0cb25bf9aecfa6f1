package labels

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/zeebo/xxh3"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// LossSource identifies a loss model: a model that predicts the loss of another one, and which
// loss. What two of them say is never added up.
type LossSource struct {
	ID      uint64
	Squared bool // the squared error, not the absolute one
}

// NewLossSource returns the source of a loss model by the digest of its files. kind is
// api.LossAbsolute or api.LossSquared.
func NewLossSource(digest, kind string) LossSource {
	return LossSource{ID: xxh3.HashString(digest + "\x00" + kind), Squared: kind == api.LossSquared}
}

// loss returns the loss of an error.
func (s LossSource) loss(e float64) float64 {
	if s.Squared {
		return e * e
	}
	return math.Abs(e)
}

// LossModel makes the requests to a loss model from those of the model that it is about, and
// keeps what it answers beside the predictions.
//
// A loss model has either one input, a matrix whose columns are the inputs of the other model in
// their order and then its prediction; or inputs with the names of those, and at most one more,
// which gets the prediction.
type LossModel struct {
	keeper *Keeper
	source LossSource
	shadow bool // the predictions are those of a shadow
	model  *infer.Model
	output int
	read   func([]byte) float64

	columns int   // of the matrix; 0: inputs by name
	from    []int // by input: the index of the other model's input, or fromPrediction
}

const fromPrediction = -1

// PredictionInput is the name of a loss model's input that always gets the prediction.
const PredictionInput = "prediction"

// LossModel returns what asks a loss model about the predictions of the keeper, which are those of a shadow
// or answers. Errors are Invalid: the two do not fit.
func (k *Keeper) LossModel(m *infer.Model, source LossSource, shadow bool) (*LossModel, error) {
	if k.form.Kind != kindValue {
		return nil, infer.Errorf(infer.Invalid, "a loss model is for regressions; output '%s' of model '%s' is read as a classification", k.form.Output, k.o.Model.Name)
	}
	form, output, err := FormOf(m, Settings{Task: api.TaskRegression})
	if err == nil && !isFloat(m.Outputs[output].DType) {
		err = infer.Errorf(infer.Invalid, "output '%s' is %v, expected a float", form.Output, m.Outputs[output].DType)
	}
	if err != nil {
		return nil, infer.Errorf(infer.Invalid, "the loss model must have one output with one number a row: %s", infer.Message(err))
	}
	l := &LossModel{keeper: k, source: source, shadow: shadow, model: m, output: output, read: infer.NumberReader(m.Outputs[output].DType)}
	if l.from, err = byName(k.o.Model, m); err == nil {
		return l, nil
	}
	columns, merr := asMatrix(k.o.Model, m)
	if merr != nil {
		return nil, infer.Errorf(infer.Invalid, "the inputs of the loss model do not fit: %s; and by name: %s", infer.Message(merr), infer.Message(err))
	}
	l.columns = columns
	return l, nil
}

// asMatrix returns the number of columns of the only input of a loss model.
func asMatrix(of, m *infer.Model) (columns int, err error) {
	if len(m.Inputs) != 1 || len(m.Inputs[0].Shape) != 2 || m.Inputs[0].DType != infer.FP32 && m.Inputs[0].DType != infer.FP64 {
		return 0, infer.Errorf(infer.Invalid, "it does not have exactly one input, a matrix of FP32 or FP64")
	}
	columns = 1
	for i := range of.Inputs {
		in := &of.Inputs[i]
		if len(in.Shape) == 0 || in.DType == infer.Bytes {
			return 0, infer.Errorf(infer.Invalid, "input '%s' of model '%s' does not have rows of numbers", in.Name, of.Name)
		}
		n := int64(1)
		for _, d := range in.Shape[1:] {
			if d < 1 || d > maxColumns || n > maxColumns {
				return 0, infer.Errorf(infer.Invalid, "input '%s' of model '%s' does not have a fixed number of columns, at most %d", in.Name, of.Name, maxColumns)
			}
			n *= d
		}
		columns += int(n)
	}
	if want := m.Inputs[0].Shape[1]; want >= 0 && want != int64(columns) {
		return 0, infer.Errorf(infer.Invalid, "its input '%s' has %d columns; model '%s' has inputs of %d columns, and the prediction is one more", m.Inputs[0].Name, want, of.Name, columns-1)
	}
	return columns, nil
}

const maxColumns = 1 << 20

// byName returns where each input of a loss model comes from.
func byName(of, m *infer.Model) (from []int, err error) {
	predictions := 0
	for i := range m.Inputs {
		in := &m.Inputs[i]
		at := slices.IndexFunc(of.Inputs, func(s infer.TensorSpec) bool { return s.Name == in.Name && in.Name != PredictionInput })
		if at < 0 {
			at = fromPrediction
			predictions++
		}
		switch {
		case at >= 0 && (of.Inputs[at].DType != in.DType || !fits(of.Inputs[at].Shape, in.Shape)):
			return nil, infer.Errorf(infer.Invalid, "its input '%s' is %v%v, that of model '%s' is %v%v", in.Name, in.DType, in.Shape, of.Name, of.Inputs[at].DType, of.Inputs[at].Shape)
		case at < 0 && (width(in) != 1 || in.DType != infer.FP32 && in.DType != infer.FP64):
			return nil, infer.Errorf(infer.Invalid, "its input '%s' is not one of model '%s', and not one FP32 or FP64 a row, as the prediction is", in.Name, of.Name)
		case predictions > 1:
			return nil, infer.Errorf(infer.Invalid, "it has more than one input that model '%s' does not have", of.Name)
		}
		from = append(from, at)
	}
	return from, nil
}

// fits reports whether tensors of one shape, without their number of rows, have the other. A free
// dimension of a loss model takes any.
func fits(of, in infer.Shape) bool {
	if len(of) != len(in) || len(of) == 0 || in[0] >= 0 {
		return false
	}
	for i := 1; i < len(of); i++ {
		if in[i] >= 0 && in[i] != of[i] || len(of) == 2 && in[i] < 0 && of[i] >= 0 {
			return false
		}
	}
	return true
}

// Shape turns a copy of a request, and the outputs that answered it, into a request to the loss
// model.
func (l *LossModel) Shape(req *infer.Request, outputs []infer.Tensor) error {
	k := l.keeper
	at := slices.IndexFunc(outputs, func(t infer.Tensor) bool { return t.Index == k.output })
	if at < 0 {
		return infer.Errorf(infer.Invalid, "the answer does not have output '%s'", k.form.Output)
	}
	n := k.form.rows(&outputs[at])
	for i := range req.Inputs {
		if t := &req.Inputs[i]; len(t.Shape) == 0 || t.Shape[0] != int64(n) {
			return infer.Errorf(infer.Invalid, "input '%s' has the shape %v, and there are %d predictions", t.Name, t.Shape, n)
		}
	}
	n = min(n, k.o.MaxRows)
	predictions := values(&outputs[at], n, k.read)
	if len(predictions) < n {
		return infer.Errorf(infer.Invalid, "output '%s' does not have %d numbers", k.form.Output, n)
	}
	var err error
	if l.columns > 0 {
		req.Inputs, err = l.matrix(req.Inputs, predictions)
	} else {
		req.Inputs, err = l.named(req.Inputs, predictions)
	}
	req.Outputs = []infer.OutputRef{{Name: l.model.Outputs[l.output].Name}}
	return err
}

// matrix returns the one input of the loss model.
func (l *LossModel) matrix(inputs []infer.Tensor, predictions []float64) ([]infer.Tensor, error) {
	n := len(predictions)
	all, at := make([]float64, n*l.columns), 0
	for i := range inputs { // in the order of the model
		t := &inputs[i]
		read := infer.NumberReader(t.DType)
		if read == nil || n == 0 {
			return nil, infer.Errorf(infer.Invalid, "input '%s' does not have rows of numbers", t.Name)
		}
		size := t.DType.Size()
		width := len(t.Data) / size / int(t.Shape[0])
		if at+width >= l.columns {
			return nil, infer.Errorf(infer.Invalid, "the inputs have more than the %d columns that the loss model has", l.columns-1)
		}
		for r := range n {
			for c := range width {
				all[r*l.columns+at+c] = read(t.Data[(r*width+c)*size:])
			}
		}
		at += width
	}
	if at != l.columns-1 {
		return nil, infer.Errorf(infer.Invalid, "the inputs have %d columns; the loss model has %d, and the prediction", at, l.columns-1)
	}
	for r, x := range predictions {
		all[r*l.columns+at] = x
	}
	in := &l.model.Inputs[0]
	return []infer.Tensor{tensorOf(in, infer.Shape{int64(n), int64(l.columns)}, all)}, nil
}

// named returns the inputs of the loss model that the request has, and the prediction.
func (l *LossModel) named(inputs []infer.Tensor, predictions []float64) ([]infer.Tensor, error) {
	n := int64(len(predictions))
	list := make([]infer.Tensor, 0, len(l.from))
	for i, from := range l.from {
		in := &l.model.Inputs[i]
		if from == fromPrediction {
			shape := infer.Shape{n}
			if len(in.Shape) == 2 {
				shape = append(shape, 1)
			}
			list = append(list, tensorOf(in, shape, predictions))
			continue
		}
		at := slices.IndexFunc(inputs, func(t infer.Tensor) bool { return t.Name == in.Name })
		if at < 0 {
			if in.Optional {
				continue
			}
			return nil, infer.Errorf(infer.Invalid, "the request leaves out input '%s', which the loss model needs", in.Name)
		}
		t := inputs[at]
		data, ok := firstRows(&t, n)
		if !ok {
			return nil, infer.Errorf(infer.Invalid, "input '%s' does not have %d rows", in.Name, n)
		}
		t.Shape, t.Data = append(infer.Shape{n}, t.Shape[1:]...), data
		list = append(list, t)
	}
	return list, nil
}

// firstRows returns the data of the first n rows.
func firstRows(t *infer.Tensor, n int64) ([]byte, bool) {
	if t.Shape[0] == n || t.Shape[0] <= 0 {
		return t.Data, true
	}
	if t.DType != infer.Bytes {
		return t.Data[:int64(len(t.Data))/t.Shape[0]*n], true
	}
	elements := n
	for _, d := range t.Shape[1:] {
		elements *= d
	}
	rest := t.Data
	for range elements {
		var ok bool
		if _, rest, ok = infer.NextElement(rest); !ok {
			return nil, false
		}
	}
	return t.Data[:len(t.Data)-len(rest)], true
}

// tensorOf returns a tensor of floats.
func tensorOf(spec *infer.TensorSpec, shape infer.Shape, values []float64) infer.Tensor {
	t := infer.Tensor{Name: spec.Name, DType: spec.DType, Shape: shape, Data: make([]byte, 0, len(values)*spec.DType.Size())}
	for _, x := range values {
		if spec.DType == infer.FP64 {
			t.Data = binary.LittleEndian.AppendUint64(t.Data, math.Float64bits(x))
			continue
		}
		t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(float32(x)))
	}
	return t
}

// values reads the first n numbers of a tensor, fewer if it has fewer.
func values(t *infer.Tensor, n int, read func([]byte) float64) []float64 {
	size := t.DType.Size()
	if read == nil || size == 0 {
		return nil
	}
	list := make([]float64, min(n, len(t.Data)/size))
	for i := range list {
		list[i] = read(t.Data[i*size:])
	}
	return list
}

// Done keeps the losses that the loss model expects for the rows of a request.
func (l *LossModel) Done(req *infer.Request, resp *infer.Response) {
	var losses []float64
	for i := range resp.Outputs {
		if t := &resp.Outputs[i]; t.Index == l.output {
			losses = values(t, l.keeper.o.MaxRows, l.read)
		}
	}
	l.keeper.queue.expect(l.keeper, req, l.source, l.shadow, losses)
}
