package batch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// trial is a Trial that runs, over a model [-1, -1] → [-1, 1].
type trial struct {
	*batch.Trial
	t        *testing.T
	instance *tensors
	model    *infer.Model
	ran      chan error

	mu       sync.Mutex
	findings []batch.Finding
}

// trialOptions are complete; there is no instance.
func trialOptions() batch.TrialOptions {
	return batch.TrialOptions{
		Model: ioModel(), NewInstance: func() (batch.Instance, error) { return nil, errors.New("no instance") }, Settled: func(batch.Finding) {},
		Tolerance: 1e-4, MaxSize: 256, Requests: 32, MaxBytes: 16 << 20, CheckEvery: 10 * time.Second, Timeout: 30 * time.Second,
	}
}

func startTrial(t *testing.T, instance *tensors, change func(o *batch.TrialOptions)) *trial {
	t.Helper()
	x := &trial{t: t, instance: instance, model: rowsModel(infer.Shape{-1, -1}), ran: make(chan error, 1)}
	o := trialOptions()
	o.Model, o.NewInstance = x.model, func() (batch.Instance, error) { return instance, nil }
	o.Why = batch.Finding{Undecided: true, Reason: "the model refuses made-up data"}
	o.Settled = func(f batch.Finding) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.findings = append(x.findings, f)
	}
	if change != nil {
		change(&o)
	}
	var err error
	if x.Trial, err = batch.NewTrial(o); err != nil {
		t.Fatal(err)
	}
	x.KeepPriority()
	go func() { x.ran <- x.Run(context.Background()) }()
	t.Cleanup(func() {
		if err := x.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-x.ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		copies, bytes, open := x.Held()
		if instance.closed != 1 || copies != 0 || bytes != 0 || open {
			t.Errorf("the instance was closed %d times; %d copies of %d bytes are held, open: %t", instance.closed, copies, bytes, open)
		}
	})
	synctest.Wait()
	return x
}

// offer offers a request of some rows, given with their numbers one after the other.
func (x *trial) offer(rows int, numbers ...float32) {
	x.t.Helper()
	in := infer.Tensor{Name: "a", DType: infer.FP32, Shape: infer.Shape{int64(rows), int64(len(numbers) / rows)}, Data: floats(numbers...)}
	req := &infer.Request{Inputs: []infer.Tensor{in}}
	if err := x.model.Check(req); err != nil {
		x.t.Fatal(err)
	}
	resp := infer.NewResponse()
	resp.Add("y", 0, infer.FP32, infer.Shape{int64(rows), 1}, 4*rows)
	x.Offer(req, resp)
	clear(in.Data) // the caller's again
	resp.Release()
	synctest.Wait()
}

// offerMany offers n requests of one row, all different, from a number on.
func (x *trial) offerMany(n int, from float32) {
	x.t.Helper()
	for i := range n {
		x.offer(1, from+float32(i), 0)
	}
}

func (x *trial) wantSettled(batchable ...bool) {
	x.t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	got := make([]bool, len(x.findings))
	for i, f := range x.findings {
		got[i] = f.Batchable
		if f.Undecided || f.Summary == "" || f.Reason == "" {
			x.t.Errorf("finding %+v is not whole", f)
		}
	}
	if !slices.Equal(got, batchable) {
		x.t.Fatalf("settled as %+v, want batchable: %v", x.findings, batchable)
	}
}

func (x *trial) wantFinding(parts ...string) {
	x.t.Helper()
	text := fmt.Sprintf("%+v", x.Finding())
	for _, part := range parts {
		if !strings.Contains(text, part) {
			x.t.Errorf("finding %s, want %q in it", text, part)
		}
	}
}

// mixing is rowSums of a model that adds the largest number of all rows above a limit
// to each row.
func mixing(limit float32) func([]infer.Tensor) ([]infer.Tensor, error) {
	return func(in []infer.Tensor) ([]infer.Tensor, error) {
		out, err := rowSums(in)
		if err != nil {
			return nil, err
		}
		if most := slices.Max(values(in[0].Data)); most > limit {
			sums := values(out[0].Data)
			for i := range sums {
				sums[i] += most
			}
			out[0].Data = floats(sums...)
		}
		return out, nil
	}
}

