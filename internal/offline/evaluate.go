package offline

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/serving"
)

// The limits of a run.
const (
	runRows  = 256
	runBytes = 8 << 20 // of the rows' numbers, as float64
)

// evaluation runs the rows of a table through a model. It skips rows with a missing integer input,
// since no integer expresses a missing value. A missing float becomes NaN, and a missing text an empty one.
type evaluation struct {
	e        *Evaluator
	inputs   []tensorPlan
	outputs  []tensorPlan
	features []drift.Feature // the columns, and after them the outputs
	columns  int
	size     int // rows of a run

	values  []float64 // of the waiting rows, one after the other
	texts   []string  // the same for columns of texts
	missing []bool
	lines   []int
	unrun   int64 // skipped rows
	add     func(values []float64, texts []string, missing []bool)
}

// tensorPlan is the feature of each element of a tensor's row.
type tensorPlan struct {
	index int // in the model
	spec  *infer.TensorSpec
	at    []int // by element; -1 for an output that is in the table
	read  func([]byte) float64
}

// newEvaluation plans the inputs from the columns, and adds the missing outputs as features. It
// fails if there are outputs to compute but not all inputs have columns, or if no output can be a
// feature.
func (e *Evaluator) newEvaluation(ctx context.Context, columns []drift.Feature, note func(string)) (*evaluation, error) {
	x := &evaluation{e: e, features: columns, columns: len(columns)}
	m := e.Model()
	for i := range m.Outputs {
		if err := x.planOutput(i, &m.Outputs[i]); err != nil {
			note("outputs left out: " + err.Error())
		}
	}
	if len(x.outputs) == 0 {
		return nil, infer.Errorf(infer.Invalid, "the model has no output with a fixed size")
	}
	if len(x.features) == len(columns) {
		return x, nil // nothing to compute
	}
	for i := range m.Inputs {
		if err := x.planInput(i, &m.Inputs[i]); err != nil {
			return nil, err
		}
	}
	if e.instance == nil {
		var err error
		if e.instance, err = e.session.NewInstance(); err != nil {
			return nil, err
		}
	}
	x.size = 1
	if serving.Batchable(ctx, e.instance, e.session, e.settings).Batchable && x.rowsVary() {
		const numberBytes = 8
		x.size = max(1, min(runRows, runBytes/(numberBytes*len(x.features))))
	}
	return x, nil
}

// planInput finds the columns of an input.
func (x *evaluation) planInput(index int, s *infer.TensorSpec) error {
	n, fixed := drift.RowElements(s.Shape)
	given := map[int]int{}
	for i := range x.columns {
		if f := &x.features[i]; f.Kind == drift.KindInput && f.Tensor == s.Name {
			given[f.Element] = i
		}
	}
	switch {
	case len(given) == 0 && s.Optional:
		return nil
	case !fixed:
		return infer.Errorf(infer.Invalid, "the rows of input '%.60s' have a variable size", s.Name)
	case n != int64(len(given)):
		return infer.Errorf(infer.Invalid, "the file has columns for %d of the %d elements of input '%.60s'", len(given), n, s.Name)
	}
	p := tensorPlan{index: index, spec: s, at: make([]int, n)}
	for element, i := range given {
		p.at[element] = i
	}
	x.inputs = append(x.inputs, p)
	return nil
}

// planOutput adds an output as features.
func (x *evaluation) planOutput(index int, s *infer.TensorSpec) error {
	n, fixed := drift.RowElements(s.Shape)
	read := infer.NumberReader(s.DType)
	switch {
	case read == nil && s.DType != infer.Bytes:
		return fmt.Errorf("'%.60s' has neither numbers nor texts", s.Name)
	case !fixed:
		return fmt.Errorf("the rows of '%.60s' have a variable size", s.Name)
	case n > int64(drift.MaxFeatures-len(x.features)):
		return fmt.Errorf("'%.60s' has %d elements, but a profile has at most %d features", s.Name, n, drift.MaxFeatures)
	}
	p := tensorPlan{index: index, spec: s, read: read}
	for element := range int(n) {
		if x.has(s.Name, element) {
			p.at = append(p.at, -1)
			continue
		}
		f := drift.Feature{Name: s.Name, Kind: drift.KindOutput, Tensor: s.Name, Element: element, Datatype: s.DType.String()}
		if n > 1 {
			f.Name = fmt.Sprintf("%s[%d]", s.Name, element)
		}
		p.at = append(p.at, len(x.features))
		x.features = append(x.features, f)
	}
	x.outputs = append(x.outputs, p)
	return nil
}

// has reports whether the table has an element of an output.
func (x *evaluation) has(output string, element int) bool {
	return slices.ContainsFunc(x.features[:x.columns], func(f drift.Feature) bool {
		return f.Kind == drift.KindOutput && f.Tensor == output && f.Element == element
	})
}

// rowsVary reports whether the first dimension of every input counts rows.
func (x *evaluation) rowsVary() bool {
	for i := range x.inputs {
		if s := x.inputs[i].spec; len(s.Shape) == 0 || s.Shape[0] >= 0 {
			return false
		}
	}
	return len(x.inputs) > 0
}

// row adds a row, and runs the waiting rows when there are enough.
func (x *evaluation) row(ctx context.Context, values []float64, texts []string, missing []bool, line int) error {
	outputs := len(x.features) - x.columns
	x.values = append(append(x.values, values...), make([]float64, outputs)...)
	x.texts = append(append(x.texts, texts...), make([]string, outputs)...)
	x.missing = append(append(x.missing, missing...), make([]bool, outputs)...)
	if x.lines = append(x.lines, line); len(x.lines) < x.size {
		return nil
	}
	return x.flush(ctx)
}

