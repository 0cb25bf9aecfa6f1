package ort

import (
	"fmt"
	"slices"
	"sync/atomic"
	"unsafe"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Session is one loaded version. It is safe for concurrent use; each of its
// instances is for one goroutine.
type Session struct {
	env       *Environment
	session   cSession
	model     *infer.Model
	providers []api.Provider
	options   LoadOptions
	rules     []shapeRule // by output
	instances atomic.Int64
	memory    Memory

	inputNames, outputNames []unsafe.Pointer // C strings, in the model's order
}

func newSession(e *Environment, session cSession, model *infer.Model, providers []api.Provider, o *LoadOptions) *Session {
	s := &Session{env: e, session: session, model: model, providers: providers, options: *o, memory: Memory{parent: &e.memory}}
	for i := range model.Inputs {
		s.inputNames = append(s.inputNames, newCString(model.Inputs[i].Name))
	}
	for i := range model.Outputs {
		s.outputNames = append(s.outputNames, newCString(model.Outputs[i].Name))
		s.rules = append(s.rules, newShapeRule(&model.Outputs[i], model.Inputs))
	}
	return s
}

// Model returns the signature. Inputs with a default in the model file are last and are
// Optional.
func (s *Session) Model() *infer.Model { return s.model }

// Providers returns the effective execution providers in order, the CPU last.
func (s *Session) Providers() []api.Provider { return slices.Clone(s.providers) }

// Memory returns the counters of the memory that the session's instances hold outside Go's
// heap.
func (s *Session) Memory() *Memory { return &s.memory }

// Close frees the model. All instances must be closed; otherwise Close changes nothing and
// returns an error.
func (s *Session) Close() error {
	if n := s.instances.Load(); n != 0 {
		return fmt.Errorf("ort: cannot close the session: %d instances are still open", n)
	}
	if s.session == nil {
		return closedTwice("session")
	}
	releaseSession(s.session)
	s.session = nil
	for _, name := range slices.Concat(s.inputNames, s.outputNames) {
		deallocate(name)
	}
	s.env.sessions.Add(-1)
	s.env.trim()
	return nil
}

// shapeRule predicts the shape of an output from those of the inputs, if every dimension is
// fixed or has the name of an input's dimension. The file may be wrong, so an instance relies
// on it only after a run that agreed.
type shapeRule struct {
	known bool
	dims  []dimRule
}

type dimRule struct {
	size       int64 // if input is -1
	input, dim int
}

func newShapeRule(output *infer.TensorSpec, ins []infer.TensorSpec) shapeRule {
	if output.DType == infer.Bytes { // its size in bytes depends on the data
		return shapeRule{}
	}
	rule := shapeRule{known: true}
	for i, size := range output.Shape {
		d := dimRule{size: size, input: -1}
		if size < 0 {
			d = findSymbol(output.Symbols[i], ins)
			rule.known = rule.known && d.input >= 0
		}
		rule.dims = append(rule.dims, d)
	}
	return rule
}

func findSymbol(symbol string, ins []infer.TensorSpec) dimRule {
	for i := range ins {
		if j := slices.Index(ins[i].Symbols, symbol); symbol != "" && j >= 0 {
			return dimRule{input: i, dim: j}
		}
	}
	return dimRule{input: -1}
}

// shape applies the rule to the inputs of a run. ok is false if an input that it needs was left
// out.
func (r *shapeRule) shape(ins []planInput) (shape infer.Shape, ok bool) {
	if !r.known {
		return nil, false
	}
	shape = make(infer.Shape, len(r.dims))
	for i, d := range r.dims {
		if shape[i] = d.size; d.input < 0 {
			continue
		}
		at := slices.IndexFunc(ins, func(in planInput) bool { return in.index == d.input })
		if at < 0 {
			return nil, false
		}
		shape[i] = ins[at].shape[d.dim]
	}
	return shape, true
}