// sortedOnly is rowSums of a model that accepts only rows of large, falling numbers, which
// made-up data never has.
func sortedOnly(in []infer.Tensor) ([]infer.Tensor, error) {
	n := len(in[0].Data) / 4 / int(in[0].Shape[0])
	for row := range slices.Chunk(values(in[0].Data), n) {
		if row[0] < 1000 || !slices.IsSortedFunc(row, func(a, b float32) int { return int(b - a) }) {
			return nil, errors.New("the numbers are not valid")
		}
	}
	return rowSums(in)
}

func TestRealRequestsDecideForBatching(t *testing.T) {
	virtual(t, func(t *testing.T) {
		m := rowsModel(infer.Shape{-1, -1})
		if f := probe(t.Context(), newTensors(sortedOnly), m); !f.Undecided {
			t.Fatalf("the probe says %+v", f)
		}
		x := startTrial(t, newTensors(sortedOnly), nil)
		x.wantFinding("on trial", "refuses made-up data", "0 of 32")
		x.offerMany(31, 1000)
		x.wantSettled()
		x.wantFinding("28 of 32", "Undecided:true")
		x.offerMany(1, 2000)
		x.wantSettled(true)
		x.wantFinding("yes, tried", "32 requests")
	})
}

// On a busy machine a trial may get no time until the callers are gone: the copies that it
// needs exist by then.
func TestATrialGoesOnWithoutCallers(t *testing.T) {
	virtual(t, func(t *testing.T) {
		let := make(chan struct{})
		instance := newTensors(sortedOnly)
		instance.during = func() { <-let }
		x := startTrial(t, instance, nil)
		x.offerMany(40, 1000)
		x.wantFinding("0 of 32")
		close(let)
		time.Sleep(time.Minute)
		x.wantSettled(true)
	})
}

func TestRealRequestsDecideAgainstBatching(t *testing.T) {
	virtual(t, func(t *testing.T) {
		x := startTrial(t, newTensors(mixing(0)), nil)
		x.offerMany(4, 1)
		x.wantSettled(false)
		x.wantFinding("no, rows mix", "output 'y' of a row changes with the rows beside it")
		runs := len(x.instance.runs)
		x.offerMany(8, 100)
		if len(x.instance.runs) != runs || x.instance.closed != 1 {
			t.Errorf("%d runs after it was settled; the instance was closed %d times", len(x.instance.runs)-runs, x.instance.closed)
		}
	})
}

