package infer

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strconv"
)

// Example makes the required inputs of a valid request: rows in every first dimension that
// varies, 1 in the others, floats from the standard normal distribution, integers and booleans
// only 0 or 1 (they are often indices), strings of one digit. The same rng gives the same
// request.
func (m *Model) Example(rows int64, rng *rand.Rand) []Tensor {
	var inputs []Tensor
	for i := range m.Inputs {
		spec := &m.Inputs[i]
		if spec.Optional {
			continue
		}
		shape := spec.Shape.Fixed(rows)
		n, ok := shape.Elements()
		if !ok {
			n = 0 // a fixed shape beyond 2^63: the check refuses the request
		}
		inputs = append(inputs, Tensor{Name: spec.Name, DType: spec.DType, Shape: shape, Data: exampleData(spec.DType, n, rng), Index: i})
	}
	return inputs
}

func exampleData(d DType, elements int64, rng *rand.Rand) []byte {
	le := binary.LittleEndian
	data := make([]byte, 0, elements*int64(max(d.Size(), bytesPrefix+1)))
	for range elements {
		bit := rng.Uint64() & 1
		switch d {
		case Bool, Uint8, Int8:
			data = append(data, byte(bit))
		case Uint16, Int16:
			data = le.AppendUint16(data, uint16(bit))
		case Uint32, Int32:
			data = le.AppendUint32(data, uint32(bit))
		case Uint64, Int64:
			data = le.AppendUint64(data, bit)
		case FP16:
			data = le.AppendUint16(data, Float32ToFP16(float32(rng.NormFloat64())))
		case BF16:
			data = le.AppendUint16(data, Float32ToBF16(float32(rng.NormFloat64())))
		case FP32:
			data = le.AppendUint32(data, math.Float32bits(float32(rng.NormFloat64())))
		case FP64:
			data = le.AppendUint64(data, math.Float64bits(rng.NormFloat64()))
		case Bytes:
			data = AppendElement(data, strconv.FormatUint(bit, 10))
		default:
			panic("BUG: an example of data type " + d.String())
		}
	}
	return data
}
