package infer

import (
	"encoding/binary"
	"math/rand/v2"
)

// Span identifies a span of a distributed trace, as W3C Trace Context does. The zero value means
// none.
type Span struct {
	Trace [16]byte
	ID    [8]byte
}

// Valid reports whether s identifies a span.
func (s *Span) Valid() bool { return s.Trace != [16]byte{} && s.ID != [8]byte{} }

// NewSpan returns a random span of a trace of its own.
func NewSpan() (s Span) {
	for !s.Valid() {
		binary.NativeEndian.PutUint64(s.Trace[:], rand.Uint64())  //nolint:gosec // an id need not be a secret
		binary.NativeEndian.PutUint64(s.Trace[8:], rand.Uint64()) //nolint:gosec // an id need not be a secret
		binary.NativeEndian.PutUint64(s.ID[:], rand.Uint64())     //nolint:gosec // an id need not be a secret
	}
	return s
}

// NewChild returns a random span of the trace of parent.
func NewChild(parent Span) Span {
	child := NewSpan()
	child.Trace = parent.Trace
	return child
}
