// Package fake is a deterministic model in pure Go, for tests of everything
// above the runtime: it takes as long and fails as often as a test says, and
// remembers its runs. Its instances keep the contract of runtime/ort's.
package fake

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Options say how a model behaves. The zero value computes RowSums at once.
type Options struct {
	// Latency returns how long a run of so many rows takes; nil means no time. It
	// is slept, so virtual time works.
	Latency func(rows int64) time.Duration
	// Fail is called in each run, numbered from 0, before it computes. It may
	// return an error, which Run returns as it is, or panic, or block.
	Fail func(run int) error
	// Compute makes all outputs of the model from the joined inputs; nil: RowSums.
	Compute func(m *infer.Model, inputs []infer.Tensor) ([]infer.Tensor, error)
	// IgnoreTerminate sleeps on after Terminate, as one long node of a real model does.
	IgnoreTerminate bool
}

// Run is a run as the model saw it.
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

// Providers returns one that no library has.
func (s *Session) Providers() []api.Provider { return []api.Provider{{Name: "FakeExecutionProvider"}} }

// Runs returns the runs so far, failed ones too, in the order they began.
func (s *Session) Runs() []Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.runs)
}

// Close ends the model. It is an error while instances are open, or when closed already.
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
