package fake

import (
	"errors"
	"slices"
	"sync"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Instance is one worker's part of a session: Gather, Run, Scatter, from one goroutine.
type Instance struct {
	session *Session
	inputs  []infer.Tensor // joined copies
	rows    []int64        // of each member
	asked   [][]int        // the outputs each member asked for
	outputs []infer.Tensor // nil until a run succeeded
	ready   bool
	closed  bool

	mu   sync.Mutex
	stop chan struct{} // closed by Terminate; one per run
}

// Gather copies the inputs of all requests, joined along the first dimension.
func (inst *Instance) Gather(reqs []*infer.Request) error {
	if inst.closed || len(reqs) == 0 {
		return infer.Errorf(infer.Internal, "gather in a closed instance or of nothing")
	}
	inst.inputs, inst.rows, inst.asked, inst.outputs, inst.ready = nil, nil, nil, nil, false
	for i := range reqs[0].Inputs {
		joined, err := join(reqs, i)
		if err != nil {
			return err
		}
		inst.inputs = append(inst.inputs, joined)
	}
	for _, r := range reqs {
		inst.rows = append(inst.rows, r.Rows())
		var asked []int
		for i := range r.Outputs {
			asked = append(asked, r.Outputs[i].Index)
		}
		inst.asked = append(inst.asked, asked)
	}
	inst.mu.Lock()
	inst.stop = make(chan struct{})
	inst.mu.Unlock()
	inst.ready = true
	return nil
}

// join copies input i of all requests into one tensor.
func join(reqs []*infer.Request, i int) (infer.Tensor, error) {
	t := reqs[0].Inputs[i]
	t.Shape, t.Data = slices.Clone(t.Shape), nil
	for j, r := range reqs {
		if len(r.Inputs) != len(reqs[0].Inputs) || r.Inputs[i].Index != t.Index {
			return t, infer.Errorf(infer.Internal, "requests with different inputs in one run")
		}
		in := &r.Inputs[i]
		if j > 0 {
			if len(t.Shape) == 0 || len(in.Shape) == 0 || !t.Shape[1:].Equal(in.Shape[1:]) {
				return t, infer.Errorf(infer.Internal, "shapes %v and %v in one run", t.Shape, in.Shape)
			}
			t.Shape[0] += in.Shape[0]
		}
		t.Data = append(t.Data, in.Data...)
	}
	return t, nil
}

// Run takes its latency and computes the outputs.
func (inst *Instance) Run() error {
	if !inst.ready {
		return infer.Errorf(infer.Internal, "run without gather")
	}
	inst.ready = false
	n := inst.session.begin(inst.rows)
	o := &inst.session.options
	if o.Latency != nil {
		if err := inst.sleep(o.Latency(total(inst.rows))); err != nil {
			return err
		}
	}
	if o.Fail != nil {
		if err := o.Fail(n); err != nil {
			return err
		}
	}
	outputs, err := o.Compute(inst.session.model, inst.inputs)
	if err == nil {
		err = inst.checkRows(outputs)
	}
	if err == nil {
		inst.outputs = outputs
	}
	return err
}

// checkRows makes sure that the outputs can be split between several members.
func (inst *Instance) checkRows(outputs []infer.Tensor) error {
	for i := range outputs {
		if t := &outputs[i]; len(inst.rows) > 1 && (len(t.Shape) == 0 || t.Shape[0] != total(inst.rows)) {
			return infer.Errorf(infer.Internal, "output '%s' of shape %v for %d rows", t.Name, t.Shape, total(inst.rows))
		}
	}
	return nil
}

// sleep waits for d, or until Terminate.
func (inst *Instance) sleep(d time.Duration) error {
	if inst.session.options.IgnoreTerminate {
		time.Sleep(d)
		return nil
	}
	inst.mu.Lock()
	stop := inst.stop
	inst.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-stop:
		return infer.Errorf(infer.Canceled, "the run was terminated")
	}
}

// Scatter adds member i's rows of the outputs it asked for to resp.
func (inst *Instance) Scatter(i int, resp *infer.Response) error {
	if inst.outputs == nil || i < 0 || i >= len(inst.rows) {
		return infer.Errorf(infer.Internal, "scatter without a run")
	}
	asked := inst.asked[i]
	if len(asked) == 0 {
		for index := range inst.outputs {
			asked = append(asked, index)
		}
	}
	for _, index := range asked {
		t := inst.outputs[index]
		if len(inst.rows) > 1 {
			t = rowsOf(t, total(inst.rows[:i]), inst.rows[i])
		}
		resp.AddCopy(t.Name, index, t.DType, t.Shape, t.Data)
	}
	return nil
}

// rowsOf cuts n rows out of t.
func rowsOf(t infer.Tensor, first, n int64) infer.Tensor {
	row := t
	row.Shape = slices.Clone(t.Shape)
	row.Shape[0] = n
	start, end := offset(t, first), offset(t, first+n)
	row.Data = t.Data[start:end]
	return row
}

// offset returns the index in the data at which a row begins.
func offset(t infer.Tensor, row int64) int {
	elements, _ := t.Shape[1:].Elements()
	if t.DType != infer.Bytes {
		return int(row * elements * int64(t.DType.Size()))
	}
	rest := t.Data
	for range row * elements {
		_, rest, _ = infer.NextElement(rest)
	}
	return len(t.Data) - len(rest)
}

func total(rows []int64) (n int64) {
	for _, r := range rows {
		n += r
	}
	return n
}

// Terminate ends the latency of the run in progress with code Canceled.
func (inst *Instance) Terminate() {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	if inst.stop == nil {
		return
	}
	select {
	case <-inst.stop:
	default:
		close(inst.stop)
	}
}

// Close closes the instance. A second Close is an error.
func (inst *Instance) Close() error {
	if inst.closed {
		return errors.New("fake: instance closed twice")
	}
	inst.closed = true
	inst.session.closeInstance()
	return nil
}
