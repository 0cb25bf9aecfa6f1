package onnxgen

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strconv"

	"sluice.io/sluice/internal/infer"
)

// initializer is a constant tensor. If it has external entries, its data is not in the model.
type initializer struct {
	infer.Tensor
	value    *Value
	external []string // keys and values in turn
}

// Init adds a constant; one without a name gets one. Data is kept, not copied.
func (g *Graph) Init(t infer.Tensor) *Value { return g.init(t, nil) }

// External adds a constant whose data Write appends to the file location in the version's
// folder, at a page boundary as ONNX requires.
func (g *Graph) External(t infer.Tensor, location string) *Value {
	const page = 4096
	file := g.files[location]
	if rest := len(file) % page; rest > 0 {
		file = append(file, make([]byte, page-rest)...)
	}
	offset, length := len(file), len(t.Data)
	g.files[location] = append(file, t.Data...)
	return g.ExternalRef(t, "location", location, "offset", strconv.Itoa(offset), "length", strconv.Itoa(length))
}

// ExternalRef adds a constant with external data at the entries (keys and values in turn), for
// tests of such entries. No file is written.
func (g *Graph) ExternalRef(t infer.Tensor, entries ...string) *Value { return g.init(t, entries) }

func (g *Graph) init(t infer.Tensor, external []string) *Value {
	if t.Name == "" {
		t.Name = g.unique("c")
	}
	v := &Value{name: t.Name}
	g.inits = append(g.inits, initializer{t, v, external})
	return v
}

func (t initializer) encode() []byte {
	var b []byte
	for _, d := range t.Shape {
		b = appendInt(b, tensorDims, d)
	}
	b = appendInt(b, tensorType, elementCode(t.DType))
	b = appendString(b, tensorName, t.value.name)
	switch {
	case t.external != nil:
		for i := 0; i+1 < len(t.external); i += 2 {
			b = appendBytes(b, tensorExternal, appendString(appendString(nil, entryKey, t.external[i]), entryValue, t.external[i+1]))
		}
		return appendInt(b, tensorLocation, locationExternal)
	case t.DType == infer.Bytes: // ONNX has no raw format for strings
		for data := t.Data; len(data) > 0; {
			element, rest, ok := infer.NextElement(data)
			if !ok {
				panic("BUG: string tensor " + t.Name + " is cut off")
			}
			b, data = appendBytes(b, tensorStrings, element), rest
		}
		return b
	default:
		return appendBytes(b, tensorRaw, t.Data)
	}
}

// Float32s returns a tensor; without dimensions it is a scalar.
func Float32s(values []float32, dims ...int64) infer.Tensor {
	data := make([]byte, 0, 4*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return infer.Tensor{DType: infer.FP32, Shape: dims, Data: data}
}

// Int64s returns a tensor; without dimensions it is a scalar.
func Int64s(values []int64, dims ...int64) infer.Tensor {
	data := make([]byte, 0, 8*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint64(data, uint64(v))
	}
	return infer.Tensor{DType: infer.Int64, Shape: dims, Data: data}
}

// Strings returns a tensor; without dimensions it is a scalar.
func Strings(values []string, dims ...int64) infer.Tensor {
	var data []byte
	for _, v := range values {
		data = infer.AppendElement(data, v)
	}
	return infer.Tensor{DType: infer.Bytes, Shape: dims, Data: data}
}

// Rand returns the random numbers for the weights of the ready-made models.
func Rand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

// Normal returns an FP32 tensor of normal numbers with mean 0.
func Normal(rng *rand.Rand, deviation float64, dims ...int64) infer.Tensor {
	n, _ := infer.Shape(dims).Elements()
	data := make([]byte, 0, 4*n)
	for range n {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(rng.NormFloat64()*deviation)))
	}
	return infer.Tensor{DType: infer.FP32, Shape: dims, Data: data}
}
