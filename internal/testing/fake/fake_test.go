package fake_test

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/fake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func model() *infer.Model {
	spec := func(name string, d infer.DType, shape ...int64) infer.TensorSpec {
		return infer.TensorSpec{Name: name, DType: d, Shape: shape, Symbols: make([]string, len(shape))}
	}
	return infer.NewModel("m", 1, []infer.TensorSpec{spec("x", infer.FP32, -1, 2)},
		[]infer.TensorSpec{spec("sum", infer.FP32, -1), spec("text", infer.Bytes, -1, 1)})
}

func request(t *testing.T, m *infer.Model, values ...float32) *infer.Request {
	t.Helper()
	in := infer.Tensor{Name: "x", DType: infer.FP32, Shape: infer.Shape{int64(len(values) / 2), 2}}
	for _, v := range values {
		in.Data = binary.LittleEndian.AppendUint32(in.Data, math.Float32bits(v))
	}
	r := &infer.Request{Inputs: []infer.Tensor{in}}
	if err := m.Check(r); err != nil {
		t.Fatal(err)
	}
	return r
}

func instanceOf(t *testing.T, s *fake.Session) *fake.Instance {
	t.Helper()
	instance, err := s.NewInstance()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(instance.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return instance
}

func TestJoinedRunGivesEachMemberItsRows(t *testing.T) {
	m := model()
	s := fake.New(m, fake.Options{})
	instance := instanceOf(t, s)
	one, two := request(t, m, 1, 2), request(t, m, 3, 4, 5, 6)
	two.Outputs = []infer.OutputRef{{Name: "text", Index: 1}}
	if err := errors.Join(instance.Gather([]*infer.Request{one, two}), instance.Run()); err != nil {
		t.Fatal(err)
	}
	f := func(member int, want ...infer.Tensor) {
		t.Helper()
		resp := infer.NewResponse()
		defer resp.Release()
		if err := instance.Scatter(member, resp); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, resp.Outputs); diff != "" {
			t.Error(diff)
		}
	}
	f(0,
		infer.Tensor{Name: "sum", DType: infer.FP32, Shape: infer.Shape{1}, Data: []byte{0, 0, 0x40, 0x40}},
		infer.Tensor{Name: "text", DType: infer.Bytes, Shape: infer.Shape{1, 1}, Data: []byte("\x01\x00\x00\x003"), Index: 1})
	f(1, infer.Tensor{Name: "text", DType: infer.Bytes, Shape: infer.Shape{2, 1}, Data: []byte("\x01\x00\x00\x007\x02\x00\x00\x0011"), Index: 1})
	if diff := cmp.Diff([]fake.Run{{Rows: []int64{1, 2}}}, s.Runs()); diff != "" {
		t.Error(diff)
	}
}

func TestLatencyFailureAndTerminate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		m := model()
		s := fake.New(m, fake.Options{
			Latency: func(rows int64) time.Duration { return time.Duration(rows) * time.Second },
			Fail: func(run int) error {
				if run == 1 {
					return broken
				}
				return nil
			},
		})
		instance := instanceOf(t, s)
		f := func(want time.Duration, then func()) error {
			t.Helper()
			if err := instance.Gather([]*infer.Request{request(t, m, 1, 2, 3, 4)}); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if then != nil {
				time.AfterFunc(want, then)
			}
			err := instance.Run()
			if took := time.Since(start); took != want {
				t.Errorf("took %v, want %v", took, want)
			}
			return err
		}
		if err := f(2*time.Second, nil); err != nil {
			t.Error(err)
		}
		if err := f(2*time.Second, nil); !errors.Is(err, broken) {
			t.Errorf("got %v, want %v", err, broken)
		}
		if err := f(time.Second, instance.Terminate); infer.CodeOf(err) != infer.Canceled {
			t.Errorf("got %v, want canceled", err)
		}
		if err := f(2*time.Second, nil); err != nil {
			t.Errorf("after a terminated run: %v", err)
		}
	})
}

func TestEveryDataTypeHasRowSums(t *testing.T) {
	for d := infer.Bool; d <= infer.Bytes; d++ {
		spec := []infer.TensorSpec{{Name: "v", DType: d, Shape: infer.Shape{-1, 1}, Symbols: []string{"", ""}}}
		m := infer.NewModel("m", 1, spec, spec)
		one := infer.Tensor{Name: "v", DType: d, Shape: infer.Shape{1, 1}, Data: ones[d]}
		got, err := fake.RowSums(m, []infer.Tensor{one})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]infer.Tensor{one}, got); diff != "" {
			t.Errorf("%v: %s", d, diff)
		}
	}
}

// ones is the number 1 in every data type.
var ones = map[infer.DType][]byte{
	infer.Bool: {1}, infer.Uint8: {1}, infer.Int8: {1}, infer.Uint16: {1, 0}, infer.Int16: {1, 0},
	infer.Uint32: {1, 0, 0, 0}, infer.Int32: {1, 0, 0, 0}, infer.Uint64: {1, 0, 0, 0, 0, 0, 0, 0}, infer.Int64: {1, 0, 0, 0, 0, 0, 0, 0},
	infer.FP16: {0, 0x3c}, infer.BF16: {0x80, 0x3f}, infer.FP32: {0, 0, 0x80, 0x3f}, infer.FP64: {0, 0, 0, 0, 0, 0, 0xf0, 0x3f},
	infer.Bytes: {1, 0, 0, 0, '1'},
}
