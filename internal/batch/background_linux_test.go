package batch_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// niceOf reads a thread's nice value as the kernel shows it; ok is false if
// the thread has ended.
func niceOf(t *testing.T, tid int) (nice int, ok bool) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(tid) + "/stat")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return 0, false
	}
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name before may hold blanks
	nice, err = strconv.Atoi(strings.Fields(rest)[16])
	if err != nil {
		t.Fatal(err)
	}
	return nice, true
}

func threads(t *testing.T) (tids []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		tids = append(tids, tid)
	}
	return tids
}

// runThreads runs two instances at once, twice, and returns the threads of each run;
// during is called while both instances run.
func runThreads(t *testing.T, background bool, during func(tids []int)) {
	t.Helper()
	began, goOn := make(chan int), make(chan struct{})
	s := build(t, 2, func(o *batch.Options, instances []*fake) {
		o.Background, o.MaxSize = background, 1
		for _, f := range instances {
			f.compute = func(x matrix) (matrix, error) {
				began <- unix.Gettid()
				<-goOn
				return double(x)
			}
		}
	})
	s.run()
	for range 2 {
		a, b := s.sendOnly(request(1, 1, 1)), s.sendOnly(request(2, 1, 1))
		during([]int{<-began, <-began})
		goOn <- struct{}{}
		goOn <- struct{}{}
		a.wantDoubled(t)
		b.wantDoubled(t)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestBackgroundWorkersHaveTheLowestPriority(t *testing.T) {
	own, ok := niceOf(t, os.Getpid())
	if !ok || own == 19 {
		t.Skipf("the process has the lowest priority already")
	}
	workers := map[int]bool{}
	runThreads(t, true, func(tids []int) {
		if tids[0] == tids[1] {
			t.Errorf("both workers run on thread %d", tids[0])
		}
		for _, tid := range tids {
			workers[tid] = true
			if nice, ok := niceOf(t, tid); !ok || nice != 19 {
				t.Errorf("a worker's thread has the nice value %d (there: %t), want 19", nice, ok)
			}
		}
		for _, tid := range threads(t) {
			if nice, ok := niceOf(t, tid); ok && !workers[tid] && nice != own {
				t.Errorf("another thread has the nice value %d, want %d", nice, own)
			}
		}
	})
	if len(workers) != 2 {
		t.Errorf("the runs had %d threads, want 2: a worker keeps its own", len(workers))
	}
	for tid := range workers {
		awaitEnd(t, tid)
	}
}

// awaitEnd waits for a thread, which ends soon after its goroutine.
func awaitEnd(t *testing.T, tid int) {
	t.Helper()
	for began := time.Now(); ; runtime.Gosched() {
		if _, there := niceOf(t, tid); !there {
			return
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("thread %d of low priority has outlived its worker", tid)
		}
	}
}

func TestForegroundWorkersKeepTheirPriority(t *testing.T) {
	own, _ := niceOf(t, os.Getpid())
	runThreads(t, false, func(tids []int) {
		for _, tid := range tids {
			if nice, ok := niceOf(t, tid); !ok || nice != own {
				t.Errorf("a worker's thread has the nice value %d (there: %t), want %d", nice, ok, own)
			}
		}
	})
}

func TestTrialsHaveTheLowestPriority(t *testing.T) {
	own, ok := niceOf(t, os.Getpid())
	if !ok || own == 19 {
		t.Skipf("the process has the lowest priority already")
	}
	instance := newTensors(rowSums)
	tids := make(chan int, 1)
	instance.during = func() {
		select {
		case tids <- unix.Gettid():
		default:
		}
	}
	m := rowsModel(infer.Shape{-1, -1})
	o := trialOptions()
	o.Model, o.NewInstance = m, func() (batch.Instance, error) { return instance, nil }
	x, err := batch.NewTrial(o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- x.Run(context.Background()) }()
	var tid int
	for i := float32(0); tid == 0; i++ { // until the trial has begun and has four
		req := &infer.Request{Inputs: []infer.Tensor{{Name: "a", DType: infer.FP32, Shape: infer.Shape{1, 1}, Data: floats(i)}}}
		x.Offer(req, infer.NewResponse())
		select {
		case tid = <-tids:
		default:
			runtime.Gosched()
		}
	}
	if nice, ok := niceOf(t, tid); ok && nice != 19 {
		t.Errorf("the trial's thread has the nice value %d, want %d", nice, 19)
	}
	if err := errors.Join(x.Shutdown(context.Background()), <-ended); err != nil {
		t.Error(err)
	}
	awaitEnd(t, tid)
}
