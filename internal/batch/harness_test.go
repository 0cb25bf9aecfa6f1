package batch_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// virtual runs f in a bubble in which time passes only while all goroutines wait.
func virtual(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// server is a batcher with its instances.
type server struct {
	*batch.Batcher
	t         *testing.T
	model     *infer.Model
	instances []*fake
	ran       chan error // the result of Run
}

// options are complete but for Instances: 8 rows a run, no delay.
func options() batch.Options {
	return batch.Options{
		Model: ioModel(), Batchable: true, MaxSize: 8, Timeout: time.Minute, Steady: true,
		MaxRequests: 1024, MaxBytes: 64 << 20, PriorityLevels: 2, DefaultPriority: 2,
	}
}

// build makes a batcher that is not running: batchable, 8 rows a run, no delay,
// n instances.
func build(t *testing.T, n int, change func(o *batch.Options, instances []*fake)) *server {
	t.Helper()
	s := &server{t: t, ran: make(chan error, 1)}
	o := options()
	for range n {
		f := newFake()
		s.instances = append(s.instances, f)
		o.Instances = append(o.Instances, f)
	}
	if change != nil {
		change(&o, s.instances)
	}
	s.model = o.Model
	var err error
	if s.Batcher, err = batch.New(o); err != nil {
		t.Fatal(err)
	}
	return s
}

// start makes a batcher that runs until the test ends.
func start(t *testing.T, n int, change func(o *batch.Options, instances []*fake)) *server {
	t.Helper()
	s := build(t, n, change)
	s.run()
	synctest.Wait() // all instances are free
	return s
}

// run starts the batcher; the test's cleanup stops it and checks that nothing remains.
func (s *server) run() {
	go func() { s.ran <- s.Run(context.Background()) }()
	s.t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			s.t.Errorf("Shutdown: %v", err)
		}
		if err := <-s.ran; err != nil {
			s.t.Errorf("Run: %v", err)
		}
		s.checkEmpty()
		for i, f := range s.instances {
			if f.closed != 1 {
				s.t.Errorf("instance %d was closed %d times", i, f.closed)
			}
		}
	})
}

func (s *server) checkEmpty() {
	s.t.Helper()
	if requests, rows, bytes, _ := s.Waiting(); requests != 0 || rows != 0 || bytes != 0 {
		s.t.Errorf("the queue still counts %d requests, %d rows, %d bytes", requests, rows, bytes)
	}
}

// call is a Predict in progress.
type call struct {
	req    *infer.Request
	cancel context.CancelFunc
	done   chan struct{}
	ended  time.Time
	data   []float32 // of the output
	shape  infer.Shape
	err    error
}

// send calls Predict and returns when it waits, runs or has ended.
func (s *server) send(req *infer.Request) *call {
	s.t.Helper()
	c := s.sendOnly(req)
	synctest.Wait()
	return c
}

func (s *server) sendOnly(req *infer.Request) *call {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &call{req: req, cancel: cancel, done: make(chan struct{})}
	if err := s.model.Check(req); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		defer cancel()
		resp, err := s.Predict(ctx, req)
		c.ended, c.err = time.Now(), err
		if err == nil {
			c.data, c.shape = values(resp.Outputs[0].Data), append(infer.Shape(nil), resp.Outputs[0].Shape...)
			resp.Release()
		}
	}()
	return c
}

// wantDoubled waits for the call and checks its output.
func (c *call) wantDoubled(t *testing.T) {
	t.Helper()
	<-c.done
	if c.err != nil {
		t.Errorf("error: %v", c.err)
		return
	}
	in := values(c.req.Inputs[0].Data)
	if len(c.data) != len(in) || !c.shape.Equal(c.req.Inputs[0].Shape) {
		t.Errorf("output of shape %v for %v", c.shape, c.req.Inputs[0].Shape)
		return
	}
	for i := range in {
		if c.data[i] != 2*in[i] {
			t.Errorf("output %v for input %v", c.data, in)
			return
		}
	}
}

// wantCode waits for the call and checks its error.
func (c *call) wantCode(t *testing.T, code infer.Code) {
	t.Helper()
	<-c.done
	if infer.CodeOf(c.err) != code {
		t.Errorf("got %v, want %v", c.err, code)
	}
}

func constant(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }

const ms = time.Millisecond

func sorted(v []int) []int {
	v = slices.Clone(v)
	slices.Sort(v)
	return v
}

func timeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(context.Background(), d)
}
