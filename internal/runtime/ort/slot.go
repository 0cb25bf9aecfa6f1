package ort

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"sluice.io/sluice/internal/infer"
)

// Slot is one worker's place in a session: its memory and one run at a time, as
// Gather, Run, Scatter. Only Terminate may be called from another goroutine.
//
// Outputs whose shapes follow from those of the inputs are written straight to
// the slot's block; others are allocated by the runtime. The first run of each
// shape is always of the second kind and shows whether the model file tells the
// truth. In steady state the three steps allocate nothing on Go's heap and are
// one call to C.
type Slot struct {
	session *Session
	in, out block
	plans   *simplelru.LRU[string, *plan]
	plan    *plan // of the run that was gathered last
	state   slotState
	results *cResult // C memory, one per output of the model

	// What was gathered. The requests themselves are not kept.
	key       []byte
	wanted    []bool // by the model's output: some member asks for it
	members   []member
	asked     []int // the outputs that members asked for, one after the other
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

type slotState uint8

const (
	idle slotState = iota
	gathered
	ran
	closed
)

// member is one request of a run.
type member struct {
	row, rows  int64 // its rows among all
	asked, end int   // its part of Slot.asked; empty means all outputs
}

// tensor is an output of the last run, in C memory.
type tensor struct {
	shape infer.Shape
	data  []byte
}

// NewSlot returns a slot. Its blocks grow with the first requests.
func (s *Session) NewSlot() (*Slot, error) {
	options, err := createRunOptions()
	if err != nil {
		return nil, internal("new slot", "no run options", err)
	}
	n := len(s.model.Outputs)
	slot := &Slot{session: s, options: options, wanted: make([]bool, n), computed: make([]tensor, n), shapes: make([]infer.Shape, n)}
	slot.in = newBlock(s.options.KeepBytes, &s.memory, func(m *Memory) *atomic.Int64 { return &m.inputs })
	slot.out = newBlock(s.options.KeepBytes, &s.memory, func(m *Memory) *atomic.Int64 { return &m.outputs })
	slot.plans, err = simplelru.NewLRU(s.options.PreparedShapes, func(_ string, p *plan) { p.free() })
	if slot.results = newResults(n); err != nil || slot.results == nil {
		releaseRunOptions(options)
		return nil, internal("new slot", "no memory for results", err)
	}
	s.slots.Add(1)
	return slot, nil
}

// Gather copies the inputs of the requests into the slot, joined along the first
// dimension where there are several. All must have passed Model.Check, and give
// the same inputs with equal shapes but for the first dimension. Afterwards the
// requests are not read. It forgets an earlier Terminate.
func (s *Slot) Gather(reqs []*infer.Request) error {
	s.recycle()
	if s.state == closed || len(reqs) == 0 {
		return internal("gather", "the slot is closed or there are no requests", nil)
	}
	if err := s.resetTerminate(); err != nil {
		return err
	}
	if !joinable(reqs) {
		return internal("gather", "requests of different form in one run", nil)
	}
	s.note(reqs)
	if err := s.pickPlan(reqs); err != nil {
		return err
	}
	moved, err := s.in.ensure(s.plan.inBytes)
	if moved {
		s.unbind((*plan).unbindInputs)
	}
	if err != nil {
		return err
	}
	for i := range s.plan.inputs {
		if err := s.copyInput(&s.plan.inputs[i], i, reqs); err != nil {
			return err
		}
	}
	if !s.plan.inBound {
		if err := s.plan.bindInputs(&s.in); err != nil {
			return internal("gather", "inputs cannot be handed to the runtime", err)
		}
	}
	s.state = gathered
	return nil
}

// joinable reports whether all members give the same inputs, each with a first
// dimension where there are several members.
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

// note keeps what Run and Scatter need to know of the requests.
func (s *Slot) note(reqs []*infer.Request) {
	s.members, s.asked = s.members[:0], s.asked[:0]
	s.rows, s.scattered = 0, 0
	clear(s.wanted)
	for _, r := range reqs {
		m := member{row: s.rows, rows: r.Rows(), asked: len(s.asked)}
		s.rows += m.rows
		for i := range r.Outputs {
			s.asked = append(s.asked, r.Outputs[i].Index)
			s.wanted[r.Outputs[i].Index] = true
		}
		if len(r.Outputs) == 0 {
			for i := range s.wanted {
				s.wanted[i] = true
			}
		}
		m.end = len(s.asked)
		s.members = append(s.members, m)
	}
}

// pickPlan sets the plan for the requests: the last one, a kept one or a new one.
func (s *Slot) pickPlan(reqs []*infer.Request) error {
	s.key = appendKey(s.key[:0], reqs, s.wanted)
	if s.plan != nil && s.plan.key == string(s.key) {
		return nil
	}
	// Get compares and does not keep the key, so a view of it saves a copy.
	if p, ok := s.plans.Get(unsafe.String(unsafe.SliceData(s.key), len(s.key))); ok {
		s.plan = p
		return nil
	}
	p, err := newPlan(s.session, string(s.key), reqs, s.wanted)
	if err != nil {
		return err
	}
	if s.plan = p; !p.strings {
		s.plans.Add(p.key, p)
	}
	return nil
}

// copyInput joins the members' parts of one input in its place.
func (s *Slot) copyInput(in *planInput, i int, reqs []*infer.Request) error {
	dst := s.in.bytes(in.offset, in.bytes)
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
		// C++ assumes 0 or 1: other values make kernels count and write past the end.
		for j, b := range dst {
			if b > 1 {
				dst[j] = 1
			}
		}
	}
	return nil
}

// unbind applies f to all plans after a block has moved.
func (s *Slot) unbind(f func(*plan)) {
	for _, p := range s.plans.Values() {
		f(p)
	}
}

// recycle ends the last run: it frees what the runtime allocated, plans that are
// used once, and blocks larger than what is kept.
func (s *Slot) recycle() {
	if s.state != closed {
		s.state = idle
	}
	if p := s.plan; p != nil {
		if !p.outBound {
			releaseOutputs(p.c)
		}
		if p.strings {
			p.free()
			s.plan = nil
		}
	}
	if s.in.trim() {
		s.unbind((*plan).unbindInputs)
	}
	if s.out.trim() {
		s.unbind((*plan).unbindOutputs)
	}
}

// Terminate makes the Run of what is gathered return soon with code Canceled:
// ONNX Runtime looks at the mark between nodes. The next Gather takes it back.
// It may be called from any goroutine, and after Close.
func (s *Slot) Terminate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.options == nil {
		return
	}
	s.terminated.Store(true)
	_ = setTerminate(s.options) // it sets a boolean
}

func (s *Slot) resetTerminate() error {
	if !s.terminated.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.terminated.Store(false)
	if err := unsetTerminate(s.options); err != nil {
		return internal("gather", "termination cannot be taken back", err)
	}
	return nil
}

// Close frees the slot's memory. No run may be in progress.
func (s *Slot) Close() error {
	if s.state == closed {
		return closedTwice("slot")
	}
	s.recycle()
	s.state, s.plan = closed, nil
	s.plans.Purge()
	s.in.free()
	s.out.free()
	freeResults(s.results)
	s.mu.Lock()
	releaseRunOptions(s.options)
	s.options = nil
	s.mu.Unlock()
	s.session.slots.Add(-1)
	return nil
}
