package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"
)

// TensorFromJSON returns a tensor with the elements in data, a JSON array that is flat or nested. NaN, Infinity and
// -Infinity must be in quotes. Elements of FP16 and BF16 cannot be read.
func TensorFromJSON(name, datatype string, shape []int64, data []byte) (Tensor, error) {
	t := Tensor{Name: name, Datatype: datatype, Shape: shape}
	var err error
	if t.Data, err = dataFromJSON(datatype, data); err != nil {
		return Tensor{}, fmt.Errorf("tensor '%s': %w", name, err)
	}
	return t, t.Check()
}

// AppendJSON appends the elements as a flat JSON array. Floats that are not finite are NaN, Infinity and -Infinity without
// quotes, as gateways write them. Elements of FP16 and BF16, and BYTES that are not UTF-8, cannot be written.
func (t *Tensor) AppendJSON(to []byte) ([]byte, error) {
	switch t.Datatype {
	case "FP32":
		list, err := Elements[float32](*t)
		return appendFloats(to, list, 32), err
	case "FP64":
		list, err := Elements[float64](*t)
		return appendFloats(to, list, 64), err
	}
	elements, err := elementsForJSON(t)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(elements)
	return append(to, text...), err
}

func appendFloats[T float32 | float64](to []byte, list []T, size int) []byte {
	to = append(to, '[')
	for i, element := range list {
		if i > 0 {
			to = append(to, ',')
		}
		switch value := float64(element); {
		case math.IsInf(value, 1):
			to = append(to, "Infinity"...)
		case math.IsInf(value, -1):
			to = append(to, "-Infinity"...)
		default:
			to = strconv.AppendFloat(to, value, 'g', -1, size)
		}
	}
	return append(to, ']')
}

// elementsForJSON returns the elements of a checked tensor, as a slice that encoding/json
// writes as numbers, booleans or strings.
func elementsForJSON(t *Tensor) (any, error) {
	switch t.Datatype {
	case "BOOL":
		return Elements[bool](*t)
	case "UINT8": // encoding/json writes a []byte as base64
		wide := make([]uint16, len(t.Data))
		for i, b := range t.Data {
			wide[i] = uint16(b)
		}
		return wide, nil
	case "UINT16":
		return Elements[uint16](*t)
	case "UINT32":
		return Elements[uint32](*t)
	case "UINT64":
		return Elements[uint64](*t)
	case "INT8":
		return Elements[int8](*t)
	case "INT16":
		return Elements[int16](*t)
	case "INT32":
		return Elements[int32](*t)
	case "INT64":
		return Elements[int64](*t)
	case "FP32":
		return Elements[float32](*t)
	case "FP64":
		return Elements[float64](*t)
	case "BYTES":
		list, err := Elements[string](*t)
		for i, text := range list {
			if !utf8.ValidString(text) {
				return nil, fmt.Errorf("tensor '%s': element %d is not UTF-8, so it can only be sent as binary", t.Name, i)
			}
		}
		return list, err
	default:
		return nil, fmt.Errorf("tensor '%s': %s can only be sent as binary", t.Name, t.Datatype)
	}
}

// dataFromJSON returns the bytes of the elements in data, flat or nested.
func dataFromJSON(datatype string, data []byte) ([]byte, error) {
	switch datatype {
	case "BOOL":
		return readElements(data, func(token json.Token) (bool, error) { return typed[bool](token) })
	case "UINT8":
		return readElements(data, unsigned[uint8](8))
	case "UINT16":
		return readElements(data, unsigned[uint16](16))
	case "UINT32":
		return readElements(data, unsigned[uint32](32))
	case "UINT64":
		return readElements(data, unsigned[uint64](64))
	case "INT8":
		return readElements(data, signed[int8](8))
	case "INT16":
		return readElements(data, signed[int16](16))
	case "INT32":
		return readElements(data, signed[int32](32))
	case "INT64":
		return readElements(data, signed[int64](64))
	case "FP32":
		return readElements(data, float[float32](32))
	case "FP64":
		return readElements(data, float[float64](64))
	case "BYTES":
		return readElements(data, func(token json.Token) (string, error) { return typed[string](token) })
	default:
		return nil, fmt.Errorf("elements of the datatype '%.40s' can only be read from binary data", datatype)
	}
}

// readElements reads a JSON array of elements, flat or nested.
func readElements[T Element](data []byte, parse func(json.Token) (T, error)) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var list []T
	for depth := 0; ; {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF):
			return encode(list), nil
		case err != nil:
			return nil, err
		case token == json.Delim('['):
			depth++
			continue
		case token == json.Delim(']'):
			depth--
			continue
		case depth == 0:
			return nil, errors.New("data is not an array")
		}
		element, err := parse(token)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", len(list), err)
		}
		list = append(list, element)
	}
}

func typed[T any](token json.Token) (T, error) {
	value, ok := token.(T)
	if !ok {
		return value, fmt.Errorf("%v is not of the datatype", token)
	}
	return value, nil
}

func unsigned[T uint8 | uint16 | uint32 | uint64](size int) func(json.Token) (T, error) {
	return func(token json.Token) (T, error) {
		number, err := typed[json.Number](token)
		if err != nil {
			return 0, err
		}
		value, err := strconv.ParseUint(number.String(), 10, size)
		return T(value), err
	}
}

func signed[T int8 | int16 | int32 | int64](size int) func(json.Token) (T, error) {
	return func(token json.Token) (T, error) {
		number, err := typed[json.Number](token)
		if err != nil {
			return 0, err
		}
		value, err := strconv.ParseInt(number.String(), 10, size)
		return T(value), err
	}
}

// float reads numbers, the tokens that bare.Quote has quoted, and null. A gateway can be
// configured to write null for a value that is not finite.
func float[T float32 | float64](size int) func(json.Token) (T, error) {
	return func(token json.Token) (T, error) {
		var text string
		switch token := token.(type) {
		case json.Number:
			text = token.String()
		case nil:
			text = "NaN"
		case string:
			if text = token; text != "NaN" && text != "Infinity" && text != "-Infinity" {
				return 0, fmt.Errorf("%q is not of the datatype", text)
			}
		default:
			return 0, fmt.Errorf("%v is not of the datatype", token)
		}
		value, err := strconv.ParseFloat(text, size)
		return T(value), err
	}
}
