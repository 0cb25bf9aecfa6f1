// Package golden reads golden rows: requests with the answers that a version must give to them.
// It compares answers with them.
package golden

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"sluice.io/sluice/internal/infer"
)

// The limits of golden rows. MaxBytes is the size of the file.
const (
	MaxBytes    = 16 << 20
	maxExamples = 1000
)

// The tolerances of a file that gives none.
const (
	defaultAbsolute = 1e-5
	defaultRelative = 1e-3
)

// Set is the golden rows of a version.
type Set struct {
	Absolute, Relative float64 // an element may differ by Absolute + Relative · its size
	Examples           []Example
}

// Example is a request and the answer to it.
type Example struct{ Inputs, Outputs []infer.Tensor }

// file is the form of a file: tensors are those of V2 JSON.
type file struct {
	Tolerance struct {
		Absolute *float64 `json:"absolute"`
		Relative *float64 `json:"relative"`
	} `json:"tolerance"`
	Examples []struct {
		Inputs  []tensor `json:"inputs"`
		Outputs []tensor `json:"outputs"`
	} `json:"examples"`
}

type tensor struct {
	Name     string          `json:"name"`
	Datatype string          `json:"datatype"`
	Shape    []int64         `json:"shape"`
	Data     json.RawMessage `json:"data"`
}

// Decode reads a file. The error is Invalid.
func Decode(text []byte) (*Set, error) {
	if len(text) > MaxBytes {
		return nil, invalid("the file has more than %d bytes", MaxBytes)
	}
	var f file
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&f); err != nil {
		return nil, invalid("expected JSON with examples: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("there is more after the JSON document")
	}
	if len(f.Examples) == 0 || len(f.Examples) > maxExamples {
		return nil, invalid("expected 1 to %d examples, got %d", maxExamples, len(f.Examples))
	}
	s := &Set{Absolute: defaultAbsolute, Relative: defaultRelative}
	for given, to := range map[*float64]*float64{f.Tolerance.Absolute: &s.Absolute, f.Tolerance.Relative: &s.Relative} {
		if given == nil {
			continue
		}
		if *given < 0 || math.IsInf(*given, 0) || math.IsNaN(*given) {
			return nil, invalid("tolerance: expected a number of 0 or more, got %v", *given)
		}
		*to = *given
	}
	for i, e := range f.Examples {
		var x Example
		var err error
		if x.Inputs, err = tensors(e.Inputs); err == nil {
			x.Outputs, err = tensors(e.Outputs)
		}
		if err != nil {
			return nil, invalid("examples[%d]: %v", i, err)
		}
		if len(x.Inputs) == 0 || len(x.Outputs) == 0 {
			return nil, invalid("examples[%d]: expected inputs and outputs", i)
		}
		s.Examples = append(s.Examples, x)
	}
	return s, nil
}

func invalid(format string, args ...any) error {
	return infer.Errorf(infer.Invalid, "the golden rows are not valid: %s", fmt.Sprintf(format, args...))
}

func tensors(list []tensor) ([]infer.Tensor, error) {
	made := make([]infer.Tensor, len(list))
	for i, t := range list {
		d, ok := infer.ParseDType(t.Datatype)
		if !ok {
			return nil, fmt.Errorf("tensor %.100q has the datatype %.40q", t.Name, t.Datatype)
		}
		made[i] = infer.Tensor{Name: t.Name, DType: d, Shape: t.Shape}
		size, ok := infer.Shape(t.Shape).ByteSize(d)
		if !ok || size > MaxBytes {
			return nil, fmt.Errorf("tensor %.100q has the shape %v, which is negative or too large", t.Name, t.Shape)
		}
		dec := json.NewDecoder(bytes.NewReader(t.Data))
		dec.UseNumber()
		var data any
		if err := dec.Decode(&data); err != nil {
			return nil, fmt.Errorf("tensor %.100q has no data", t.Name)
		}
		var n int64
		if err := fill(&made[i], data, &n); err != nil {
			return nil, fmt.Errorf("tensor %.100q: %w", t.Name, err)
		}
		if width := max(1, int64(d.Size())); d != infer.Bytes && n*width != size {
			return nil, fmt.Errorf("tensor %.100q of shape %v has %d elements", t.Name, t.Shape, n)
		}
	}
	return made, nil
}

