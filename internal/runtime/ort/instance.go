package ort

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"sluice.io/sluice/internal/infer"
)

// Instance is one worker's part of a session: its memory and one run at a time, as
// Gather, Run, Scatter. Only Terminate may be called from another goroutine.
//
// Outputs whose shapes follow from those of the inputs are written directly to the instance's
// block; the runtime allocates the others. In the first run of each shape the runtime always
// allocates, which shows whether the model file declares the right shapes. In steady state the
// three steps allocate nothing on Go's heap and are one call to C.
type Instance struct {
	session *Session
	in, out block
	plans   *simplelru.LRU[string, *plan]
	plan    *plan // of the last gathered run
	state   instanceState
	results *cResult // C memory, one per output of the model

	// The gathered run. The requests themselves are not kept.
	key       []byte
	wanted    []bool // by the model's output: a member asks for it
	members   []member
	asked     []int // the outputs that the members asked for, one member after the other
	rows      int64
	scattered int
	computed  []tensor      // by place in the plan's outputs
	shapes    []infer.Shape // of outputs that the runtime allocated
	shape     infer.Shape   // scratch

	// mu guards options against Terminate after Close.
	mu         sync.Mutex
	options    cRunOptions
	terminated atomic.Bool
}

type instanceState uint8

const (
	idle instanceState = iota
	gathered
	ran
	closed
)

// member is one request of a run.
type member struct {
	row, rows  int64 // its rows among all rows of the run
	asked, end int   // its part of Instance.asked; empty means all outputs
}

// tensor is an output of the last run, in C memory.
type tensor struct {
	shape infer.Shape
	data  []byte
}

// NewInstance returns an instance. Its blocks grow with the first requests.
func (s *Session) NewInstance() (*Instance, error) {
	options, err := createRunOptions()
	if err != nil {
		return nil, internal("new instance", "the run options cannot be made", err)
	}
	n := len(s.model.Outputs)
	instance := &Instance{session: s, options: options, wanted: make([]bool, n), computed: make([]tensor, n), shapes: make([]infer.Shape, n)}
	instance.in = newBlock(s.options.KeepBytes, &s.memory, func(m *Memory) *atomic.Int64 { return &m.inputs })
	instance.out = newBlock(s.options.KeepBytes, &s.memory, func(m *Memory) *atomic.Int64 { return &m.outputs })
	instance.plans, err = simplelru.NewLRU(s.options.PreparedShapes, func(_ string, p *plan) { p.free() })
	if instance.results = newResults(n); err != nil || instance.results == nil {
		releaseRunOptions(options)
		return nil, internal("new instance", "the memory for results cannot be allocated", err)
	}
	s.instances.Add(1)
	return instance, nil
}

// Gather copies the inputs of the requests into the instance, joined along the first dimension
// if there are several. All must have passed Model.Check, and have the same inputs with equal
// shapes except for the first dimension. The requests are not read afterwards. Gather clears an
// earlier Terminate.
func (inst *Instance) Gather(reqs []*infer.Request) error {
	inst.recycle()
	if inst.state == closed || len(reqs) == 0 {
		return internal("gather", "the instance is closed or there are no requests", nil)
	}
	if err := inst.resetTerminate(); err != nil {
		return err
	}
	if !joinable(reqs) {
		return internal("gather", "requests of one run have different inputs", nil)
	}
	inst.note(reqs)
	if err := inst.pickPlan(reqs); err != nil {
		return err
	}
	moved, err := inst.in.ensure(inst.plan.inBytes)
	if moved {
		inst.unbind((*plan).unbindInputs)
	}
	if err != nil {
		return err
	}
	for i := range inst.plan.inputs {
		if err := inst.copyInput(&inst.plan.inputs[i], i, reqs); err != nil {
			return err
		}
	}
	if !inst.plan.inBound {
		if err := inst.plan.bindInputs(&inst.in); err != nil {
			return internal("gather", "the input tensors cannot be made", err)
		}
	}
	inst.state = gathered
	return nil
}

// joinable reports whether all members give the same inputs, with equal shapes except for a
// first dimension.
func joinable(reqs []*infer.Request) bool {
	first := reqs[0].Inputs
	for _, r := range reqs[1:] {
		if len(r.Inputs) != len(first) {
			return false
		}
		for i := range first {
			a, b := &first[i], &r.Inputs[i]
			if a.Index != b.Index || len(a.Shape) == 0 || len(b.Shape) == 0 || !a.Shape[1:].Equal(b.Shape[1:]) {
				return false
			}
		}
	}
	return true
}

