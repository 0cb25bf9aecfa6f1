package fake

import (
	"encoding/binary"
	"math"
	"strconv"

	"sluice.io/sluice/internal/infer"
)

// RowSums fills every output with the sum of all elements of its row over all inputs; strings
// count by their length in bytes. Outputs have as many rows as the first input if their first
// dimension varies, and 1 in other dimensions that vary.
func RowSums(m *infer.Model, inputs []infer.Tensor) ([]infer.Tensor, error) {
	rows := int64(1)
	if len(inputs) > 0 {
		rows = inputs[0].Rows()
	}
	sums := make([]float64, rows)
	for i := range inputs {
		addRows(sums, &inputs[i])
	}
	list := make([]infer.Tensor, len(m.Outputs))
	for i := range m.Outputs {
		list[i] = fill(&m.Outputs[i], i, sums)
	}
	return list, nil
}

// addRows adds t's elements to the sum of their row, or all to the first row if t has a
// different number of rows.
func addRows(sums []float64, t *infer.Tensor) {
	n, _ := t.Shape.Elements() // the request's check has passed
	perRow := max(n, 1)
	if t.Rows() == int64(len(sums)) {
		perRow = max(n/max(t.Rows(), 1), 1)
	}
	rest := t.Data
	for i := range n {
		var v float64
		v, rest = next(t.DType, rest)
		sums[i/perRow] += v
	}
}

// next takes one element off data.
func next(d infer.DType, data []byte) (v float64, rest []byte) {
	le := binary.LittleEndian
	switch d {
	case infer.Bool, infer.Uint8:
		v = float64(data[0])
	case infer.Int8:
		v = float64(int8(data[0])) //nolint:gosec // its bits
	case infer.Uint16:
		v = float64(le.Uint16(data))
	case infer.Int16:
		v = float64(int16(le.Uint16(data))) //nolint:gosec // its bits
	case infer.Uint32:
		v = float64(le.Uint32(data))
	case infer.Int32:
		v = float64(int32(le.Uint32(data))) //nolint:gosec // its bits
	case infer.Uint64:
		v = float64(le.Uint64(data))
	case infer.Int64:
		v = float64(int64(le.Uint64(data))) //nolint:gosec // its bits
	case infer.FP16:
		v = float64(infer.FP16ToFloat32(le.Uint16(data)))
	case infer.BF16:
		v = float64(infer.BF16ToFloat32(le.Uint16(data)))
	case infer.FP32:
		v = float64(math.Float32frombits(le.Uint32(data)))
	case infer.FP64:
		v = math.Float64frombits(le.Uint64(data))
	case infer.Bytes:
		element, rest, _ := infer.NextElement(data)
		return float64(len(element)), rest
	default:
		panic("BUG: no data type " + d.String())
	}
	return v, data[d.Size():]
}

// fill makes an output.
func fill(spec *infer.TensorSpec, index int, sums []float64) infer.Tensor {
	t := infer.Tensor{Name: spec.Name, DType: spec.DType, Index: index, Shape: spec.Shape.Fixed(int64(len(sums)))}
	n, _ := t.Shape.Elements() // small: it is a test's model
	for i := range n {
		row := int64(0)
		if t.Rows() == int64(len(sums)) {
			row = i / (n / t.Rows())
		}
		var v float64
		if row < int64(len(sums)) { // a fixed first dimension is kept even with no rows
			v = sums[row]
		}
		t.Data = appendValue(t.Data, t.DType, v)
	}
	return t
}

// appendValue appends one element; integers wrap.
func appendValue(data []byte, d infer.DType, v float64) []byte {
	le := binary.LittleEndian
	n := uint64(int64(v)) //nolint:gosec // wraps on purpose, here and below
	switch d {
	case infer.Bool:
		if v != 0 {
			return append(data, 1)
		}
		return append(data, 0)
	case infer.Uint8, infer.Int8:
		return append(data, byte(n))
	case infer.Uint16, infer.Int16:
		return le.AppendUint16(data, uint16(n)) //nolint:gosec // see above
	case infer.Uint32, infer.Int32:
		return le.AppendUint32(data, uint32(n)) //nolint:gosec // see above
	case infer.Uint64, infer.Int64:
		return le.AppendUint64(data, n)
	case infer.FP16:
		return le.AppendUint16(data, infer.Float32ToFP16(float32(v)))
	case infer.BF16:
		return le.AppendUint16(data, infer.Float32ToBF16(float32(v)))
	case infer.FP32:
		return le.AppendUint32(data, math.Float32bits(float32(v)))
	case infer.FP64:
		return le.AppendUint64(data, math.Float64bits(v))
	default:
		return infer.AppendElement(data, strconv.FormatFloat(v, 'g', -1, 64))
	}
}
