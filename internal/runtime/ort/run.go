package ort

import (
	"errors"

	"sluice.io/sluice/internal/infer"
)

// Run executes the gathered run and keeps the outputs that members ask for. Errors are Canceled
// after Terminate, TooLarge if the outputs exceed MaxOutputBytes, Invalid with the cause
// infer.ErrRefused if the model refuses the values, and else Internal, with the cause
// infer.ErrMaybeRefused if the values may be the reason.
func (inst *Instance) Run() error {
	if inst.state != gathered {
		return internal("run", "nothing was gathered", nil)
	}
	inst.state = idle
	err := inst.execute(inst.plan)
	if err == nil {
		err = inst.checkRows()
	}
	if err != nil {
		inst.recycle() // the outputs may be large, and the next run may come much later
		return err
	}
	inst.state = ran
	return nil
}

func (inst *Instance) execute(p *plan) error {
	// Outputs can be far larger than inputs: a shape with a 0 holds many rows in no bytes.
	if p.trust != unforeseen {
		if err := inst.checkSize(p.outSize); err != nil {
			return err
		}
	}
	if p.trust != proven {
		return inst.runAllocating(p)
	}
	err := inst.runBound(p)
	if err == nil || !doubtful(err) {
		return err
	}
	// Either the request is wrong, or the shapes differ from the predicted ones this time. If
	// the run succeeds with outputs that the runtime allocates, it was the shapes.
	p.unbindOutputs()
	if err := inst.runAllocating(p); err != nil {
		return err
	}
	p.trust = unforeseen
	return nil
}

// doubtful reports whether a run may have failed because its outputs have other shapes than
// predicted. ONNX Runtime has no status of its own for that, and a kernel may turn it into any
// status. A division by zero is detected by the processor, whatever the outputs.
func doubtful(err error) bool {
	status, ok := errors.AsType[*statusError](err)
	return infer.CodeOf(err) == infer.Internal || errors.Is(err, infer.ErrRefused) && ok && status.code != statusDivided
}

// runBound runs with outputs in the instance's own block.
func (inst *Instance) runBound(p *plan) error {
	if err := inst.ensureOut(p.outBytes); err != nil {
		return err
	}
	if !p.outBound {
		if err := p.bindOutputs(&inst.out); err != nil {
			return internal("run", "the output tensors cannot be made", err)
		}
	}
	// Some kernels leave parts of an output unwritten, ReverseSequence for example. A caller
	// must not see there the answer to another one.
	clear(inst.out.bytes(0, p.outBytes))
	if err := run(inst.session.session, inst.options, p.c, nil); err != nil {
		return inst.runError(err)
	}
	for i := range p.outputs {
		out := &p.outputs[i]
		inst.computed[i] = tensor{out.shape, inst.out.bytes(out.offset, out.bytes)}
	}
	return nil
}

// runAllocating lets the runtime allocate the outputs, which live until recycle.
func (inst *Instance) runAllocating(p *plan) error {
	if err := run(inst.session.session, inst.options, p.c, inst.results); err != nil {
		return inst.runError(err)
	}
	total, text := int64(0), int64(0)
	for i := range p.outputs {
		r := resultAt(inst.results, i)
		inst.shapes[i] = r.shape(inst.shapes[i][:0])
		inst.computed[i] = tensor{shape: inst.shapes[i]}
		if p.outputs[i].dtype == infer.Bytes {
			text += r.textBytes()
			continue
		}
		inst.computed[i].data = r.bytes(p.outputs[i].dtype)
		total += int64(len(inst.computed[i].data))
	}
	if err := inst.checkSize(total + text); err != nil {
		return err
	}
	if err := inst.readText(p, text); err != nil {
		return err
	}
	if p.trust == unproven {
		p.trust = inst.judge(p)
	}
	return nil
}

