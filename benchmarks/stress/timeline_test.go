package main

import (
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/scenario"
)

const ms = time.Millisecond

func slices100(n int, s loadgen.Slice) []loadgen.Slice {
	line := make([]loadgen.Slice, n)
	for i := range line {
		line[i] = s
	}
	return line
}

func TestRecovery(t *testing.T) {
	good := loadgen.Slice{Answered: 10, Worst: 5 * ms}
	slow, refusing, silent := loadgen.Slice{Answered: 10, Worst: 6 * ms}, loadgen.Slice{Answered: 10, Refused: 1}, loadgen.Slice{}
	f := func(name string, line []loadgen.Slice, want time.Duration, wantOK bool) {
		t.Helper()
		if took, ok := recovery(line, 5*ms); took != want || ok != wantOK {
			t.Errorf("%s: %v %v, want %v %v", name, took, ok, want, wantOK)
		}
	}
	f("at once", slices100(5, good), 0, true)
	f("after two", append([]loadgen.Slice{slow, refusing}, slices100(5, good)...), 200*ms, true)
	f("a relapse", append(slices100(4, good), append([]loadgen.Slice{silent}, slices100(5, good)...)...), 500*ms, true)
	f("never", slices100(9, slow), 900*ms, false)
	f("too short", slices100(4, good), 400*ms, false)
}

// Goodput is that of the overload without its first second, and refusals at its
// end do not count as recovered.
func TestSurgeIsReadFromTheTimeline(t *testing.T) {
	line := slices100(10, loadgen.Slice{Answered: 7, Worst: 10 * ms})
	line = append(line, slices100(10, loadgen.Slice{Answered: 30, Worst: 50 * ms})...)
	line = append(line, slices100(20, loadgen.Slice{Answered: 9, Refused: 6, Worst: 200 * ms})...)
	line = append(line, slices100(3, loadgen.Slice{Answered: 9, Worst: 150 * ms})...)
	line = append(line, slices100(7, loadgen.Slice{Answered: 7, Worst: 9 * ms})...)
	out := surged{result: &loadgen.Result{Timeline: line}}
	out.read(surge{before: time.Second, during: 3 * time.Second, after: time.Second})
	if out.goodput != 90 || out.again != 300*ms || !out.ok || out.worst != 200*ms {
		t.Errorf("%+v", out)
	}
	out = surged{result: &loadgen.Result{Timeline: line[:12]}} // cut short
	out.read(surge{before: time.Second, during: 3 * time.Second, after: time.Second})
	if out.ok {
		t.Errorf("%+v", out)
	}
}

func TestLatencyIsInMilliseconds(t *testing.T) {
	r := &loadgen.Result{Latency: hdrhistogram.New(1, 1_000_000, 3), Errors: map[int]int64{429: 2, 0: 1}}
	_ = r.Latency.RecordValue(1500)
	if got := scenario.Latency(r, 99); got != 1.5 {
		t.Errorf("%g ms", got)
	}
	if got := scenario.ByStatus(r.Errors); scenario.Failures(r) != 3 || got != "1 × no answer, 2 × 429" {
		t.Errorf("%d: %s", scenario.Failures(r), got)
	}
}

// Every length is sent once.
func TestMixesHoldEveryLength(t *testing.T) {
	list := mixes()
	every := list[len(list)-1].lengths
	seen := map[int64]bool{}
	for _, n := range every {
		seen[n] = n >= 16 && n <= 128
	}
	if len(every) != 113 || len(seen) != 113 || list[4].mean() != 60 || list[5].mean() != 72 {
		t.Errorf("%d lengths, %d of them different, mean %g", len(every), len(seen), list[5].mean())
	}
}
