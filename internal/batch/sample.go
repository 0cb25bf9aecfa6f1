package batch

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// data is a kind of made-up data. Integers whose names say mask, type or length, or of which
// there is one a row, get values that suit those.
type data struct {
	float    func(rng *rand.Rand) float64
	integers int64 // they are below
	constant bool  // every integer has the value of integers instead
}

// kindsOfData are tried until the model accepts one: pictures and probabilities are between 0
// and 1, tokens and categories are small integers, and a table may have only one entry.
func kindsOfData() []data {
	unit := (*rand.Rand).Float64
	return []data{
		{float: unit, integers: 2},
		{float: (*rand.Rand).NormFloat64, integers: 10},
		{float: func(rng *rand.Rand) float64 { return 255 * rng.Float64() }, integers: 100},
		{float: unit, integers: 1, constant: true},
		{float: unit, integers: 0, constant: true},
		{float: func(*rand.Rand) float64 { return 1 }, integers: 1, constant: true},
		{float: func(*rand.Rand) float64 { return 0 }, integers: 0, constant: true},
	}
}

// row makes the required inputs of a request of one row. All dimensions except for the rows
// must be fixed.
func (d data) row(m *infer.Model, rng *rand.Rand) []infer.Tensor {
	longest := lengths(m)
	var inputs []infer.Tensor
	for i := range m.Inputs {
		s := &m.Inputs[i]
		if s.Optional {
			continue
		}
		shape := s.Shape.Fixed(1)
		n, _ := shape.Elements() // few: the caller has checked
		t := infer.Tensor{Name: s.Name, DType: s.DType, Shape: shape, Index: i}
		t.Data = d.elements(s, n, longest, rng)
		inputs = append(inputs, t)
	}
	return inputs
}

// elements makes the data of one row of an input.
func (d data) elements(s *infer.TensorSpec, n, longest int64, rng *rand.Rand) []byte {
	r := roleOf(s)
	shown := 1 + rng.Int64N(max(n, 1)) // elements of a mask that are 1
	buf := make([]byte, 0, n*int64(max(s.DType.Size(), 1)))
	for i := range n {
		var whole int64
		switch {
		case d.constant:
			whole = d.integers
		case r == mask && i < shown:
			whole = 1
		case r == mask:
			whole = 0
		case r == length && longest > 0:
			whole = 1 + rng.Int64N(longest)
		case r == category:
			whole = rng.Int64N(2)
		default:
			whole = rng.Int64N(d.integers)
		}
		number := float64(whole)
		if r != mask || d.constant {
			number = d.float(rng)
		}
		buf = appendElement(buf, s.DType, whole, number)
	}
	return buf
}

// appendElement appends an element: number for a float, whole for other types.
func appendElement(buf []byte, d infer.DType, whole int64, number float64) []byte {
	le := binary.LittleEndian
	switch d {
	case infer.FP16:
		return le.AppendUint16(buf, infer.Float32ToFP16(float32(number)))
	case infer.BF16:
		return le.AppendUint16(buf, infer.Float32ToBF16(float32(number)))
	case infer.FP32:
		return le.AppendUint32(buf, math.Float32bits(float32(number)))
	case infer.FP64:
		return le.AppendUint64(buf, math.Float64bits(number))
	case infer.Bytes:
		return infer.AppendElement(buf, strconv.FormatInt(whole, 10))
	case infer.Bool:
		return append(buf, byte(whole&1))
	default:
	}
	whole8 := le.AppendUint64(nil, uint64(whole)) //nolint:gosec // small and not negative
	return append(buf, whole8[:d.Size()]...)
}

// role is what an input's numbers mean, as its name and shape suggest.
type role int

const (
	plain role = iota
	mask
	length
	category
)

func roleOf(s *infer.TensorSpec) role {
	words := strings.FieldsFunc(strings.ToLower(s.Name), func(r rune) bool { return r == '_' || r == '.' || r == '-' || r == '/' })
	has := func(list ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
	}
	integer := s.DType == infer.Int32 || s.DType == infer.Int64
	switch {
	case has("mask", "masks"):
		return mask
	case integer && has("type", "segment"):
		return category
	case integer && (len(s.Shape) == 1 || has("len", "lens", "length", "lengths")):
		return length
	default:
		return plain
	}
}

// lengths returns the largest value of a length: the shortest second axis of an input. It is 0
// if no input has one.
func lengths(m *infer.Model) int64 {
	shortest := int64(math.MaxInt64)
	for i := range m.Inputs {
		if s := m.Inputs[i].Shape; len(s) > 1 && !m.Inputs[i].Optional {
			shortest = min(shortest, s[1])
		}
	}
	if shortest == math.MaxInt64 {
		return 0
	}
	return max(shortest, 1)
}
