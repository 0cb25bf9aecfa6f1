package oip

import (
	"sluice.io/sluice/internal/infer"
)

// Limits bound what a request may hold. Each of them is at least 1.
type Limits struct {
	MaxInputs         int   // input tensors
	MaxOutputs        int   // outputs asked for by name
	MaxRank           int   // dimensions of a tensor
	MaxNesting        int   // depth of arrays and objects, the document itself counted
	MaxParameters     int   // entries of one parameters object
	MaxIDBytes        int   // length of the id
	MaxNameBytes      int   // length of the name of a tensor or parameter
	MaxStickyKeyBytes int   // length of the sticky key in a parameter
	MaxTensorBytes    int64 // data of one input in memory; JSON text may grow on its way there
	MaxClassified     int   // elements of an output of which the best classes are asked for
}

// Validate returns an error that names a limit which is not set.
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

// What a pooled Call keeps between requests.
const (
	maxPooledBytes   = 64 << 10 // of each buffer
	maxPooledDims    = 1 << 10  // of all shapes
	maxPooledTensors = 64       // room for inputs and outputs
	maxPooledRanked  = 1 << 10  // classes that were chosen
	maxNames         = 128      // interned names
	maxInternedBytes = 128      // of each name; longer ones are allocated
)

// Call is a decoded infer request together with what only the wire needs to know
// of it: which outputs the caller wants as binary. Decode and DecodeRaw fill
// Inputs, Outputs, ID, Priority, Timeout and StickyKey; the other fields of the
// Request are the front's. A key that a header bears is set after decoding.
//
// What decoding allocates is reserved from the Request's Memory before, and an
// error of it is the error of Decode. Drop and Reset give it back.
type Call struct {
	infer.Request

	// StickyParameter names the parameter of the request that is its StickyKey;
	// empty for none. The front sets it before Decode. One that has a meaning of its
	// own, as priority has, is never a key, and a raw body has no parameters.
	StickyParameter string

	// Grow returns the buffer of an answer with room for n bytes more, as
	// slices.Grow does, which stands for a nil one. It is the front's for good: Reset
	// keeps it. Its errors end AppendResponse.
	Grow func(answer []byte, n int) ([]byte, error)

	binaryDefault bool     // of outputs that say nothing themselves
	binary        []choice // parallel to Request.Outputs

	memo  memo
	s     scanner
	lim   Limits
	sizes []int64           // binary_data_size by input, -1 where the data is JSON
	dims  []int64           // shapes
	key   []byte            // the bytes of StickyKey
	best  []ranked          // the classes that were chosen
	names map[string]string // names seen before, so that a repeated one is not allocated again
	scratch
}

// choice is a bool that may be left open.
type choice uint8

const (
	unset choice = iota
	yes
	no
)

// NewCall returns an empty Call, to be used for one request after the other.
func NewCall() *Call {
	c := &Call{names: map[string]string{}}
	c.s.reserve = c.reserve
	return c
}

// Reset empties the Call and keeps its buffers for the next one, but for those
// that one large request made large.
func (c *Call) Reset() {
	c.begin()
	c.giveBack()
	c.trim()
	c.Request = infer.Request{Inputs: c.Inputs, Outputs: c.Outputs}
	c.StickyParameter = ""
}

// begin empties what decoding fills.
func (c *Call) begin() {
	clear(c.Inputs)
	clear(c.Outputs)
	c.Inputs, c.Outputs = c.Inputs[:0], c.Outputs[:0]
	c.ID, c.Priority, c.Timeout, c.StickyKey = "", 0, 0, ""
	c.binaryDefault, c.binary = false, c.binary[:0]
	c.sizes, c.dims, c.key = c.sizes[:0], c.dims[:0], c.key[:0]
	c.scratch.begin()
	c.s = scanner{tmp: c.s.tmp[:0], reserve: c.s.reserve}
}

// BinaryOutput reports whether output i of the answer, in the order asked for,
// is sent as binary. Classes are only if the output itself asks for it, as with Triton.
func (c *Call) BinaryOutput(i int) bool {
	if i < len(c.binary) && c.binary[i] != unset {
		return c.binary[i] == yes
	}
	return c.binaryDefault && (i >= len(c.Outputs) || c.Outputs[i].Classes == 0)
}

// intern returns name as a string, the same one each time while the Call keeps it.
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
