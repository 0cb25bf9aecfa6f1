package infer

// DType is the element type of a tensor. The names are those of the Open Inference Protocol,
// plus Triton's BF16.
type DType uint8

// The data types. The zero value is none of them.
const (
	InvalidDType DType = iota
	Bool
	Uint8
	Uint16
	Uint32
	Uint64
	Int8
	Int16
	Int32
	Int64
	FP16
	BF16
	FP32
	FP64
	Bytes // variable length; an ONNX string
	numDTypes
)

var dtypes = [numDTypes]struct {
	name string
	size int
}{
	Bool: {"BOOL", 1}, Uint8: {"UINT8", 1}, Uint16: {"UINT16", 2}, Uint32: {"UINT32", 4}, Uint64: {"UINT64", 8},
	Int8: {"INT8", 1}, Int16: {"INT16", 2}, Int32: {"INT32", 4}, Int64: {"INT64", 8},
	FP16: {"FP16", 2}, BF16: {"BF16", 2}, FP32: {"FP32", 4}, FP64: {"FP64", 8}, Bytes: {"BYTES", 0},
}

// String returns the protocol's name, "FP32" for example, or "INVALID".
func (d DType) String() string {
	if d == InvalidDType || d >= numDTypes {
		return "INVALID"
	}
	return dtypes[d].name
}

// Size returns the bytes of one element, 0 for Bytes, whose elements vary.
func (d DType) Size() int {
	if d >= numDTypes {
		return 0
	}
	return dtypes[d].size
}

// ParseDType returns the data type of a protocol name. Names are upper case; ok is false for
// any other name.
func ParseDType(name string) (d DType, ok bool) {
	for d := Bool; d < numDTypes; d++ {
		if dtypes[d].name == name {
			return d, true
		}
	}
	return InvalidDType, false
}
