package grpcapi

import (
	"encoding/binary"
	"math"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
	"sluice.io/sluice/internal/wire/oip"
)

// attachContents gives input i the elements that its message has in a field of their type.
func attachContents(call *oip.Call, i int, in *input) error {
	t := &call.Inputs[i]
	c := in.contents
	if n, ok := t.Shape.Elements(); c == nil && (!ok || n > 0) {
		return infer.Errorf(infer.Invalid, "unable to find data for input tensor '%s' for model '%s' in request.", in.name, call.Model)
	}
	if err := onlyField(call, t, c); err != nil {
		return err
	}
	var data []byte
	var err error
	switch t.DType {
	case infer.Int8:
		data, err = narrow(call, t, c.GetIntContents(), math.MinInt8, math.MaxInt8)
	case infer.Int16:
		data, err = narrow(call, t, c.GetIntContents(), math.MinInt16, math.MaxInt16)
	case infer.Uint8:
		data, err = narrow(call, t, c.GetUintContents(), 0, math.MaxUint8)
	case infer.Uint16:
		data, err = narrow(call, t, c.GetUintContents(), 0, math.MaxUint16)
	case infer.Bytes:
		data, err = elements(call, c.GetBytesContents())
	case infer.Bool:
		data, err = encode(call, c.GetBoolContents())
	case infer.Int32:
		data, err = encode(call, c.GetIntContents())
	case infer.Int64:
		data, err = encode(call, c.GetInt64Contents())
	case infer.Uint32:
		data, err = encode(call, c.GetUintContents())
	case infer.Uint64:
		data, err = encode(call, c.GetUint64Contents())
	case infer.FP32:
		data, err = encode(call, c.GetFp32Contents())
	case infer.FP64:
		data, err = encode(call, c.GetFp64Contents())
	default: // FP16 and BF16 have no field
	}
	if err != nil {
		return err
	}
	return call.SetData(i, data)
}

// onlyField refuses elements in a field of another datatype.
func onlyField(call *oip.Call, t *infer.Tensor, c *pb.InferTensorContents) error {
	own := t.DType
	switch own { // narrow types share a field
	case infer.Int8, infer.Int16:
		own = infer.Int32
	case infer.Uint8, infer.Uint16:
		own = infer.Uint32
	default:
	}
	for _, f := range [...]struct {
		of infer.DType
		n  int
	}{
		{infer.Bool, len(c.GetBoolContents())},
		{infer.Int32, len(c.GetIntContents())},
		{infer.Int64, len(c.GetInt64Contents())},
		{infer.Uint32, len(c.GetUintContents())},
		{infer.Uint64, len(c.GetUint64Contents())},
		{infer.FP32, len(c.GetFp32Contents())},
		{infer.FP64, len(c.GetFp64Contents())},
		{infer.Bytes, len(c.GetBytesContents())},
	} {
		if f.n > 0 && f.of != own {
			return infer.Errorf(infer.Invalid, "unexpected explicit tensor data for input tensor '%s' for model '%s' of type '%v', expected datatype '%v'", t.Name, call.Model, f.of, t.DType)
		}
	}
	return nil
}

// encode returns elements in the binary form.
func encode[T bool | int32 | int64 | uint32 | uint64 | float32 | float64](call *oip.Call, values []T) ([]byte, error) {
	data, err := call.Room(binary.Size(values))
	if err != nil {
		return nil, err
	}
	_, err = binary.Encode(data, binary.LittleEndian, values)
	return data, err
}

// narrow is encode for elements of a type that is smaller than that of their field.
func narrow[T int32 | uint32](call *oip.Call, t *infer.Tensor, values []T, least, most T) ([]byte, error) {
	size := t.DType.Size()
	data, err := call.Room(size * len(values))
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		switch {
		case v < least || v > most:
			return nil, infer.Errorf(infer.Invalid, "input '%s': element %d, %d, does not fit %v", t.Name, i, v, t.DType)
		case size == 1:
			data[i] = byte(v)
		default:
			binary.LittleEndian.PutUint16(data[2*i:], uint16(v)) //nolint:gosec // the bits are what is meant
		}
	}
	return data, nil
}

// elements is encode for strings.
func elements(call *oip.Call, values [][]byte) ([]byte, error) {
	const prefix = 4
	size := 0
	for _, v := range values {
		size += prefix + len(v)
	}
	room, err := call.Room(size)
	if err != nil {
		return nil, err
	}
	data := room[:0]
	for _, v := range values {
		data = append(binary.LittleEndian.AppendUint32(data, uint32(len(v))), v...) //nolint:gosec // a message is smaller
	}
	return data, nil
}
