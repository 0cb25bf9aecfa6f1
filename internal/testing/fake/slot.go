package fake

import (
	"errors"
	"slices"
	"sync"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Slot is one worker's place: Gather, Run, Scatter, from one goroutine.
type Slot struct {
	session *Session
	inputs  []infer.Tensor // joined copies
	rows    []int64        // of each member
	asked   [][]int        // the outputs each member asked for
	outputs []infer.Tensor // nil until a run succeeded
	ready   bool
	closed  bool

	mu   sync.Mutex
	stop chan struct{} // closed by Terminate; one per run
}

// Gather copies the inputs of all requests, joined along the first dimension.
func (s *Slot) Gather(reqs []*infer.Request) error {
	if s.closed || len(reqs) == 0 {
		return infer.Errorf(infer.Internal, "gather in a closed slot or of nothing")
	}
	s.inputs, s.rows, s.asked, s.outputs, s.ready = nil, nil, nil, nil, false
	for i := range reqs[0].Inputs {
		joined, err := join(reqs, i)
		if err != nil {
			return err
		}
		s.inputs = append(s.inputs, joined)
	}
	for _, r := range reqs {
		s.rows = append(s.rows, r.Rows())
		var asked []int
		for i := range r.Outputs {
			asked = append(asked, r.Outputs[i].Index)
		}
		s.asked = append(s.asked, asked)
	}
	s.mu.Lock()
	s.stop = make(chan struct{})
	s.mu.Unlock()
	s.ready = true
	return nil
}

// join copies input i of all requests into one tensor.
func join(reqs []*infer.Request, i int) (infer.Tensor, error) {
	t := reqs[0].Inputs[i]
	t.Shape, t.Data = slices.Clone(t.Shape), nil
	for j, r := range reqs {
		if len(r.Inputs) != len(reqs[0].Inputs) || r.Inputs[i].Index != t.Index {
			return t, infer.Errorf(infer.Internal, "requests with different inputs in one run")
		}
		in := &r.Inputs[i]
		if j > 0 {
			if len(t.Shape) == 0 || len(in.Shape) == 0 || !t.Shape[1:].Equal(in.Shape[1:]) {
				return t, infer.Errorf(infer.Internal, "shapes %v and %v in one run", t.Shape, in.Shape)
			}
			t.Shape[0] += in.Shape[0]
		}
		t.Data = append(t.Data, in.Data...)
	}
	return t, nil
}

// Run takes its latency and computes the outputs.
func (s *Slot) Run() error {
	if !s.ready {
		return infer.Errorf(infer.Internal, "run without gather")
	}
	s.ready = false
	n := s.session.begin(s.rows)
	o := &s.session.options
	if o.Latency != nil {
		if err := s.sleep(o.Latency(total(s.rows))); err != nil {
			return err
		}
	}
	if o.Fail != nil {
		if err := o.Fail(n); err != nil {
			return err
		}
	}
	outputs, err := o.Compute(s.session.model, s.inputs)
	if err == nil {
		err = s.checkRows(outputs)
	}
	if err == nil {
		s.outputs = outputs
	}
	return err
}

// checkRows makes sure that several members can part the outputs.
func (s *Slot) checkRows(outputs []infer.Tensor) error {
	for i := range outputs {
		if t := &outputs[i]; len(s.rows) > 1 && (len(t.Shape) == 0 || t.Shape[0] != total(s.rows)) {
			return infer.Errorf(infer.Internal, "output '%s' of shape %v for %d rows", t.Name, t.Shape, total(s.rows))
		}
	}
	return nil
}

// sleep waits, or until Terminate.
func (s *Slot) sleep(d time.Duration) error {
	if s.session.options.IgnoreTerminate {
		time.Sleep(d)
		return nil
	}
	s.mu.Lock()
	stop := s.stop
	s.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-stop:
		return infer.Errorf(infer.Canceled, "the run was terminated")
	}
}

// Scatter adds member i's rows of the outputs it asked for to resp.
func (s *Slot) Scatter(i int, resp *infer.Response) error {
	if s.outputs == nil || i < 0 || i >= len(s.rows) {
		return infer.Errorf(infer.Internal, "scatter without a run")
	}
	asked := s.asked[i]
	if len(asked) == 0 {
		for index := range s.outputs {
			asked = append(asked, index)
		}
	}
	for _, index := range asked {
		t := s.outputs[index]
		if len(s.rows) > 1 {
			t = rowsOf(t, total(s.rows[:i]), s.rows[i])
		}
		resp.AddCopy(t.Name, index, t.DType, t.Shape, t.Data)
	}
	return nil
}

// rowsOf cuts n rows out of t.
func rowsOf(t infer.Tensor, first, n int64) infer.Tensor {
	row := t
	row.Shape = slices.Clone(t.Shape)
	row.Shape[0] = n
	start, end := offset(t, first), offset(t, first+n)
	row.Data = t.Data[start:end]
	return row
}

// offset returns where a row begins in the data.
func offset(t infer.Tensor, row int64) int {
	elements, _ := t.Shape[1:].Elements()
	if t.DType != infer.Bytes {
		return int(row * elements * int64(t.DType.Size()))
	}
	rest := t.Data
	for range row * elements {
		_, rest, _ = infer.NextElement(rest)
	}
	return len(t.Data) - len(rest)
}

func total(rows []int64) (n int64) {
	for _, r := range rows {
		n += r
	}
	return n
}

// Terminate ends the latency of the run in progress with code Canceled.
func (s *Slot) Terminate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop == nil {
		return
	}
	select {
	case <-s.stop:
	default:
		close(s.stop)
	}
}

// Close ends the slot. Closing twice is an error.
func (s *Slot) Close() error {
	if s.closed {
		return errors.New("fake: slot closed twice")
	}
	s.closed = true
	s.session.closeSlot()
	return nil
}