// note stores what Run and Scatter need to know about the requests.
func (inst *Instance) note(reqs []*infer.Request) {
	inst.members, inst.asked = inst.members[:0], inst.asked[:0]
	inst.rows, inst.scattered = 0, 0
	clear(inst.wanted)
	for _, r := range reqs {
		m := member{row: inst.rows, rows: r.Rows(), asked: len(inst.asked)}
		inst.rows += m.rows
		for i := range r.Outputs {
			inst.asked = append(inst.asked, r.Outputs[i].Index)
			inst.wanted[r.Outputs[i].Index] = true
		}
		if len(r.Outputs) == 0 {
			for i := range inst.wanted {
				inst.wanted[i] = true
			}
		}
		m.end = len(inst.asked)
		inst.members = append(inst.members, m)
	}
}

// pickPlan sets the plan for the requests: the last one, a kept one or a new one.
func (inst *Instance) pickPlan(reqs []*infer.Request) error {
	inst.key = appendKey(inst.key[:0], reqs, inst.wanted)
	if inst.plan != nil && inst.plan.key == string(inst.key) {
		return nil
	}
	// Get compares the key and does not keep it, so a view of it saves a copy.
	if p, ok := inst.plans.Get(unsafe.String(unsafe.SliceData(inst.key), len(inst.key))); ok {
		inst.plan = p
		return nil
	}
	p, err := newPlan(inst.session, string(inst.key), reqs, inst.wanted)
	if err != nil {
		return err
	}
	if inst.plan = p; !p.strings {
		inst.plans.Add(p.key, p)
	}
	return nil
}

// copyInput joins the members' parts of one input in its place in the block.
func (inst *Instance) copyInput(in *planInput, i int, reqs []*infer.Request) error {
	dst := inst.in.bytes(in.offset, in.bytes)
	rest := dst
	for _, r := range reqs {
		data := r.Inputs[i].Data
		if len(data) > len(rest) {
			return internal("gather", "an input is longer than its shape", nil)
		}
		rest = rest[copy(rest, data):]
	}
	if len(rest) > 0 {
		return internal("gather", "an input is shorter than its shape", nil)
	}
	if in.dtype == infer.Bool {
		// C++ assumes 0 or 1: with other values kernels count wrong and write past the end.
		for j, b := range dst {
			if b > 1 {
				dst[j] = 1
			}
		}
	}
	return nil
}

// unbind applies f to all plans after a block has moved.
func (inst *Instance) unbind(f func(*plan)) {
	for _, p := range inst.plans.Values() {
		f(p)
	}
}

// recycle ends the last run: it frees the runtime's outputs, plans that are used once, and
// blocks larger than KeepBytes.
func (inst *Instance) recycle() {
	if inst.state != closed {
		inst.state = idle
	}
	if p := inst.plan; p != nil {
		if !p.outBound {
			releaseOutputs(p.c)
		}
		if p.strings {
			p.free()
			inst.plan = nil
		}
	}
	if inst.in.trim() {
		inst.unbind((*plan).unbindInputs)
	}
	if inst.out.trim() {
		inst.unbind((*plan).unbindOutputs)
	}
}

// Terminate makes the current Run, or the next Run without another Gather, return soon with
// code Canceled: ONNX Runtime checks the flag between nodes. The next Gather clears it.
// Terminate may be called from any goroutine, and after Close.
func (inst *Instance) Terminate() {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	if inst.options == nil {
		return
	}
	inst.terminated.Store(true)
	_ = setTerminate(inst.options) // it only sets a boolean
}

func (inst *Instance) resetTerminate() error {
	if !inst.terminated.Load() {
		return nil
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	inst.terminated.Store(false)
	if err := unsetTerminate(inst.options); err != nil {
		return internal("gather", "the termination cannot be cleared", err)
	}
	return nil
}

// Close frees the instance's memory. No run may be in progress.
func (inst *Instance) Close() error {
	if inst.state == closed {
		return closedTwice("instance")
	}
	inst.recycle()
	inst.state, inst.plan = closed, nil
	inst.plans.Purge()
	inst.in.free()
	inst.out.free()
	freeResults(inst.results)
	inst.mu.Lock()
	releaseRunOptions(inst.options)
	inst.options = nil
	inst.mu.Unlock()
	inst.session.instances.Add(-1)
	return nil
}
