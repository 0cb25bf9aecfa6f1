package batch_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

func split(o *batch.Options, instances []*fake) {
	slow(10*ms)(o, instances)
	o.MaxSize, o.Split = 4, true
}

// numbered asks for rows whose values are their numbers.
func numbered(rows, cols int) *infer.Request {
	r := request(0, rows, cols)
	v := make([]float32, rows*cols)
	for i := range v {
		v[i] = float32(i)
	}
	r.Inputs[0].Data = floats(v...)
	return r
}

func TestOversizeIsSplitAndJoined(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 2, split)
		c := s.send(numbered(17, 2))
		c.wantDoubled(t)
		want := infer.Timing{Queue: 20 * ms, Compute: 50 * ms, Rows: 17} // two at a time
		if diff := cmp.Diff(want, c.req.Timing); diff != "" {
			t.Errorf("Timing (-want +got):\n%s", diff)
		}
		s.send(numbered(4, 2)).wantDoubled(t)
	})
}

func TestSplitRequestIsAdmittedAsOne(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			split(o, instances)
			o.MaxRequests, o.MaxBytes = 3, 1000
		})
		calls := []*call{s.send(request(0, 1, 1)), s.send(numbered(12, 1)), s.send(numbered(12, 1))}
		if requests, rows, bytes, _ := s.Waiting(); requests != 2 || rows != 24 || bytes != 96 {
			t.Errorf("%d requests, %d rows, %d bytes wait; want 2, 24, 96", requests, rows, bytes)
		}
		s.send(numbered(227, 1)).wantCode(t, infer.Invalid)    // more pieces than may wait
		s.send(numbered(12, 20)).wantCode(t, infer.Overloaded) // 960 bytes beside 96
		s.send(numbered(12, 21)).wantCode(t, infer.TooLarge)   // 1008
		calls = append(calls, s.send(numbered(5, 1)))
		s.send(numbered(5, 1)).wantCode(t, infer.Overloaded)
		for _, c := range calls {
			c.wantDoubled(t)
		}
	})
}

func TestSplitRequestFailsOnce(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			split(o, instances)
			instances[0].compute = poison(5, false)
		})
		s.send(numbered(20, 1)).wantFailed(t, true)
		if ran := len(s.instances[0].history()); ran > 4 {
			t.Errorf("%d runs, want none after the piece that failed, the check of the version and the piece on its way", ran)
		}
		c := s.send(within(15*ms, numbered(20, 2)))
		c.wantCode(t, infer.Deadline)
		canceled := s.send(numbered(20, 3))
		canceled.cancel()
		canceled.wantCode(t, infer.Canceled)
	})
}

func TestSplitOfStringsAndFixedTypes(t *testing.T) {
	var data []byte
	for i := range 6 {
		data = infer.AppendElement(data, fmt.Sprint("element", i*i*i))
	}
	tensor := infer.Tensor{Name: "s", DType: infer.Bytes, Shape: infer.Shape{3, 2}, Data: data}
	head, rest, ok := batch.Cut(&tensor, 2)
	if !ok || !head.Shape.Equal(infer.Shape{2, 2}) || !rest.Shape.Equal(infer.Shape{1, 2}) {
		t.Fatalf("shapes %v and %v, ok %v", head.Shape, rest.Shape, ok)
	}
	if !slices.Equal(append(slices.Clone(head.Data), rest.Data...), data) {
		t.Error("the parts are not the whole")
	}
	if element, _, _ := infer.NextElement(rest.Data); string(element) != "element64" {
		t.Errorf("the rest begins with %q", element)
	}
	tensor.Data = data[:5]
	if _, _, ok := batch.Cut(&tensor, 2); ok {
		t.Error("strings that are cut off")
	}
	tensor = infer.Tensor{DType: infer.FP32, Shape: infer.Shape{2, 1}, Data: make([]byte, 7)}
	if _, _, ok := batch.Cut(&tensor, 1); !ok {
		t.Error("the first row is there")
	}
	if _, _, ok := batch.Cut(&tensor, 2); ok {
		t.Error("floats that are cut off")
	}
}

func TestSplitOutputsMustFitTogether(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			split(o, instances)
			instances[0].compute = func(x matrix) (matrix, error) { // as wide as there are rows
				return matrix{x.rows, x.rows, make([]float32, x.rows*x.rows)}, nil
			}
		})
		s.send(numbered(6, 1)).wantCode(t, infer.Invalid)
	})
}
