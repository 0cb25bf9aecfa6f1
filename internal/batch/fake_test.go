package batch_test

import (
	"encoding/binary"
	"errors"
	"math"
	"sync"
	"time"

	"sluice.io/sluice/internal/infer"
)

// ioModel has one input x [-1,-1] and one output y of the same shape, FP32.
func ioModel() *infer.Model {
	spec := func(name string) infer.TensorSpec {
		return infer.TensorSpec{Name: name, DType: infer.FP32, Shape: infer.Shape{-1, -1}, Symbols: []string{"N", "T"}}
	}
	return infer.NewModel("lin", 1, []infer.TensorSpec{spec("x")}, []infer.TensorSpec{spec("y")})
}

func floats(values ...float32) []byte {
	data := make([]byte, 0, 4*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return data
}

func values(data []byte) []float32 {
	v := make([]float32, len(data)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return v
}

// request asks for rows of cols values, all equal to id.
func request(id float32, rows, cols int) *infer.Request {
	v := make([]float32, rows*cols)
	for i := range v {
		v[i] = id
	}
	return &infer.Request{Inputs: []infer.Tensor{{
		Name: "x", DType: infer.FP32, Shape: infer.Shape{int64(rows), int64(cols)}, Data: floats(v...),
	}}}
}

// matrix is the joined input of a run, or its output.
type matrix struct {
	rows, cols int
	data       []float32
}

func (m matrix) row(i int) []float32 { return m.data[i*m.cols : (i+1)*m.cols] }

// double is what fakes compute by default.
func double(x matrix) (matrix, error) {
	y := matrix{x.rows, x.cols, make([]float32, len(x.data))}
	for i, v := range x.data {
		y.data[i] = 2 * v
	}
	return y, nil
}

var errTerminated = errors.New("terminated")

// errBadRow is the error of a run that the values may have caused.
var errBadRow = &infer.Error{Code: infer.Internal, Msg: "bad row", Err: infer.ErrMaybeRefused}

// fake is an instance that computes row by row, takes a settable time for it and
// remembers its runs.
type fake struct {
	compute func(matrix) (matrix, error) // double if nil
	takes   func(rows int) time.Duration // how long a run takes; no time if nil
	gather  func()                       // called in Gather; may be nil
	deaf    bool                         // Terminate has no effect

	mu      sync.Mutex
	runs    [][]float32 // of each run, the first value of each member
	shapes  []matrix    // of each run, without data
	ends    []time.Time
	inRun   bool
	cut     int // runs that were terminated
	closed  int
	stop    chan struct{}
	members []int // rows of each member of the run
	in, out matrix
}

func newFake() *fake { return &fake{stop: make(chan struct{}, 1)} }

func (f *fake) Gather(reqs []*infer.Request) error {
	if f.gather != nil {
		f.gather()
	}
	select {
	case <-f.stop:
	default:
	}
	f.members = f.members[:0]
	f.in = matrix{cols: int(reqs[0].Inputs[0].Shape[1])}
	var firsts []float32
	for _, r := range reqs {
		x := &r.Inputs[0]
		if int(x.Shape[1]) != f.in.cols {
			panic("BUG: shapes differ in a run")
		}
		v := values(x.Data)
		f.in.data = append(f.in.data, v...)
		f.in.rows += int(x.Shape[0])
		f.members = append(f.members, int(x.Shape[0]))
		if len(v) > 0 {
			firsts = append(firsts, v[0])
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs = append(f.runs, firsts)
	f.shapes = append(f.shapes, matrix{rows: f.in.rows, cols: f.in.cols})
	return nil
}

func (f *fake) Run() error {
	f.setRunning(true)
	defer f.setRunning(false)
	if f.takes != nil {
		timer := time.NewTimer(f.takes(f.in.rows))
		defer timer.Stop()
		stop := f.stop
		if f.deaf {
			stop = nil
		}
		select {
		case <-timer.C:
		case <-stop:
			f.mu.Lock()
			f.cut++
			f.mu.Unlock()
			return errTerminated
		}
	}
	compute := f.compute
	if compute == nil {
		compute = double
	}
	var err error
	f.out, err = compute(f.in)
	return err
}

func (f *fake) setRunning(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.inRun == on {
		panic("BUG: two runs at once on one instance")
	}
	f.inRun = on
	if !on {
		f.ends = append(f.ends, time.Now())
	}
}

func (f *fake) Scatter(i int, resp *infer.Response) error {
	first := 0
	for _, n := range f.members[:i] {
		first += n
	}
	rows := f.members[i]
	if f.out.rows != f.in.rows {
		if len(f.members) > 1 {
			return infer.Errorf(infer.Internal, "output 'y' has %d rows for %d", f.out.rows, f.in.rows)
		}
		rows = f.out.rows
	}
	data := resp.Add("y", 0, infer.FP32, infer.Shape{int64(rows), int64(f.out.cols)}, 4*rows*f.out.cols)
	copy(data, floats(f.out.data[first*f.out.cols:][:rows*f.out.cols]...))
	return nil
}

func (f *fake) Terminate() {
	select {
	case f.stop <- struct{}{}:
	default:
	}
}

func (f *fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	return nil
}

// history returns the members of each run by their ids.
func (f *fake) history() [][]float32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([][]float32(nil), f.runs...)
}
