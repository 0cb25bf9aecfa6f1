package onnxfile

import (
	"io"
	"os"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice.io/sluice/internal/infer"
)

// maxMessage is the size in bytes from which on a file is not a valid protobuf message.
const maxMessage = 2 << 30

// Relax reads the model at path in root, or changed in place of the file's content if that is
// not nil. It makes the first dimension of each input and output free if it is fixed at 1,
// except for inputs with a default. It returns the whole changed file; external tensors stay in
// their files. The file's shapes of values inside the graph would contradict that, and are
// removed. Constants are not, so the result may fail to load or to run with more than one row.
// The file is not changed.
//
// Relax reads the whole file into memory. Errors are Invalid: the file is not an ONNX model,
// has 2 GiB or more, or fixes the first dimension of no input or output at 1.
func Relax(root *os.Root, path string, changed []byte) (relaxed []byte, err error) {
	var r relaxer
	err = open(root, path, changed, func(w *walker, size int64) error {
		if size >= maxMessage {
			return infer.Errorf(infer.Invalid, "a model file of 2 GiB or more cannot be changed in memory")
		}
		r.walker = w
		if err := r.model(span{0, size}); err != nil {
			return err
		}
		if !r.freed {
			return infer.Errorf(infer.Invalid, "no input or output of the model has a first dimension that is fixed at 1")
		}
		relaxed = make([]byte, size)
		if _, err := io.ReadFull(io.NewSectionReader(w.file, 0, size), relaxed); err != nil {
			return &infer.Error{Code: infer.Internal, Op: "onnxfile: relax", Msg: "cannot read the model file", Err: err}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, p := range r.patches {
		copy(relaxed[p.at:], p.bytes)
	}
	return relaxed, nil
}

// Fields of GraphProto, ValueInfoProto, TypeProto, its Tensor, and TensorShapeProto with
// its Dimension.
const (
	graphNode, graphInitializer, graphInput, graphOutput, graphInfo, graphSparse = 1, 5, 11, 12, 13, 15

	valueName, valueType = 1, 2
	typeTensor           = 1
	tensorShape          = 2
	shapeDimension       = 1

	dimensionValue, dimensionDenotation = 1, 3

	// None of the changed messages has such a field. A reader skips it.
	unknownField = 9
)

// patch replaces bytes by the same number of bytes. Since no length changes, the enclosing
// messages need not be written again.
type patch struct {
	at    int64
	bytes []byte
}

// relaxer collects the changes to a model.
type relaxer struct {
	*walker
	patches []patch
	freed   bool // a first dimension was made free
}

func (r *relaxer) model(s span) error {
	found := false
	err := r.fields(s, func(f field) error {
		if model.child(f.number) != graph || f.typ != protowire.BytesType {
			return nil
		}
		found = true
		return r.graph(f.span, true, 0)
	})
	if err == nil && !found {
		return malformed("it has no graph")
	}
	return err
}

// graph changes the inputs and outputs of the top graph. It removes the shapes of those of
// subgraphs, and all information about values inside the graphs.
func (r *relaxer) graph(s span, top bool, depth int) error {
	if depth > maxDepth {
		return malformed("messages nest more than %d deep", maxDepth)
	}
	defaults, err := r.defaults(s)
	if err != nil {
		return err
	}
	return r.fields(s, func(f field) error {
		switch {
		case f.typ != protowire.BytesType:
			return nil
		case f.number == graphInfo:
			return r.hide(f)
		case f.number == graphInput && top:
			return r.value(f.span, defaults)
		case f.number == graphOutput && top:
			return r.value(f.span, nil)
		case f.number == graphInput, f.number == graphOutput:
			return r.shapes(f.span, r.hide)
		case f.number == graphNode:
			return r.subgraphs(f.span, depth)
		}
		return nil
	})
}

// defaults returns the names of a graph's initializers.
func (r *relaxer) defaults(s span) (map[string]bool, error) {
	names := map[string]bool{}
	err := r.fields(s, func(f field) error {
		if f.number != graphInitializer && f.number != graphSparse || f.typ != protowire.BytesType {
			return nil
		}
		if f.number == graphInitializer {
			return r.named(f.span, tensorName, func(name string) { names[name] = true })
		}
		return r.fields(f.span, func(values field) error {
			if sparse.child(values.number) != tensor || values.typ != protowire.BytesType {
				return nil
			}
			return r.named(values.span, tensorName, func(name string) { names[name] = true })
		})
	})
	return names, err
}

// value makes the first dimension of a value free if it is 1.
func (r *relaxer) value(s span, except map[string]bool) error {
	var name string
	if err := r.named(s, valueName, func(n string) { name = n }); err != nil || except[name] {
		return err
	}
	return r.shapes(s, func(shape field) error {
		first := true
		return r.fields(shape.span, func(f field) error {
			if f.number != shapeDimension || f.typ != protowire.BytesType || !first {
				return nil
			}
			first = false
			one, err := r.isOne(f.span)
			r.freed = err == nil && one && r.free(f.span) || r.freed
			return err
		})
	})
}

// shapes calls f with the shape of a value that is a tensor.
func (r *relaxer) shapes(s span, f func(shape field) error) error {
	path := []protowire.Number{valueType, typeTensor, tensorShape}
	var descend func(s span, path []protowire.Number) error
	descend = func(s span, path []protowire.Number) error {
		return r.fields(s, func(x field) error {
			switch {
			case x.number != path[0] || x.typ != protowire.BytesType:
				return nil
			case len(path) == 1:
				return f(x)
			default:
				return descend(x.span, path[1:])
			}
		})
	}
	return descend(s, path)
}

// isOne reports whether a dimension is 1.
func (r *relaxer) isOne(s span) (one bool, err error) {
	err = r.fields(s, func(f field) error {
		if f.number != dimensionDenotation { // the last one counts
			one = f.number == dimensionValue && f.typ == protowire.VarintType && f.value == 1
		}
		return nil
	})
	return one, err
}

// free overwrites a dimension with a denotation, which is not used. It returns false, and
// changes nothing, if the dimension has more than a number and a few words.
func (r *relaxer) free(s span) bool {
	n := int(s.to - s.from)
	const head, longest = 2, 129 // a tag and a length of one byte each
	if n > longest {
		return false
	}
	b := protowire.AppendTag(make([]byte, 0, n), dimensionDenotation, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(n-head)) //nolint:gosec // at least 2: it has a value
	for len(b) < n {
		b = append(b, ' ')
	}
	r.patches = append(r.patches, patch{s.from, b})
	return true
}

// hide turns a field, whose tag has one byte, into one that a reader does not know.
func (r *relaxer) hide(f field) error {
	tag, err := r.bytes(span{f.tag, f.tag + 1})
	if err != nil {
		return err
	}
	const more = 0x80
	if tag[0]&more != 0 {
		return malformed("a tag has more bytes than it needs at byte %d", f.tag)
	}
	r.patches = append(r.patches, patch{f.tag, protowire.AppendTag(nil, unknownField, protowire.BytesType)})
	return nil
}

// subgraphs changes the graphs in a node's attributes.
func (r *relaxer) subgraphs(s span, depth int) error {
	return r.fields(s, func(f field) error {
		if node.child(f.number) != attribute || f.typ != protowire.BytesType {
			return nil
		}
		return r.fields(f.span, func(x field) error {
			if attribute.child(x.number) != graph || x.typ != protowire.BytesType {
				return nil
			}
			return r.graph(x.span, false, depth+1)
		})
	})
}
