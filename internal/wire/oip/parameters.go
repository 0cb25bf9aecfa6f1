package oip

import (
	"bytes"
	"math"
	"time"
	"unsafe"

	"sluice.io/sluice/internal/infer"
)

// fields is the set of members of an object that were read.
type fields uint16

// once reads a member with read. A duplicate is a problem.
func (f *fields) once(field fields, read func() *problem) *problem {
	if *f&field != 0 {
		return invalid("given twice")
	}
	*f |= field
	return read()
}

// parameters reads a parameters object. known reads the parameters with a meaning at this place and
// reports whether name is one. Other parameters are accepted if they are a number, a bool or a
// string, since clients add their own.
func (c *Call) parameters(known func(name []byte) (ok bool, p *problem)) *problem {
	n := 0
	return c.s.object(func(name []byte) *problem {
		n++
		if p := c.checkParameter(n, name); p != nil {
			return p
		}
		if ok, p := known(name); ok {
			return p
		}
		if p := c.notScalar(); p != nil {
			return p.in(string(name))
		}
		return c.s.skip(false)
	})
}

// checkParameter checks the name of the n-th parameter of an object.
func (c *Call) checkParameter(n int, name []byte) *problem {
	switch {
	case n > c.lim.MaxParameters:
		return invalid("more than %d entries", c.lim.MaxParameters)
	case len(name) > c.lim.MaxNameBytes:
		return invalid("the name of a parameter is longer than %d bytes", c.lim.MaxNameBytes)
	case bytes.HasPrefix(name, []byte("triton_")):
		return invalid("names that begin with 'triton_' are reserved").in(string(name))
	case bytes.HasPrefix(name, []byte("shared_memory_")):
		return unsupported("shared memory is not supported; send the tensor as JSON or binary").in(string(name))
	default:
		return nil
	}
}

// notScalar returns a problem if the next value, of a parameter, is an object, an array or null.
func (c *Call) notScalar() *problem {
	if b := c.s.space(); b == '{' || b == '[' || c.s.has("null") {
		return c.s.wrong("a number, a bool or a string")
	}
	return nil
}

func unsupported(msg string) *problem { return &problem{code: infer.Unsupported, msg: msg} }

const (
	paramPriority fields = 1 << iota
	paramTimeout
	paramBinary
	paramClassification
	paramSticky
	paramSegment
	paramDrift
)

// requestParameters reads the parameters of the request, and keeps their text if they are wanted.
func (c *Call) requestParameters() *problem {
	c.s.space()
	start := c.s.pos
	p := c.knownParameters()
	if c.KeepParameters && p == nil {
		c.kept = part{start, c.s.pos}
		c.Parameters = c.kept.of(c.s.text)
	}
	return p
}

// part is a part of a text.
type part struct{ start, end int }

// of returns the part, nil if it is empty.
func (p part) of(text []byte) []byte {
	if p.start == p.end {
		return nil
	}
	return text[p.start:p.end:p.end]
}

func (c *Call) knownParameters() *problem {
	var seen fields
	return c.parameters(func(name []byte) (bool, *problem) {
		switch string(name) {
		case "priority":
			return true, seen.once(paramPriority, c.priority).in("priority")
		case "timeout":
			return true, seen.once(paramTimeout, c.timeout).in("timeout")
		case "binary_data_output":
			return true, seen.once(paramBinary, func() (p *problem) {
				c.binaryDefault, p = c.s.bool()
				return p
			}).in("binary_data_output")
		}
		if bytes.HasPrefix(name, []byte("sequence_")) {
			return true, unsupported("sequences are not supported").in(string(name))
		}
		if c.SegmentParameter != "" && string(name) == c.SegmentParameter {
			return true, seen.once(paramSegment, c.segment).in(c.SegmentParameter)
		}
		if c.StickyParameter != "" && string(name) == c.StickyParameter {
			return true, seen.once(paramSticky, c.keyAndSegment).in(c.StickyParameter)
		}
		if c.DriftParameter != "" && string(name) == c.DriftParameter {
			return true, seen.once(paramDrift, c.driftSegment).in(c.DriftParameter)
		}
		return false, nil
	})
}

// keyAndSegment reads the parameter that is the request's key, and maybe its segment for drift too.
func (c *Call) keyAndSegment() *problem {
	p := c.stickyKey()
	if p == nil && c.DriftParameter == c.StickyParameter {
		p = c.setDriftSegment(c.key)
	}
	return p
}

