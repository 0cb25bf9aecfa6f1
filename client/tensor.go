package client

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// Element is a type of elements. Each type stands for one datatype of the Open Inference
// Protocol; string and []byte both stand for BYTES. FP16 and BF16 have no type in Go: use
// RawTensor.
type Element interface {
	bool | uint8 | uint16 | uint32 | uint64 | int8 | int16 | int32 | int64 | float32 | float64 | string | []byte
}

// Tensor is an input or output. Infer checks that the size of Data fits the shape and the
// datatype.
type Tensor struct {
	Name     string
	Datatype string  // such as "FP32"
	Shape    []int64 // empty for a single value
	// Data has the elements in row-major order, little-endian. A BOOL is one byte. An element
	// of BYTES is its length in 4 bytes, then the bytes.
	Data []byte
}

// NewTensor returns a tensor with a copy of data, which is in row-major order.
func NewTensor[T Element](name string, shape []int64, data []T) Tensor {
	return Tensor{Name: name, Datatype: datatype[T](), Shape: slices.Clone(shape), Data: encode(data)}
}

// RawTensor returns a tensor of FP16, BF16 or any other datatype with the given bytes. It does
// not copy them.
func RawTensor(name, datatype string, shape []int64, data []byte) Tensor {
	return Tensor{Name: name, Datatype: datatype, Shape: shape, Data: data}
}

// Elements returns the elements of a tensor in row-major order. It fails if the datatype is
// not that of T. Elements of type []byte share the memory of the tensor's data.
func Elements[T Element](t Tensor) ([]T, error) {
	if want := datatype[T](); t.Datatype != want {
		return nil, fmt.Errorf("tensor '%s' has the datatype %s, which cannot be read as %T", t.Name, t.Datatype, *new(T))
	}
	count, err := t.check()
	if err != nil {
		return nil, err
	}
	list := make([]T, count)
	switch list := any(list).(type) {
	case []string:
		for i, data := 0, t.Data; i < len(list); i++ {
			var element []byte
			element, data, _ = cut(data) // checked
			list[i] = string(element)
		}
	case [][]byte:
		for i, data := 0, t.Data; i < len(list); i++ {
			list[i], data, _ = cut(data) // checked
		}
	default:
		if _, err := binary.Decode(t.Data, binary.LittleEndian, list); err != nil {
			panic("BUG: a tensor that was checked: " + err.Error())
		}
	}
	return list, nil
}

// encode returns the bytes of elements.
func encode[T Element](data []T) []byte {
	switch data := any(data).(type) {
	case []string:
		return encodeBytes(data)
	case [][]byte:
		return encodeBytes(data)
	}
	raw := make([]byte, 0, binary.Size(data))
	raw, err := binary.Append(raw, binary.LittleEndian, data)
	if err != nil {
		panic("BUG: elements of a fixed size: " + err.Error())
	}
	return raw
}

func encodeBytes[T string | []byte](data []T) []byte {
	size := 0
	for _, element := range data {
		size += 4 + len(element)
	}
	raw := make([]byte, 0, size)
	for _, element := range data {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(len(element))) //nolint:gosec // a gateway does not accept a body of 4 GiB
		raw = append(raw, element...)
	}
	return raw
}

// cut returns the first element of BYTES and the rest. ok is false if there is no complete
// element.
func cut(data []byte) (element, rest []byte, ok bool) {
	if len(data) < 4 {
		return nil, nil, false
	}
	size, rest := uint64(binary.LittleEndian.Uint32(data)), data[4:]
	if size > uint64(len(rest)) {
		return nil, nil, false
	}
	return rest[:size:size], rest[size:], true
}

// Check returns an error if the datatype is not known, or the size of the data does not fit the
// shape and the datatype. Infer checks its inputs and outputs.
func (t *Tensor) Check() error {
	_, err := t.check()
	return err
}

// check is Check that also returns the number of elements.
func (t *Tensor) check() (int, error) {
	width, known := datatypeSize(t.Datatype)
	if !known {
		return 0, fmt.Errorf("tensor '%s' has the unknown datatype '%.40s'", t.Name, t.Datatype)
	}
	count, err := t.count()
	if err != nil {
		return 0, err
	}
	if width != 0 {
		if high, size := bits.Mul64(count, uint64(width)); high != 0 || size != uint64(len(t.Data)) {
			return 0, fmt.Errorf("tensor '%s' has %d bytes of data, which does not fit %s elements of shape %v", t.Name, len(t.Data), t.Datatype, t.Shape)
		}
		return int(count), nil //nolint:gosec // at most the number of bytes
	}
	elements, data := 0, t.Data
	for len(data) > 0 {
		var ok bool
		if _, data, ok = cut(data); !ok {
			return 0, fmt.Errorf("tensor '%s': element %d is longer than the rest of the data", t.Name, elements)
		}
		elements++
	}
	if uint64(elements) != count { //nolint:gosec // counted from 0
		return 0, fmt.Errorf("tensor '%s' has %d elements, which does not fit the shape %v", t.Name, elements, t.Shape)
	}
	return elements, nil
}

// count returns the number of elements of the shape.
func (t *Tensor) count() (uint64, error) {
	count := uint64(1)
	for _, dim := range t.Shape {
		if dim < 0 {
			return 0, fmt.Errorf("tensor '%s' has a negative dimension in its shape %v", t.Name, t.Shape)
		}
		var high uint64
		if high, count = bits.Mul64(count, uint64(dim)); high != 0 {
			return 0, fmt.Errorf("tensor '%s' has too many elements: shape %v", t.Name, t.Shape)
		}
	}
	return count, nil
}

// datatype returns the datatype of T.
func datatype[T Element]() string {
	switch any(*new(T)).(type) {
	case bool:
		return "BOOL"
	case uint8:
		return "UINT8"
	case uint16:
		return "UINT16"
	case uint32:
		return "UINT32"
	case uint64:
		return "UINT64"
	case int8:
		return "INT8"
	case int16:
		return "INT16"
	case int32:
		return "INT32"
	case int64:
		return "INT64"
	case float32:
		return "FP32"
	case float64:
		return "FP64"
	default: // string, []byte
		return "BYTES"
	}
}

// datatypeSize returns the size of an element in bytes, or 0 if it varies.
func datatypeSize(name string) (size int, known bool) {
	switch name {
	case "BOOL", "UINT8", "INT8":
		return 1, true
	case "UINT16", "INT16", "FP16", "BF16":
		return 2, true
	case "UINT32", "INT32", "FP32":
		return 4, true
	case "UINT64", "INT64", "FP64":
		return 8, true
	case "BYTES":
		return 0, true
	default:
		return 0, false
	}
}