func TestSpotChecksEndBatchingForGood(t *testing.T) {
	virtual(t, func(t *testing.T) {
		x := startTrial(t, newTensors(mixing(1e6)), func(o *batch.TrialOptions) { o.CheckEvery = time.Minute })
		x.offerMany(32, 1)
		x.wantSettled(true)
		runs := len(x.instance.runs)
		x.offerMany(8, 2e6)
		if len(x.instance.runs) != runs {
			t.Error("requests were tried before a spot check was due")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		x.offerMany(4, 1) // known ones, which are as good for this
		x.wantSettled(true)
		if len(x.instance.runs) == runs {
			t.Error("there was no spot check")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for i := range 4 {
			x.offer(1, 2e6*float32(i+1), 0)
		}
		x.wantSettled(true, false)
		x.wantFinding("no, rows mix", "Batchable:false")
		time.Sleep(time.Hour)
		synctest.Wait()
		x.offerMany(100, 1)
		x.wantSettled(true, false)
	})
}

func TestRequestsThatShowNothingDoNotCount(t *testing.T) {
	virtual(t, func(t *testing.T) {
		x := startTrial(t, newTensors(rowSums), func(o *batch.TrialOptions) { o.CheckEvery = time.Second })
		for range 500 { // one request, again and again
			x.offer(1, 1, 2)
		}
		x.wantFinding("0 of 32")
		for i := range 500 { // others with one answer, 0
			x.offer(1, float32(i), -float32(i))
		}
		x.wantSettled()
		x.wantFinding("4 of 32") // those that ran beside the first
		time.Sleep(time.Minute)
		synctest.Wait()
		x.offerMany(32, 1)
		x.wantSettled(true)
	})
}

func TestATrialThatTellsNothingEnds(t *testing.T) {
	virtual(t, func(t *testing.T) {
		x := startTrial(t, newTensors(rowSums), nil)
		for i := range 1024 {
			x.offer(1, float32(i), -float32(i))
		}
		x.wantSettled(false)
		x.wantFinding("only 0 of the", "batching.enabled")
	})
}

func TestRequestsOfOneShapeAreTried(t *testing.T) {
	virtual(t, func(t *testing.T) {
		x := startTrial(t, newTensors(rowSums), nil)
		for i := range 3 {
			x.offer(1, float32(i))
			x.offer(1, float32(i), 1)
			x.offer(1, float32(i), 1, 2)
		}
		if n := len(x.instance.runs); n != 0 {
			t.Errorf("%d runs of fewer than four requests", n)
		}
		x.offer(1, 3, 1)
		alone, together := 0, 0
		for i, shapes := range x.instance.runs {
			if shapes[0][1] != 2 {
				t.Errorf("a run of shape %v", shapes)
			}
			if x.instance.members[i] == 1 {
				alone++
			} else {
				together++
			}
		}
		if alone != 4 || together < 3 {
			t.Errorf("%d runs of one request and %d of several, want 4 and a few", alone, together)
		}
		if copies, _, open := x.Held(); copies != 6 || !open {
			t.Errorf("%d copies are held, open: %t; want the 6 others", copies, open)
		}
	})
}

func TestAFewRowsOfLargeRequestsAreTried(t *testing.T) {
	f := func(maxSize int, want int64) {
		t.Helper()
		virtual(t, func(t *testing.T) {
			x := startTrial(t, newTensors(rowSums), func(o *batch.TrialOptions) { o.MaxSize = maxSize })
			for i := range 4 {
				many := make([]float32, 100)
				many[0] = float32(i)
				x.offer(100, many...)
			}
			if len(x.instance.runs) == 0 {
				t.Fatal("nothing was tried")
			}
			for i, s := range x.instance.runs {
				if n := s[0][0]; n > int64(maxSize) || x.instance.members[i] == 1 && n != want && i < 4 {
					t.Errorf("run %d has %d rows", i, n)
				}
			}
		})
	}
	f(256, 4)
	f(8, 2)
	f(4, 1)
}

func TestTrialsHoldAFewBytes(t *testing.T) {
	virtual(t, func(t *testing.T) {
		const most = 1000
		x := startTrial(t, newTensors(rowSums), func(o *batch.TrialOptions) { o.MaxBytes = most })
		x.offer(1, make([]float32, 70)...) // more than a quarter
		if copies, _, _ := x.Held(); copies != 0 {
			t.Error("a request was copied of which four are too large")
		}
		for i := range 300 {
			x.offer(1, make([]float32, 1+i%60)...) // all shapes in turn
			copies, bytes, _ := x.Held()
			if bytes > most || copies > 32 {
				t.Fatalf("%d copies of %d bytes", copies, bytes)
			}
		}
		for i := range 32 {
			x.offer(1, float32(i), 1, 2)
		}
		x.wantSettled(true) // the others made room
	})
}

func TestTrialsPauseWhereNothingFits(t *testing.T) {
	virtual(t, func(t *testing.T) {
		x := startTrial(t, newTensors(rowSums), func(o *batch.TrialOptions) { o.CheckEvery = time.Minute })
		for range 1100 {
			x.offer(1, 1)
		}
		if _, _, open := x.Held(); open {
			t.Error("it still looks at requests")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		x.offerMany(32, 1)
		x.wantSettled(true)
	})
}
