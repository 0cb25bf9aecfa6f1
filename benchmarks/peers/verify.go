package peers

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"

	"sluice.io/sluice/benchmarks/loadgen"
)

// lengthHeader says that a body is JSON of this length and then binary tensors.
const lengthHeader = "Inference-Header-Content-Length"

// Output is one FP32 output of a model.
type Output struct {
	Name  string
	Shape []int64
	Data  []float32
}

// Tolerance returns how far from raw ONNX Runtime an element may be. Where a peer
// uses another version of it, or joins requests, sums are rounded in another order,
// and deep models and long sums show it.
func Tolerance(model string) float64 {
	switch model {
	case "enc", "encdyn", "tree":
		return 1e-4
	default:
		return 1e-5
	}
}

// Verify sends the request once and compares the answer with what ONNX Runtime
// itself made of it. It returns the largest difference of two elements.
func Verify(ctx context.Context, t loadgen.Target, want []Output, tolerance float64) (diff float64, err error) {
	got, err := ask(ctx, t)
	if err != nil {
		return 0, err
	}
	if len(got) != len(want) {
		return 0, fmt.Errorf("%d outputs, want %d", len(got), len(want))
	}
	for i := range want {
		j := slices.IndexFunc(got, func(o Output) bool { return o.Name == want[i].Name })
		if j < 0 {
			return 0, fmt.Errorf("no output %q", want[i].Name)
		}
		d, err := compare(got[j], want[i])
		if err != nil {
			return 0, fmt.Errorf("output %q: %w", want[i].Name, err)
		}
		diff = max(diff, d)
	}
	if !(diff <= tolerance) { // not a number is no good either
		return diff, fmt.Errorf("differs from ONNX Runtime by %.2g, more than %.2g", diff, tolerance)
	}
	return diff, nil
}

func compare(got, want Output) (diff float64, err error) {
	if !slices.Equal(got.Shape, want.Shape) {
		return 0, fmt.Errorf("shape %v, want %v", got.Shape, want.Shape)
	}
	if len(got.Data) != len(want.Data) {
		return 0, fmt.Errorf("%d elements, want %d", len(got.Data), len(want.Data))
	}
	for i := range want.Data {
		diff = max(diff, math.Abs(float64(got.Data[i])-float64(want.Data[i])))
	}
	return diff, nil
}

func ask(ctx context.Context, t loadgen.Target) ([]Output, error) {
	resp, err := t.Ask(ctx)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", resp.Status, body[:min(len(body), 500)])
	}
	head, tail := body, []byte(nil)
	if s := resp.Header.Get(lengthHeader); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > len(body) {
			return nil, fmt.Errorf("%s: %q, of a body of %d bytes", lengthHeader, s, len(body))
		}
		head, tail = body[:n], body[n:]
	}
	return decode(head, tail)
}

// decode reads an answer: a JSON document, and the data of binary outputs after it.
func decode(head, tail []byte) ([]Output, error) {
	var doc struct {
		Outputs []struct {
			Name       string
			Shape      []int64
			Datatype   string
			Data       any
			Parameters struct {
				Size *int `json:"binary_data_size"`
			}
		}
	}
	if err := json.Unmarshal(head, &doc); err != nil {
		return nil, fmt.Errorf("the answer is not what V2 says: %w", err)
	}
	list := make([]Output, 0, len(doc.Outputs))
	for _, o := range doc.Outputs {
		out := Output{Name: o.Name, Shape: o.Shape}
		switch size := o.Parameters.Size; {
		case o.Datatype != "FP32":
			return nil, fmt.Errorf("output %q is %q, want FP32", o.Name, o.Datatype)
		case size == nil:
			var err error
			if out.Data, err = flatten(nil, o.Data); err != nil {
				return nil, fmt.Errorf("output %q: %w", o.Name, err)
			}
		case *size < 0 || *size > len(tail) || *size%4 != 0:
			return nil, fmt.Errorf("output %q has %d bytes of data, and %d are left", o.Name, *size, len(tail))
		default:
			out.Data = floats(tail[:*size])
			tail = tail[*size:]
		}
		list = append(list, out)
	}
	if len(tail) > 0 {
		return nil, fmt.Errorf("%d bytes after the last output", len(tail))
	}
	return list, nil
}

// flatten appends the numbers of a JSON array, whose rows may be arrays.
func flatten(dst []float32, v any) ([]float32, error) {
	switch v := v.(type) {
	case float64:
		return append(dst, float32(v)), nil
	case []any:
		var err error
		for _, e := range v {
			if dst, err = flatten(dst, e); err != nil {
				return nil, err
			}
		}
		return dst, nil
	default:
		return nil, errors.New("data is not an array of numbers")
	}
}

func floats(b []byte) []float32 {
	list := make([]float32, len(b)/4)
	for i := range list {
		list[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return list
}
