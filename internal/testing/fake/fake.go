// Package fake is a deterministic model in pure Go, for tests of everything above the runtime:
// a test sets how long runs take and which fail, and the model remembers its runs. Its
// instances keep the contract of runtime/ort's.
package fake

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Options set the behaviour of a model. The zero value computes RowSums without delay.
type Options struct {
	// Latency returns how long a run of that many rows takes; nil means no time. The run
	// sleeps, so virtual time works.
	Latency func(rows int64) time.Duration
	// Fail is called in each run, numbered from 0, before it computes. It may return an error,
	// which Run returns unchanged, or panic, or block.
	Fail func(run int) error
	// Compute computes all outputs of the model from the joined inputs; nil means RowSums.
	Compute func(m *infer.Model, inputs []infer.Tensor) ([]infer.Tensor, error)
	// IgnoreTerminate continues to sleep after Terminate, as one long node of a real model
	// does.
	IgnoreTerminate bool
}

// Run is a run of the model.
type Run struct {
	Rows []int64 // of each member
}

// Session is a model, safe for concurrent use.
type Session struct {
	model   *infer.Model
	options Options

	mu        sync.Mutex
	runs      []Run
	instances int
	closed    bool
}

// New returns a model with the signature m.
func New(m *infer.Model, o Options) *Session {
	if o.Compute == nil {
		o.Compute = RowSums
	}
	return &Session{model: m, options: o}
}

// Model returns the signature.
func (s *Session) Model() *infer.Model { return s.model }

// Providers returns a provider that no library has.
func (s *Session) Providers() []api.Provider { return []api.Provider{{Name: "FakeExecutionProvider"}} }

// Runs returns the runs so far, including failed ones, in the order of their begin.
func (s *Session) Runs() []Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.runs)
}

// Close closes the model. It is an error if instances are open, or if it is already closed.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.instances != 0 || s.closed {
		return fmt.Errorf("fake: close with %d instances open, closed before: %t", s.instances, s.closed)
	}
	s.closed = true
	return nil
}

// NewInstance returns an instance.
func (s *Session) NewInstance() (*Instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, infer.Errorf(infer.Internal, "the model is closed")
	}
	s.instances++
	return &Instance{session: s}, nil
}

// begin notes a run and returns its number.
func (s *Session) begin(rows []int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = append(s.runs, Run{Rows: slices.Clone(rows)})
	return len(s.runs) - 1
}

func (s *Session) closeInstance() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instances--
}
