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

// Tolerance returns how far from raw ONNX Runtime an element may be. If a peer uses another
// version of it, or joins requests, sums are rounded in another order, and deep models and
// long sums show it.
func Tolerance(model string) float64 {
	switch model {
	case "enc", "encdyn", "tree":
		return 1e-4
	default:
		return 1e-5
	}
}

// Verify sends the request once and compares the answer with what ONNX Runtime itself made
// of it. It returns the largest difference of two elements.
func Verify(ctx context.Context, t loadgen.Target, want []Output, tolerance float64) (diff float64, err error) {
	got, err := ask(ctx, t)
	if err != nil {
		return 0, err
	}
	if len(got) != len(want) {
		return 0, fmt.Errorf("%d outputs, want %d", len(got), len(want))
	}
	for _, w := range want {
		j := slices.IndexFunc(got, func(o Output) bool { return o.Name == w.Name })
		switch {
		case j < 0:
			return 0, fmt.Errorf("no output %q", w.Name)
		case !slices.Equal(got[j].Shape, w.Shape):
			return 0, fmt.Errorf("output %q: shape %v, want %v", w.Name, got[j].Shape, w.Shape)
		case len(got[j].Data) != len(w.Data):
			return 0, fmt.Errorf("output %q: %d elements, want %d", w.Name, len(got[j].Data), len(w.Data))
		}
		for i := range w.Data {
			diff = max(diff, math.Abs(float64(got[j].Data[i])-float64(w.Data[i])))
		}
	}
	if !(diff <= tolerance) { // not a number is no good either
		return diff, fmt.Errorf("differs from ONNX Runtime by %.2g, more than %.2g", diff, tolerance)
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
func decode(head, tail []byte) (list []Output, err error) {
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
	for _, o := range doc.Outputs {
		out, size := Output{Name: o.Name, Shape: o.Shape}, o.Parameters.Size
		switch {
		case o.Datatype != "FP32":
			return nil, fmt.Errorf("output %q is %q, want FP32", o.Name, o.Datatype)
		case size == nil:
			if out.Data, err = flatten(nil, o.Data); err != nil {
				return nil, fmt.Errorf("output %q: %w", o.Name, err)
			}
		case *size < 0 || *size > len(tail) || *size%4 != 0:
			return nil, fmt.Errorf("output %q has %d bytes of data, and %d are left", o.Name, *size, len(tail))
		default:
			out.Data = make([]float32, *size/4)
			_, _ = binary.Decode(tail, binary.LittleEndian, out.Data) // they are long enough
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
func flatten(dst []float32, v any) (_ []float32, err error) {
	switch v := v.(type) {
	case float64:
		return append(dst, float32(v)), nil
	case []any:
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
