package ort

import (
	"encoding/binary"
	"math"

	"sluice.io/sluice/internal/infer"
)

// plan is what runs of equal shapes share: the place of each tensor in the instance's blocks,
// and ONNX Runtime's values over those places. An instance keeps the plans of the most recently
// used shapes.
type plan struct {
	c        cPlan
	key      string
	inputs   []planInput
	outputs  []planOutput
	place    []int // by the model's output: its index in outputs, or -1
	inBytes  int64 // of the block, with gaps between tensors
	outBytes int64
	outSize  int64 // of the outputs only
	trust    trust
	inBound  bool // the input values exist and point into the current block
	outBound bool // the same for the output values
	strings  bool // an input's size in bytes differs from run to run, so the plan is used once
}

type planInput struct {
	index         int
	dtype         infer.DType
	shape         infer.Shape
	offset, bytes int64
}

type planOutput struct {
	index         int
	dtype         infer.DType
	shape         infer.Shape // as predicted
	offset, bytes int64
}

// trust says whether the predicted shapes of the outputs are reliable.
type trust uint8

const (
	unproven   trust = iota // predicted; no run has confirmed it yet
	proven                  // a run agreed: outputs are written directly to the instance's block
	unforeseen              // shapes depend on the data: the runtime allocates
)

// newPlan lays out the inputs of a run, all members joined, and its outputs. wanted says which
// of the model's outputs are computed.
func newPlan(s *Session, key string, reqs []*infer.Request, wanted []bool) (*plan, error) {
	p := &plan{key: key, place: make([]int, len(wanted))}
	for i := range reqs[0].Inputs {
		in, err := layInput(reqs, i)
		if err != nil {
			return nil, err
		}
		in.offset = p.inBytes
		p.inBytes += align(in.bytes)
		p.inputs = append(p.inputs, in)
		p.strings = p.strings || in.dtype == infer.Bytes
	}
	for i := range wanted {
		if p.place[i] = -1; wanted[i] {
			p.place[i] = len(p.outputs)
			p.outputs = append(p.outputs, planOutput{index: i, dtype: s.model.Outputs[i].DType})
		}
	}
	p.layOutputs(s.rules)
	if p.c = newCPlan(len(p.inputs), len(p.outputs)); p.c == nil {
		return nil, infer.Errorf(infer.Internal, "out of memory for a run's arguments")
	}
	for i := range p.inputs {
		setInputName(p.c, i, s.inputNames[p.inputs[i].index])
	}
	for i := range p.outputs {
		setOutputName(p.c, i, s.outputNames[p.outputs[i].index])
	}
	return p, nil
}

// layInput joins input i of all members along the first dimension.
func layInput(reqs []*infer.Request, i int) (planInput, error) {
	first := &reqs[0].Inputs[i]
	in := planInput{index: first.Index, dtype: first.DType, shape: append(infer.Shape(nil), first.Shape...)}
	if len(reqs) > 1 {
		in.shape[0] = joinedRows(reqs, i)
	}
	n, ok := in.shape.ByteSize(in.dtype)
	if !ok {
		return in, internal("gather", "inputs are too large together", nil)
	}
	if in.bytes = n; in.dtype == infer.Bytes {
		in.bytes = 0
		for _, r := range reqs {
			in.bytes += int64(len(r.Inputs[i].Data))
		}
	}
	return in, nil
}

func joinedRows(reqs []*infer.Request, i int) (rows int64) {
	for _, r := range reqs {
		rows += r.Inputs[i].Shape[0]
	}
	return rows
}

// layOutputs places the outputs in the block if all of their shapes can be predicted. If their
// size overflows, outSize is the largest int64.
func (p *plan) layOutputs(rules []shapeRule) {
	for i := range p.outputs {
		out := &p.outputs[i]
		shape, ok := rules[out.index].shape(p.inputs)
		if !ok {
			p.trust = unforeseen
			return
		}
		n, fits := shape.ByteSize(out.dtype)
		if !fits || n > math.MaxInt64-p.outSize {
			p.outSize = math.MaxInt64
			continue // a later output may be one that cannot be predicted
		}
		out.shape, out.bytes, out.offset = shape, n, p.outBytes
		p.outBytes += align(n)
		p.outSize += n
	}
}

// bindInputs makes the input values over the block, which already holds the data.
func (p *plan) bindInputs(b *block) error {
	releaseInputs(p.c)
	for i := range p.inputs {
		in := &p.inputs[i]
		if err := bindInput(p.c, i, in.dtype, b.bytes(in.offset, in.bytes), in.shape); err != nil {
			return err
		}
	}
	p.inBound = true
	return nil
}

func (p *plan) bindOutputs(b *block) error {
	releaseOutputs(p.c)
	for i := range p.outputs {
		out := &p.outputs[i]
		if err := bindOutput(p.c, i, out.dtype, b.bytes(out.offset, out.bytes), out.shape); err != nil {
			return err
		}
	}
	p.outBound = true
	return nil
}

func (p *plan) unbindInputs() {
	if p.inBound {
		releaseInputs(p.c)
		p.inBound = false
	}
}

func (p *plan) unbindOutputs() {
	if p.outBound {
		releaseOutputs(p.c)
		p.outBound = false
	}
}

func (p *plan) free() { freeCPlan(p.c) }

// appendKey appends what distinguishes plans: which inputs are given, their shapes with all
// members joined, and which outputs are computed. A model fixes ranks and order, so the key is
// unambiguous.
func appendKey(key []byte, reqs []*infer.Request, wanted []bool) []byte {
	for i := range reqs[0].Inputs {
		in := &reqs[0].Inputs[i]
		key = binary.LittleEndian.AppendUint32(key, uint32(in.Index)) //nolint:gosec // a place in a slice
		for j, d := range in.Shape {
			if j == 0 && len(reqs) > 1 {
				d = joinedRows(reqs, i)
			}
			key = binary.LittleEndian.AppendUint64(key, uint64(d)) //nolint:gosec // only compared
		}
	}
	for _, w := range wanted {
		if w {
			key = append(key, 1)
		} else {
			key = append(key, 0)
		}
	}
	return key
}
