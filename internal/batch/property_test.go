package batch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// chaos is one random setting: the options of the batcher, the behaviour of the model and of
// the callers. All of it follows from the seed.
type chaos struct {
	*rand.Rand
	panics   bool // rows of bad panic; else they fail
	shutdown bool // it is stopped early, with little time
}

const badEvery = 13 // ids that the model fails on

func (c *chaos) options(o *batch.Options, instances []*fake) {
	o.MaxSize, o.Split, o.Batchable = 1+c.IntN(8), c.IntN(2) == 0, c.IntN(4) > 0
	if c.IntN(3) == 0 {
		o.MaxDelay = time.Duration(c.IntN(5)) * ms
	}
	o.MaxRequests, o.MaxBytes = 1+c.IntN(20), int64(1+c.IntN(2000))
	o.Timeout = time.Duration(5+c.IntN(50)) * ms
	for _, f := range instances {
		seed := c.Uint64()
		f.deaf = c.IntN(3) == 0
		f.takes = func(rows int) time.Duration {
			seed = seed*6364136223846793005 + 1442695040888963407
			return time.Duration(seed%uint64(2+rows)) * ms
		}
		if c.IntN(2) == 0 {
			f.gather = func() { time.Sleep(time.Duration(seed>>40%3) * ms) }
		}
		f.compute = func(x matrix) (matrix, error) {
			for i := range x.rows {
				if x.cols > 0 && int(x.row(i)[0])%badEvery == 0 {
					if c.panics {
						panic("bad row")
					}
					return matrix{}, errBadRow
				}
			}
			return double(x)
		}
	}
}

// caller sends a few requests, each with random size, limits and patience.
func (c *chaos) caller(s *server, id int, results *results) {
	for i := range 1 + c.IntN(6) {
		time.Sleep(time.Duration(c.IntN(10)) * ms)
		number := 1 + 100*id + i
		req := request(float32(number), c.IntN(10), 1+c.IntN(3))
		req.Priority = c.IntN(4)
		if c.IntN(3) == 0 {
			req.Timeout = time.Duration(1+c.IntN(20)) * ms
		}
		ctx, cancel := context.Background(), func() {}
		switch c.IntN(4) {
		case 0:
			ctx, cancel = context.WithTimeout(ctx, time.Duration(c.IntN(20))*ms)
		case 1:
			var stop context.CancelFunc
			ctx, stop = context.WithCancel(ctx)
			timer := time.AfterFunc(time.Duration(c.IntN(20))*ms, stop)
			cancel = func() { timer.Stop(); stop() }
		}
		results.add(c.check(ctx, s, req, number))
		cancel()
	}
}

// check calls Predict and returns what is wrong with its answer.
func (c *chaos) check(ctx context.Context, s *server, req *infer.Request, number int) error {
	begin := time.Now()
	resp, err := s.Predict(ctx, req)
	if took := time.Since(begin); took > 60*ms {
		return fmt.Errorf("request %d: answered after %v, though its deadline was earlier", number, took)
	}
	if err != nil {
		code := infer.CodeOf(err)
		bad := number%badEvery == 0
		switch code { //nolint:exhaustive // the others are wrong
		case infer.Deadline, infer.Canceled, infer.Overloaded, infer.TooLarge:
			return nil
		case infer.Invalid:
			if bad || !errors.Is(err, infer.ErrRefused) {
				return nil
			}
		case infer.Unavailable:
			if c.shutdown {
				return nil
			}
		case infer.Internal:
			if bad || c.panics {
				return nil
			}
		}
		return fmt.Errorf("request %d: %w", number, err)
	}
	defer resp.Release()
	out := &resp.Outputs[0]
	if !out.Shape.Equal(req.Inputs[0].Shape) {
		return fmt.Errorf("request %d: shape %v for %v", number, out.Shape, req.Inputs[0].Shape)
	}
	for _, v := range values(out.Data) {
		if v != 2*float32(number) {
			return fmt.Errorf("request %d: got %v, the output of another", number, v)
		}
	}
	return nil
}

type results struct {
	mu    sync.Mutex
	total int
	wrong []error
}

func (r *results) add(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if err != nil {
		r.wrong = append(r.wrong, err)
	}
}

// Whatever callers and the model do, every request ends once, in time, with its own output or a
// matching error, and nothing remains.
func TestEveryRequestEndsOnce(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			virtual(t, func(t *testing.T) { world(t, seed) })
		})
	}
}

func world(t *testing.T, seed uint64) {
	t.Helper()
	random := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
	top := random(0)
	panics, early := top.IntN(4) == 0, top.IntN(4) == 0
	c := &chaos{Rand: top, panics: panics, shutdown: early}
	s := build(t, 1+top.IntN(3), c.options)
	ran := make(chan error, 1)
	go func() { ran <- s.Run(context.Background()) }()
	var all results
	var callers sync.WaitGroup
	for id := range 40 {
		callers.Go(func() {
			own := &chaos{Rand: random(uint64(1 + id)), panics: panics, shutdown: early}
			own.caller(s, id, &all)
		})
	}
	limit := time.Hour
	if early {
		time.Sleep(time.Duration(top.IntN(30)) * ms)
		limit = time.Duration(top.IntN(5)) * ms
	} else {
		callers.Wait()
	}
	ctx, cancel := timeout(t, limit)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil && !early {
		t.Error(err)
	}
	callers.Wait()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	for _, err := range all.wrong {
		t.Error(err)
	}
	s.checkEmpty()
	if s.Free() != 0 {
		t.Errorf("%d workers count as free after all have ended", s.Free())
	}
}