// driftSegment reads the parameter that is the request's segment for drift.
func (c *Call) driftSegment() *problem {
	text, p := c.scalar()
	if p == nil {
		p = c.setDriftSegment(text)
	}
	return p
}

// maxDriftSegment is the max length of a segment for drift. Longer texts are no segment of a profile.
const maxDriftSegment = 64

func (c *Call) setDriftSegment(text []byte) (p *problem) {
	if len(text) <= maxDriftSegment {
		c.DriftSegment, p = c.intern(text)
	}
	return p
}

// stickyKey reads the parameter that is the request's key: the content of a string, or the text of
// a number or bool, so that 42 and "42" are the same key.
func (c *Call) stickyKey() *problem {
	key, p := c.scalar()
	if p != nil {
		return p
	}
	if len(key) > c.lim.MaxStickyKeyBytes {
		return invalid("longer than the limit of %d bytes for a sticky key", c.lim.MaxStickyKeyBytes)
	}
	// Keys are too many to intern, and the next string overwrites the result of str.
	c.key = append(c.key[:0], key...)
	c.StickyKey = unsafe.String(unsafe.SliceData(c.key), len(c.key))
	return nil
}

// scalar reads the text of a parameter. The next string overwrites it.
func (c *Call) scalar() (text []byte, p *problem) {
	if p := c.notScalar(); p != nil {
		return nil, p
	}
	start := c.s.pos
	if c.s.space() == '"' {
		return c.s.str()
	}
	if p := c.s.skip(false); p != nil {
		return nil, p
	}
	return c.s.text[start:c.s.pos], nil
}

// segment reads the parameter that is the request's segment, and maybe its key too. There are few
// segments, so they are interned.
func (c *Call) segment() (p *problem) {
	if c.SegmentParameter == c.StickyParameter {
		if p = c.stickyKey(); p == nil {
			c.Segment, p = c.intern(c.key)
		}
	} else {
		var text []byte
		if text, p = c.scalar(); p == nil {
			c.Segment, p = c.intern(text)
		}
	}
	if p == nil && c.DriftParameter == c.SegmentParameter && len(c.Segment) <= maxDriftSegment {
		c.DriftSegment = c.Segment
	}
	return p
}

func (c *Call) priority() *problem {
	n, p := c.s.integer(0, math.MaxInt32, "a priority (0 to 2147483647, 1 is the highest)")
	c.Priority = int(n)
	return p
}

func (c *Call) timeout() *problem {
	n, p := c.s.integer(0, math.MaxUint64, "a timeout in microseconds (0 to 18446744073709551615)")
	c.Timeout = time.Duration(min(n, math.MaxInt64/uint64(time.Microsecond))) * time.Microsecond
	return p
}

// inputParameters reads the parameters of an input and returns its binary_data_size, -1 if there is
// none.
func (c *Call) inputParameters() (size int64, p *problem) {
	size = -1
	if c.s.space() == 'n' && c.s.word("null") {
		return size, nil
	}
	var seen fields
	p = c.parameters(func(name []byte) (bool, *problem) {
		if string(name) != "binary_data_size" {
			return false, nil
		}
		return true, seen.once(paramBinary, func() *problem {
			n, p := c.s.integer(0, math.MaxInt64, "a size in bytes (0 to 9223372036854775807)")
			size = int64(n)
			return p
		}).in("binary_data_size")
	})
	return size, p
}

// outputParameters reads the parameters of an output, sets the number of requested classes, and
// returns the output's choice of the binary form.
func (c *Call) outputParameters(classes *int) (own choice, p *problem) {
	if c.s.space() == 'n' && c.s.word("null") {
		return unset, nil
	}
	var seen fields
	p = c.parameters(func(name []byte) (bool, *problem) {
		switch string(name) {
		case "binary_data":
			return true, seen.once(paramBinary, func() *problem {
				binary, p := c.s.bool()
				own = no
				if binary {
					own = yes
				}
				return p
			}).in("binary_data")
		case "classification":
			return true, seen.once(paramClassification, func() *problem {
				n, p := c.s.integer(0, math.MaxUint64, "a number of classes (0 or more)")
				*classes = int(min(n, math.MaxInt32))
				return p
			}).in("classification")
		}
		return false, nil
	})
	return own, p
}
