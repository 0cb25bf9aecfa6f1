package onnxfile

import (
	"errors"
	"io"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice.io/sluice/internal/infer"
)

const (
	// maxDepth is how deep messages may nest; the limit of ONNX Runtime is the same.
	maxDepth = 100
	// windowBytes is the number of bytes that are read at a time.
	windowBytes = 16 << 10
)

// kind is a message type of onnx.proto that may contain a tensor.
type kind int

const (
	other kind = iota
	model
	training
	function
	graph
	node
	attribute
	sparse
	tensor
)

// child returns the type of the message in a field, other if it cannot contain a tensor.
func (k kind) child(n protowire.Number) kind {
	type at struct {
		kind
		protowire.Number
	}
	switch (at{k, n}) {
	case at{model, 7}, at{training, 1}, at{training, 2}, at{attribute, 6}, at{attribute, 11}:
		return graph
	case at{model, 20}:
		return training
	case at{model, 25}:
		return function
	case at{graph, 1}, at{function, 7}:
		return node
	case at{node, 5}, at{function, 11}:
		return attribute
	case at{graph, 15}, at{attribute, 22}, at{attribute, 23}:
		return sparse
	case at{graph, 5}, at{attribute, 5}, at{attribute, 10}, at{sparse, 1}, at{sparse, 2}:
		return tensor
	default:
		return other
	}
}

// span is a range of the file.
type span struct{ from, to int64 }

// field is one field of a message: the place of its tag, and its payload, or its value if it is
// a number.
type field struct {
	number protowire.Number
	typ    protowire.Type
	value  uint64
	tag    int64
	span
}

// walker reads a file through a window.
type walker struct {
	file   io.ReaderAt
	buf    []byte
	window []byte // a part of buf: the bytes of the file from start on
	start  int64

	graphs int
	found  []Location
	node   func(operator, domain string) // called for each operator; may be nil
}

func newWalker(file io.ReaderAt) *walker {
	return &walker{file: file, buf: make([]byte, windowBytes)}
}

// walk visits every tensor in a message.
func (w *walker) walk(k kind, s span, depth int) error {
	if depth > maxDepth {
		return malformed("messages nest more than %d deep", maxDepth)
	}
	if k == tensor {
		return w.tensor(s)
	}
	if k == graph {
		w.graphs++
	}
	if k == node && w.node != nil {
		if err := w.operator(s); err != nil {
			return err
		}
	}
	return w.fields(s, func(f field) error {
		if child := k.child(f.number); child != other && f.typ == protowire.BytesType {
			return w.walk(child, f.span, depth+1)
		}
		return nil
	})
}

// fields visits the fields of a message.
func (w *walker) fields(s span, visit func(field) error) error {
	for s.from < s.to {
		f, err := w.next(s)
		if err != nil {
			return err
		}
		if err := visit(f); err != nil {
			return err
		}
		s.from = f.to
	}
	return nil
}

func (w *walker) next(s span) (field, error) {
	tag, at, err := w.varint(s)
	if err != nil {
		return field{}, err
	}
	number, typ := protowire.DecodeTag(tag)
	if number < protowire.MinValidNumber {
		return field{}, malformed("bad field number at byte %d", s.from)
	}
	f := field{number: number, typ: typ, tag: s.from, span: span{at, s.to}}
	var size uint64
	switch typ {
	case protowire.VarintType:
		f.value, f.to, err = w.varint(f.span)
		return f, err
	case protowire.Fixed32Type:
		size = 4
	case protowire.Fixed64Type:
		size = 8
	case protowire.BytesType:
		size, f.from, err = w.varint(f.span)
		if err != nil {
			return f, err
		}
	default: // groups too: ONNX has none
		return f, malformed("bad field type at byte %d", s.from)
	}
	if size > uint64(s.to-f.from) {
		return f, malformed("cut off at byte %d", s.from)
	}
	f.to = f.from + int64(size)
	return f, nil
}

// varint reads a number and returns the place of the next byte.
func (w *walker) varint(s span) (value uint64, next int64, err error) {
	const longest = 10
	b, err := w.bytes(span{s.from, min(s.to, s.from+longest)})
	if err != nil {
		return 0, 0, err
	}
	value, n := protowire.ConsumeVarint(b)
	if n < 0 {
		return 0, 0, malformed("bad number at byte %d", s.from)
	}
	return value, s.from + int64(n), nil
}

// bytes returns a part of the file of at most windowBytes, valid until the next call.
func (w *walker) bytes(s span) ([]byte, error) {
	if s.from < w.start || s.to > w.start+int64(len(w.window)) {
		n, err := w.file.ReadAt(w.buf, s.from)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, &infer.Error{Code: infer.Internal, Op: "onnxfile: read", Msg: "cannot read the model file", Err: err}
		}
		w.start, w.window = s.from, w.buf[:n]
		if int64(n) < s.to-s.from {
			return nil, malformed("cut off at byte %d", s.from)
		}
	}
	return w.window[s.from-w.start : s.to-w.start], nil
}

// named calls f with the name of a message, which is one of its fields.
func (w *walker) named(s span, number protowire.Number, f func(name string)) error {
	return w.fields(s, func(x field) error {
		if x.number != number || x.typ != protowire.BytesType {
			return nil
		}
		if x.to-x.from > maxTextBytes {
			return malformed("a name has more than %d bytes", maxTextBytes)
		}
		name, err := w.text(x.span)
		if err == nil {
			f(name)
		}
		return err
	})
}

func malformed(format string, args ...any) *infer.Error {
	err := infer.Errorf(infer.Invalid, format, args...)
	err.Msg = "not an ONNX model: " + err.Msg
	return err
}
