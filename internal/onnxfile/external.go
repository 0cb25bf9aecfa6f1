package onnxfile

import (
	"io"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice.io/sluice/internal/infer"
)

// maxTextBytes is the longest key or value of an entry, and the longest part of a tensor's name
// that is shown, in bytes.
const maxTextBytes = 4096

// Location is the place of a tensor's data outside the model file.
type Location struct {
	Tensor string // its name; empty in attributes
	Path   string // as in the model, relative to the model's folder
	Offset int64
	Length int64 // -1 if the model has none: as many bytes as the tensor needs
}

// ExternalData returns every external location in a model of size bytes, in the order of the
// file: of initializers, sparse ones, attributes, subgraphs, functions and training graphs. The
// error is Invalid if the file is not an ONNX model.
func ExternalData(r io.ReaderAt, size int64) ([]Location, error) {
	return newWalker(r).externalData(size)
}

func (w *walker) externalData(size int64) ([]Location, error) {
	if err := w.walk(model, span{0, size}, 0); err != nil {
		return nil, err
	}
	if w.graphs == 0 {
		return nil, malformed("it has no graph")
	}
	return w.found, nil
}

// Fields of TensorProto and of the entries of its external_data.
const (
	tensorName, tensorExternal, tensorLocation = 8, 13, 14
	entryKey, entryValue                       = 1, 2

	locationExternal = 1
)

// tensor records the location of a tensor's data, unless it is in the model. Entries count even
// if the tensor does not say EXTERNAL: ONNX Runtime merges a message in two parts.
func (w *walker) tensor(s span) error {
	var external bool
	entries := map[string]string{}
	var name string
	err := w.fields(s, func(f field) (err error) {
		switch {
		case f.number == tensorName && f.typ == protowire.BytesType:
			f.to = min(f.to, f.from+maxTextBytes)
			name, err = w.text(f.span)
		case f.number == tensorExternal && f.typ == protowire.BytesType:
			external = true
			err = w.entry(f.span, entries)
		case f.number == tensorLocation && int32(f.value) == locationExternal:
			external = true
		}
		return err
	})
	if err != nil || !external {
		return err
	}
	l := Location{Tensor: name, Path: entries["location"], Length: -1}
	if l.Path == "" {
		return l.invalid("it has no location")
	}
	if v, ok := entries["offset"]; ok {
		if l.Offset, ok = parseSize(v); !ok {
			return l.invalid("offset %.100q is not a number of bytes", v)
		}
	}
	if v, ok := entries["length"]; ok {
		if l.Length, ok = parseSize(v); !ok {
			return l.invalid("length %.100q is not a number of bytes", v)
		}
	}
	w.found = append(w.found, l)
	return nil
}

// entry reads a key and its value.
func (w *walker) entry(s span, entries map[string]string) error {
	var key, value string
	err := w.fields(s, func(f field) (err error) {
		switch {
		case f.typ != protowire.BytesType:
		case f.to-f.from > maxTextBytes:
			err = infer.Errorf(infer.Invalid, "an entry of the model's external data is longer than %d bytes", maxTextBytes)
		case f.number == entryKey:
			key, err = w.text(f.span)
		case f.number == entryValue:
			value, err = w.text(f.span)
		}
		return err
	})
	if err != nil {
		return err
	}
	if _, ok := entries[key]; ok { // which one ONNX Runtime uses is not known
		return infer.Errorf(infer.Invalid, "external data of the model has a duplicate %.100q for one tensor", key)
	}
	entries[key] = value
	return nil
}

func (w *walker) text(s span) (string, error) {
	b, err := w.bytes(s)
	return string(b), err
}

func parseSize(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil
}

// invalid returns an error about a location.
func (l Location) invalid(format string, args ...any) *infer.Error {
	err := infer.Errorf(infer.Invalid, format, args...)
	err.Msg = "external data of tensor '" + l.Tensor + "', location '" + l.Path + "': " + err.Msg
	return err
}