// end runs the last rows, and notes how many were skipped.
func (x *evaluation) end(ctx context.Context, o *TableOptions) error {
	err := x.flush(ctx)
	if err == nil && x.unrun > 0 {
		o.note(fmt.Sprintf("the outputs of %d rows are missing, since an integer input is missing there", x.unrun))
	}
	return err
}

// flush runs the waiting rows, and passes them on with their outputs.
func (x *evaluation) flush(ctx context.Context) error {
	if len(x.lines) == 0 {
		return nil
	}
	if err := x.evaluate(ctx); err != nil {
		return fmt.Errorf("the outputs of lines %d to %d cannot be computed: %w", x.lines[0], x.lines[len(x.lines)-1], err)
	}
	for i := range x.lines {
		from, to := i*len(x.features), (i+1)*len(x.features)
		x.add(x.values[from:to], x.texts[from:to], x.missing[from:to])
	}
	x.values, x.texts, x.missing, x.lines = x.values[:0], x.texts[:0], x.missing[:0], x.lines[:0]
	return nil
}

// evaluate sets the outputs of the waiting rows.
func (x *evaluation) evaluate(ctx context.Context) error {
	rows, req := x.request()
	x.unrun += int64(len(x.lines) - len(rows))
	for i := range x.missing {
		if i%len(x.features) >= x.columns {
			x.missing[i] = true
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if err := x.e.Model().Check(req); err != nil {
		return err
	}
	resp := infer.NewResponse()
	defer resp.Release()
	if err := x.e.run(ctx, req, resp); err != nil {
		return err
	}
	return x.take(rows, resp)
}

// request makes a request from the rows that can be run, and returns their indices.
func (x *evaluation) request() (rows []int, req *infer.Request) {
	for i := range x.lines {
		if x.runs(i) {
			rows = append(rows, i)
		}
	}
	req = &infer.Request{}
	for i := range x.inputs {
		p := &x.inputs[i]
		req.Inputs = append(req.Inputs, infer.Tensor{
			Name: p.spec.Name, DType: p.spec.DType, Shape: p.spec.Shape.Fixed(int64(len(rows))), Data: x.data(p, rows), Index: p.index,
		})
	}
	return rows, req
}

// data returns the content of an input for some rows.
func (x *evaluation) data(p *tensorPlan, rows []int) []byte {
	size := p.spec.DType.Size() // 0 for texts
	data := make([]byte, len(rows)*len(p.at)*size)
	for k, row := range rows {
		for element, at := range p.at {
			if size > 0 {
				putNumber(data[(k*len(p.at)+element)*size:], p.spec.DType, x.number(row, at))
				continue
			}
			text := x.texts[row*len(x.features)+at]
			if x.missing[row*len(x.features)+at] {
				text = ""
			}
			data = infer.AppendElement(data, text)
		}
	}
	return data
}

// runs reports whether a row can be run, with no missing integer.
func (x *evaluation) runs(row int) bool {
	var element [8]byte
	for i := range x.inputs {
		p := &x.inputs[i]
		if p.spec.DType == infer.Bytes {
			continue
		}
		for _, at := range p.at {
			if !putNumber(element[:], p.spec.DType, x.number(row, at)) {
				return false
			}
		}
	}
	return true
}

// number returns a row's value for the model.
func (x *evaluation) number(row, at int) float64 {
	i := row*len(x.features) + at
	if x.missing[i] {
		return math.NaN()
	}
	return x.values[i]
}

// take reads the outputs of the rows.
func (x *evaluation) take(rows []int, resp *infer.Response) error {
	for i := range x.outputs {
		p := &x.outputs[i]
		if p.index >= len(resp.Outputs) {
			return infer.Errorf(infer.Internal, "the model returned %d outputs, expected %d", len(resp.Outputs), len(x.e.Model().Outputs))
		}
		t := &resp.Outputs[p.index]
		if p.read == nil {
			if err := x.takeTexts(p, rows, t); err != nil {
				return err
			}
			continue
		}
		size := p.spec.DType.Size()
		if len(t.Data) != len(rows)*len(p.at)*size {
			return infer.Errorf(infer.Invalid, "output '%.60s' has shape %v for %d rows; expected %d elements for each", p.spec.Name, t.Shape, len(rows), len(p.at))
		}
		for k, row := range rows {
			for element, at := range p.at {
				if at < 0 {
					continue
				}
				x.values[row*len(x.features)+at] = p.read(t.Data[(k*len(p.at)+element)*size:])
				x.missing[row*len(x.features)+at] = false
			}
		}
	}
	return nil
}

// takeTexts reads an output of texts.
func (x *evaluation) takeTexts(p *tensorPlan, rows []int, t *infer.Tensor) error {
	if n, ok := t.Shape.Elements(); !ok || n != int64(len(rows)*len(p.at)) {
		return infer.Errorf(infer.Invalid, "output '%.60s' has shape %v for %d rows; expected %d elements for each", p.spec.Name, t.Shape, len(rows), len(p.at))
	}
	rest := t.Data
	for _, row := range rows {
		for _, at := range p.at {
			var (
				text []byte
				ok   bool
			)
			if text, rest, ok = infer.NextElement(rest); !ok {
				return infer.Errorf(infer.Internal, "output '%.60s' is cut off", p.spec.Name)
			}
			if at >= 0 {
				x.texts[row*len(x.features)+at] = string(text)
				x.missing[row*len(x.features)+at] = false
			}
		}
	}
	return nil
}
