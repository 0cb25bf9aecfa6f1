package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"

	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/infer"
)

// maxExampleBytes is the max size of an example's input. By default a gateway refuses larger ones.
const maxExampleBytes = 64 << 20

// exampleTensor is an input in JSON, with flat data.
type exampleTensor struct {
	Name     string  `json:"name"`
	Shape    []int64 `json:"shape"`
	Datatype string  `json:"datatype"`
	Data     []any   `json:"data"`
}

// exampleBody returns the body of a valid request. It is the same each time for the same model.
func exampleBody(meta client.Metadata, rows int64) ([]byte, error) {
	specs := make([]infer.TensorSpec, len(meta.Inputs))
	for i, in := range meta.Inputs {
		dtype, ok := infer.ParseDType(in.Datatype)
		if !ok {
			return nil, fmt.Errorf("cannot make an example of input '%s': the datatype '%s' is not known", in.Name, in.Datatype)
		}
		if size := exampleBytes(in.Shape, dtype, rows); size > maxExampleBytes {
			return nil, fmt.Errorf("cannot make an example of input '%s': with %d rows it is larger than %d bytes", in.Name, rows, maxExampleBytes)
		}
		specs[i] = infer.TensorSpec{Name: in.Name, DType: dtype, Shape: in.Shape}
	}
	model := infer.NewModel(meta.Name, 0, specs, nil)
	body := struct {
		Inputs []exampleTensor `json:"inputs"`
	}{[]exampleTensor{}}
	for _, t := range model.Example(rows, rand.New(rand.NewPCG(1, 2))) { //nolint:gosec // example data, fixed seed
		body.Inputs = append(body.Inputs, exampleTensor{t.Name, t.Shape, t.DType.String(), elements(&t)})
	}
	return json.Marshal(body)
}

// exampleBytes returns the size of an input with the given number of rows, in bytes, or the max of
// int64 if it overflows.
func exampleBytes(shape infer.Shape, dtype infer.DType, rows int64) int64 {
	size, ok := shape.Fixed(rows).ByteSize(dtype)
	if !ok {
		return math.MaxInt64
	}
	return size
}

// elements returns a tensor's elements as JSON numbers, booleans or strings.
func elements(t *infer.Tensor) []any {
	list := []any{}
	if t.DType == infer.Bytes {
		for element, rest, ok := infer.NextElement(t.Data); ok; element, rest, ok = infer.NextElement(rest) {
			list = append(list, string(element))
		}
		return list
	}
	for data := t.Data; len(data) > 0; data = data[t.DType.Size():] {
		list = append(list, number(data, t.DType))
	}
	return list
}

// number returns the first element of data.
func number(data []byte, dtype infer.DType) any {
	le := binary.LittleEndian
	switch dtype {
	case infer.Bool:
		return data[0] != 0
	case infer.Uint8:
		return data[0]
	case infer.Uint16:
		return le.Uint16(data)
	case infer.Uint32:
		return le.Uint32(data)
	case infer.Uint64:
		return le.Uint64(data)
	case infer.Int8:
		return int8(data[0])
	case infer.Int16:
		return int16(le.Uint16(data))
	case infer.Int32:
		return int32(le.Uint32(data))
	case infer.Int64:
		return int64(le.Uint64(data))
	case infer.FP16:
		return infer.FP16ToFloat32(le.Uint16(data))
	case infer.BF16:
		return infer.BF16ToFloat32(le.Uint16(data))
	case infer.FP32:
		return math.Float32frombits(le.Uint32(data))
	case infer.FP64:
		return math.Float64frombits(le.Uint64(data))
	default:
		panic("BUG: no number in a tensor of datatype " + dtype.String())
	}
}
