package batch_test

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// tensors is an instance over a function of joined inputs, for models of any signature.
type tensors struct {
	compute func(inputs []infer.Tensor) (outputs []infer.Tensor, err error)
	takes   time.Duration
	during  func() // called in Run; may be nil

	in, out []infer.Tensor
	rows    []int64 // of the members
	stop    chan struct{}

	mu      sync.Mutex
	runs    [][]infer.Shape // of each run, the shapes of the joined inputs
	members []int           // of each run
	cut     int
	closed  int
}

func newTensors(compute func([]infer.Tensor) ([]infer.Tensor, error)) *tensors {
	return &tensors{compute: compute, stop: make(chan struct{}, 1)}
}

func (s *tensors) Gather(reqs []*infer.Request) error {
	select {
	case <-s.stop:
	default:
	}
	s.in, s.rows = nil, nil
	shapes := make([]infer.Shape, len(reqs[0].Inputs))
	for k, first := range reqs[0].Inputs {
		joined := first
		joined.Data, joined.Shape = nil, append(infer.Shape{0}, first.Shape[1:]...)
		for _, r := range reqs {
			joined.Data = append(joined.Data, r.Inputs[k].Data...)
			joined.Shape[0] += r.Inputs[k].Shape[0]
		}
		s.in, shapes[k] = append(s.in, joined), joined.Shape
	}
	for _, r := range reqs {
		s.rows = append(s.rows, r.Rows())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs, s.members = append(s.runs, shapes), append(s.members, len(reqs))
	return nil
}

func (s *tensors) Run() error {
	if s.during != nil {
		s.during()
	}
	select {
	case <-time.After(s.takes):
	case <-s.stop:
		s.mu.Lock()
		s.cut++
		s.mu.Unlock()
		return infer.Errorf(infer.Canceled, "terminated")
	}
	var err error
	s.out, err = s.compute(s.in)
	return err
}

func (s *tensors) Scatter(i int, resp *infer.Response) error {
	first := int64(0)
	for _, n := range s.rows[:i] {
		first += n
	}
	for k := range s.out {
		part := s.out[k]
		if len(s.rows) > 1 {
			_, rest, ok := batch.Cut(&part, first)
			if !ok {
				return errors.New("the output has too few rows")
			}
			if part, _, ok = batch.Cut(&rest, s.rows[i]); !ok {
				return errors.New("the output has too few rows")
			}
		}
		copy(resp.Add(part.Name, k, part.DType, part.Shape, len(part.Data)), part.Data)
	}
	return nil
}

func (s *tensors) Terminate() {
	select {
	case s.stop <- struct{}{}:
	default:
	}
}

func (s *tensors) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	return nil
}

// terminated returns how many runs were terminated.
func (s *tensors) terminated() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cut
}

// bytesOfRun returns the most bytes that the inputs of a run had, as FP32.
func (s *tensors) bytesOfRun() (most int64) {
	for _, shapes := range s.runs {
		sum := int64(0)
		for _, shape := range shapes {
			n, _ := shape.ByteSize(infer.FP32)
			sum += n
		}
		most = max(most, sum)
	}
	return most
}

// rowSums answers the sum of each row of the first input as FP32 "y" [N, 1].
func rowSums(in []infer.Tensor) ([]infer.Tensor, error) {
	n := in[0].Shape[0]
	v := values(in[0].Data)
	sums := make([]float32, n)
	for i := range v {
		sums[int64(i)*n/int64(len(v))] += v[i]
	}
	return []infer.Tensor{{Name: "y", DType: infer.FP32, Shape: infer.Shape{n, 1}, Data: floats(sums...)}}, nil
}

// rowsModel has inputs of FP32 with these shapes; the dimensions have no names. Its
// output "y" is FP32 [-1, 1].
func rowsModel(shapes ...infer.Shape) *infer.Model {
	inputs := make([]infer.TensorSpec, len(shapes))
	for i, s := range shapes {
		inputs[i] = infer.TensorSpec{Name: string(rune('a' + i)), DType: infer.FP32, Shape: s, Symbols: make([]string, len(s))}
	}
	y := infer.TensorSpec{Name: "y", DType: infer.FP32, Shape: infer.Shape{-1, 1}, Symbols: []string{"other", ""}}
	return infer.NewModel("rows", 1, inputs, []infer.TensorSpec{y})
}

func probe(ctx context.Context, s batch.Instance, m *infer.Model) batch.Finding {
	return probeWithin(ctx, s, m, 10*time.Second, 64<<20)
}

func probeWithin(ctx context.Context, s batch.Instance, m *infer.Model, timeout time.Duration, maxBytes int64) batch.Finding {
	return batch.Probe(ctx, s, m, batch.ProbeOptions{Tolerance: 1e-4, Timeout: timeout, MaxBytes: maxBytes})
}

// integers returns the elements of an INT64 tensor.
func integers(t infer.Tensor) []int64 {
	v := make([]int64, len(t.Data)/8)
	for i := range v {
		v[i] = int64(binary.LittleEndian.Uint64(t.Data[8*i:]))
	}
	return v
}
