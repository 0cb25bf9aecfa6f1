package oip

import (
	"sluice.io/sluice/internal/infer"
)

// Limits bound the content of a request. Each is at least 1.
type Limits struct {
	MaxInputs         int   // input tensors
	MaxOutputs        int   // outputs requested by name
	MaxRank           int   // dimensions of a tensor
	MaxNesting        int   // depth of arrays and objects, including the document
	MaxParameters     int   // entries of one parameters object
	MaxIDBytes        int   // length of the id
	MaxNameBytes      int   // length of the name of a tensor or parameter
	MaxStickyKeyBytes int   // length of the sticky key in a parameter
	MaxTensorBytes    int64 // data of one input in memory; decoding JSON text can enlarge it
	MaxClassified     int   // elements of an output for which the best classes are requested
}

// Validate returns an error that names the first limit below 1.
func (l *Limits) Validate() error {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"max_inputs", int64(l.MaxInputs)},
		{"max_outputs", int64(l.MaxOutputs)},
		{"max_rank", int64(l.MaxRank)},
		{"max_nesting", int64(l.MaxNesting)},
		{"max_parameters", int64(l.MaxParameters)},
		{"max_id", int64(l.MaxIDBytes)},
		{"max_name", int64(l.MaxNameBytes)},
		{"max_sticky_key", int64(l.MaxStickyKeyBytes)},
		{"max_tensor", l.MaxTensorBytes},
		{"max_classified", int64(l.MaxClassified)},
	} {
		if f.value < 1 {
			return infer.Errorf(infer.Invalid, "oip: %s is %d, expected at least 1", f.name, f.value)
		}
	}
	return nil
}

// The max sizes that a pooled Call keeps between requests.
const (
	maxPooledBytes   = 64 << 10 // of each buffer
	maxPooledDims    = 1 << 10  // of all shapes
	maxPooledTensors = 64       // room for inputs and outputs
	maxPooledRanked  = 1 << 10  // selected classes
	maxNames         = 128      // interned names
	maxInternedBytes = 128      // of each name; longer ones are allocated
)

// Call is a decoded infer request, with the data that only the wire needs: which outputs the caller
// wants as binary. Decode and DecodeRaw fill Inputs, Outputs, ID, Priority, Timeout, StickyKey
// and Segment.
// The listener sets the other fields of the Request. It sets a key from a header after decoding.
//
// Decode reserves memory from the Request's Memory before it allocates, and returns the error of
// that. Drop and Reset return the memory.
type Call struct {
	infer.Request

	// StickyParameter names the parameter of the request that is its StickyKey; empty for none. The
	// listener sets it before Decode. A parameter with its own meaning, such as priority, is never
	// a key, and a raw body has no parameters.
	StickyParameter string
	// SegmentParameter names the parameter of the request that is its Segment, likewise. It may be
	// the same parameter.
	SegmentParameter string
	// DriftParameter names the parameter of the request that is its DriftSegment, likewise.
	DriftParameter string
	// KeepParameters makes Decode set Parameters, which aliases the text.
	KeepParameters bool

	// Grow returns the buffer of an answer with room for n more bytes. nil means slices.Grow. The
	// listener sets it once: Reset keeps it. AppendResponse returns its errors.
	Grow func(answer []byte, n int) ([]byte, error)

	binaryDefault bool     // of outputs without their own choice
	binary        []choice // parallel to Request.Outputs

	memo  memo
	s     scanner
	lim   Limits
	sizes []int64           // binary_data_size by input, -1 if the data is JSON
	dims  []int64           // shapes
	key   []byte            // the bytes of StickyKey
	kept  part              // Parameters in the text
	best  []ranked          // the selected classes
	names map[string]string // names seen before, so that a repeated one is not allocated again
	scratch
}

// choice is a bool that may be unset.
type choice uint8

const (
	unset choice = iota
	yes
	no
)

// NewCall returns an empty Call. It can be used for many requests, one after the other.
func NewCall() *Call {
	c := &Call{names: map[string]string{}}
	c.s.reserve = c.reserve
	return c
}

// Reset empties the Call and keeps its buffers for the next request, except those that a large
// request has made large.
func (c *Call) Reset() {
	c.begin()
	c.giveBack()
	c.trim()
	c.Request = infer.Request{Inputs: c.Inputs, Outputs: c.Outputs}
	c.StickyParameter, c.SegmentParameter, c.DriftParameter, c.KeepParameters = "", "", "", false
}

// begin empties the fields that decoding fills.
func (c *Call) begin() {
	clear(c.Inputs)
	clear(c.Outputs)
	c.Inputs, c.Outputs = c.Inputs[:0], c.Outputs[:0]
	c.ID, c.Priority, c.Timeout, c.StickyKey, c.Segment, c.DriftSegment, c.Parameters = "", 0, 0, "", "", "", nil
	c.binaryDefault, c.binary, c.kept = false, c.binary[:0], part{}
	c.sizes, c.dims, c.key = c.sizes[:0], c.dims[:0], c.key[:0]
	c.scratch.begin()
	c.s = scanner{tmp: c.s.tmp[:0], reserve: c.s.reserve}
}

// BinaryOutput reports whether output i of the answer, in the requested order, is sent as binary.
// Classes are binary only if the output itself asks for it, as in Triton.
func (c *Call) BinaryOutput(i int) bool {
	if i < len(c.binary) && c.binary[i] != unset {
		return c.binary[i] == yes
	}
	return c.binaryDefault && (i >= len(c.Outputs) || c.Outputs[i].Classes == 0)
}

// intern returns name as a string, the same one each time if the Call still has it.
func (c *Call) intern(name []byte) (string, *problem) {
	if s, ok := c.names[string(name)]; ok {
		return s, nil
	}
	if p := c.reserve(len(name)); p != nil {
		return "", p
	}
	s := string(name)
	if len(s) <= maxInternedBytes {
		if len(c.names) >= maxNames {
			clear(c.names)
		}
		c.names[s] = s
	}
	return s, nil
}
