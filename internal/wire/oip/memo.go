package oip

import (
	"bytes"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// The limits of a memo.
const (
	maxMemoBytes   = 1 << 10 // of a document
	maxMemoTensors = 16      // inputs, and outputs
)

// memo is the last document that a Call decoded, with its content. If all data is binary, a
// client's documents are the same in each request unless the id, the rows or the parameters change.
// The comparison takes 0.03 µs, decoding again 0.4.
type memo struct {
	text    []byte
	lim     Limits
	sticky  string // Call.StickyParameter
	segment string // Call.SegmentParameter
	drift   string // Call.DriftParameter
	keep    bool   // Call.KeepParameters
	kept    part   // the parameters in the text

	inputs  []infer.Tensor // without data; their shapes are parts of dims
	outputs []infer.OutputRef
	sizes   []int64
	dims    []int64
	binary  []choice

	request       infer.Request // ID, Priority, Timeout
	binaryDefault bool
}

// recall restores the content if the document is the same as the last one.
func (c *Call) recall(text []byte) bool {
	m := &c.memo
	if len(text) == 0 || !bytes.Equal(text, m.text) || c.lim != m.lim || c.StickyParameter != m.sticky || c.SegmentParameter != m.segment || c.DriftParameter != m.drift || c.KeepParameters != m.keep {
		return false
	}
	c.Inputs, c.Outputs = append(c.Inputs, m.inputs...), append(c.Outputs, m.outputs...)
	c.sizes, c.binary = append(c.sizes, m.sizes...), append(c.binary, m.binary...)
	c.ID, c.Priority, c.Timeout = m.request.ID, m.request.Priority, m.request.Timeout
	c.binaryDefault = m.binaryDefault
	c.Parameters = m.kept.of(text)
	return true
}

// memorise keeps the content of a document without data. It does not keep one with a sticky key,
// since keys change with callers.
func (c *Call) memorise(text []byte) {
	m := &c.memo
	m.text = m.text[:0]
	if len(text) > maxMemoBytes || len(c.Inputs) > maxMemoTensors || len(c.Outputs) > maxMemoTensors ||
		c.StickyKey != "" || c.Segment != "" || c.DriftSegment != "" || slices.Contains(c.sizes, -1) {
		return
	}
	m.text, m.lim, m.keep = append(m.text, text...), c.lim, c.KeepParameters
	m.sticky, m.segment, m.drift = c.StickyParameter, c.SegmentParameter, c.DriftParameter
	m.inputs, m.outputs = append(m.inputs[:0], c.Inputs...), append(m.outputs[:0], c.Outputs...)
	m.sizes, m.binary = append(m.sizes[:0], c.sizes...), append(m.binary[:0], c.binary...)
	m.request.ID, m.request.Priority, m.request.Timeout = c.ID, c.Priority, c.Timeout
	m.binaryDefault, m.kept = c.binaryDefault, c.kept
	m.dims = append(m.dims[:0], c.dims...)
	rest := m.dims
	for i := range m.inputs {
		n := len(m.inputs[i].Shape)
		m.inputs[i].Shape, rest = infer.Shape(rest[:n:n]), rest[n:]
	}
}