// fill appends the elements of nested lists.
func fill(t *infer.Tensor, data any, n *int64) error {
	if list, ok := data.([]any); ok {
		for _, x := range list {
			if err := fill(t, x, n); err != nil {
				return err
			}
		}
		return nil
	}
	*n++
	return appendElement(t, data)
}

func appendElement(t *infer.Tensor, x any) error {
	if t.DType == infer.Bytes {
		text, ok := x.(string)
		if !ok {
			return fmt.Errorf("expected text, got %.40v", x)
		}
		t.Data = infer.AppendElement(t.Data, text)
		return nil
	}
	if b, ok := x.(bool); ok {
		x = json.Number("0")
		if b {
			x = json.Number("1")
		}
	}
	number, ok := x.(json.Number)
	if !ok {
		return fmt.Errorf("expected a number, got %.40v", x)
	}
	le := binary.LittleEndian
	float := t.DType == infer.FP16 || t.DType == infer.BF16 || t.DType == infer.FP32 || t.DType == infer.FP64
	if !float {
		return appendInteger(t, number)
	}
	f, err := number.Float64()
	if err != nil {
		return fmt.Errorf("%.40s is not a valid number", number)
	}
	switch t.DType {
	case infer.FP16:
		t.Data = le.AppendUint16(t.Data, infer.Float32ToFP16(float32(f)))
	case infer.BF16:
		t.Data = le.AppendUint16(t.Data, infer.Float32ToBF16(float32(f)))
	case infer.FP32:
		t.Data = le.AppendUint32(t.Data, math.Float32bits(float32(f)))
	default:
		t.Data = le.AppendUint64(t.Data, math.Float64bits(f))
	}
	return nil
}

func appendInteger(t *infer.Tensor, number json.Number) error {
	var bits uint64
	if i, err := number.Int64(); err == nil {
		bits = uint64(i) //nolint:gosec // its bits
	} else if bits, err = strconv.ParseUint(number.String(), 10, 64); err != nil {
		return fmt.Errorf("%.40s is not a valid integer", number)
	}
	for range t.DType.Size() {
		t.Data = append(t.Data, byte(bits))
		bits >>= 8
	}
	return nil
}

// Compare returns the largest difference of an answer from an example, and an Invalid error if an
// output is missing, has another form, or an element differs by more than the tolerance.
func (s *Set) Compare(number int, got []infer.Tensor) (worst float64, err error) {
	for _, want := range s.Examples[number].Outputs {
		var found *infer.Tensor
		for i := range got {
			if got[i].Name == want.Name {
				found = &got[i]
			}
		}
		if found == nil {
			return worst, infer.Errorf(infer.Invalid, "golden rows: example %d: there is no output '%s'", number, want.Name)
		}
		if found.DType != want.DType || fmt.Sprint(found.Shape) != fmt.Sprint(want.Shape) {
			return worst, infer.Errorf(infer.Invalid, "golden rows: example %d: output '%s' is %v%v, expected %v%v", number, want.Name, found.DType, found.Shape, want.DType, want.Shape)
		}
		diff, err := s.compare(number, found, &want)
		if worst = max(worst, diff); err != nil {
			return worst, err
		}
	}
	return worst, nil
}

func (s *Set) compare(number int, got, want *infer.Tensor) (worst float64, err error) {
	read := infer.NumberReader(want.DType)
	if read == nil {
		if !bytes.Equal(got.Data, want.Data) {
			return 0, infer.Errorf(infer.Invalid, "golden rows: example %d: output '%s' differs: got %.60s, expected %.60s (base64)", number, want.Name,
				base64.StdEncoding.EncodeToString(got.Data), base64.StdEncoding.EncodeToString(want.Data))
		}
		return 0, nil
	}
	width := want.DType.Size()
	for i := 0; i+width <= len(want.Data) && i+width <= len(got.Data); i += width {
		x, y := read(got.Data[i:]), read(want.Data[i:])
		diff := math.Abs(x - y)
		if x == y || math.IsNaN(x) && math.IsNaN(y) {
			diff = 0
		}
		if math.IsNaN(diff) || diff > s.Absolute+s.Relative*math.Abs(y) {
			return worst, infer.Errorf(infer.Invalid, "golden rows: example %d: element %d of output '%s' is %v, expected %v within %v + %v of its size",
				number, i/width, want.Name, x, y, s.Absolute, s.Relative)
		}
		worst = max(worst, diff)
	}
	return worst, nil
}