// readText copies the string outputs into the block, in the format of infer.Tensor.
func (inst *Instance) readText(p *plan, total int64) error {
	if total == 0 {
		return nil
	}
	if err := inst.ensureOut(total); err != nil {
		return err
	}
	offset := int64(0)
	for i := range p.outputs {
		if p.outputs[i].dtype != infer.Bytes {
			continue
		}
		n := resultAt(inst.results, i).textBytes()
		inst.computed[i].data = inst.out.bytes(offset, n)
		if err := readStrings(p.c, i, inst.computed[i].data); err != nil {
			return internal("run", "string outputs cannot be read", err)
		}
		offset += n
	}
	return nil
}

// judge compares the shapes of a run with the predicted ones.
func (inst *Instance) judge(p *plan) trust {
	for i := range p.outputs {
		if !inst.computed[i].shape.Equal(p.outputs[i].shape) {
			return unforeseen
		}
	}
	return proven
}

func (inst *Instance) ensureOut(n int64) error {
	moved, err := inst.out.ensure(n)
	if moved {
		inst.unbind((*plan).unbindOutputs)
	}
	return err
}

func (inst *Instance) checkSize(n int64) error {
	if limit := inst.session.options.MaxOutputBytes; n > limit {
		return infer.Errorf(infer.TooLarge, "the outputs of the run take %d bytes, more than the limit of %d", n, limit)
	}
	return nil
}

// checkRows makes sure that each of several members has its own rows in every output. It is a
// part of the run: no member has an answer yet, so members can still be run alone.
func (inst *Instance) checkRows() error {
	if len(inst.members) == 1 {
		return nil
	}
	for i := range inst.plan.outputs {
		if shape := inst.computed[i].shape; len(shape) == 0 || shape[0] != inst.rows {
			name := inst.session.model.Outputs[inst.plan.outputs[i].index].Name
			return internal("run", "an output of a batch has a different number of rows than the inputs",
				errors.New("output "+name+" has shape "+shape.String()))
		}
	}
	return nil
}

// Scatter adds member i's outputs to resp: its rows, in the order it asked for, or all in the
// model's order. After the last member the instance may free memory, so each member is
// scattered once.
func (inst *Instance) Scatter(i int, resp *infer.Response) error {
	if inst.state != ran || i < 0 || i >= len(inst.members) {
		return internal("scatter", "the last run has no such member", nil)
	}
	m := inst.members[i]
	asked := inst.asked[m.asked:m.end]
	n := len(asked)
	if n == 0 {
		n = len(inst.wanted)
	}
	for j := range n {
		index := j
		if len(asked) > 0 {
			index = asked[j]
		}
		if err := inst.scatter(m, index, resp); err != nil {
			return err
		}
	}
	if inst.scattered++; inst.scattered == len(inst.members) {
		inst.recycle()
	}
	return nil
}

func (inst *Instance) scatter(m member, index int, resp *infer.Response) error {
	spec := &inst.session.model.Outputs[index]
	t := inst.computed[inst.plan.place[index]]
	if len(inst.members) == 1 {
		resp.AddCopy(spec.Name, index, spec.DType, t.shape, t.data)
		return nil
	}
	data := t.rows(m.row, m.rows, spec.DType)
	inst.shape = append(inst.shape[:0], t.shape...)
	inst.shape[0] = m.rows
	resp.AddCopy(spec.Name, index, spec.DType, inst.shape, data)
	return nil
}

// rows returns the data of n rows from the first.
func (t *tensor) rows(first, n int64, d infer.DType) []byte {
	all := t.shape[0]
	if all == 0 {
		return nil
	}
	if d != infer.Bytes {
		stride := int64(len(t.data)) / all
		return t.data[first*stride : (first+n)*stride]
	}
	elements, _ := t.shape[1:].Elements() // it fits: the data exists
	rest := skipElements(t.data, first*elements)
	return rest[:len(rest)-len(skipElements(rest, n*elements))]
}

func skipElements(data []byte, n int64) []byte {
	for range n {
		_, rest, ok := infer.NextElement(data)
		if !ok {
			panic("BUG: string outputs are cut off")
		}
		data = rest
	}
	return data
}
