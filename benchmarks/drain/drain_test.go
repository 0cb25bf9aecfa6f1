package drain_test

import (
	"math"
	"testing"
	"time"

	"sluice.io/sluice/benchmarks/drain"
)

const millisecond = 1e-3

func simulate(t *testing.T, q drain.Queue) drain.Result {
	t.Helper()
	if q.Arrivals == 0 {
		q.Arrivals = 400_000
	}
	r, err := q.Simulate()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func near(t *testing.T, what string, got, want, relative float64) {
	t.Helper()
	if math.Abs(got-want) > relative*want {
		t.Errorf("%s is %.4g, want %.4g within %.0f %%", what, got, want, 100*relative)
	}
}

// One server and no batches is M/D/1, whose mean wait Pollaczek and Khinchine give.
func TestOneByOneIsMD1(t *testing.T) {
	for _, load := range []float64{0.3, 0.5, 0.7, 0.9} {
		r := simulate(t, drain.Queue{Rate: load / millisecond, Servers: 1, MaxBatch: 1, Cost: drain.Cost{A: millisecond}, Seed: 1})
		wait := load * millisecond / (2 * (1 - load))
		near(t, "mean time", r.Mean.Seconds(), millisecond+wait, 0.04)
		if r.Batch != 1 {
			t.Errorf("%g requests in a run", r.Batch)
		}
	}
}

// With a server for everyone nobody waits.
func TestManyServersLetNobodyWait(t *testing.T) {
	r := simulate(t, drain.Queue{Rate: 1000, Servers: 64, MaxBatch: 4, Cost: drain.Cost{A: millisecond, B: millisecond}, Seed: 2, Arrivals: 20_000})
	if want := 2 * time.Millisecond; r.P999-want > time.Microsecond || want-r.P50 > time.Microsecond {
		t.Errorf("%v to %v, want %v", r.P50, r.P999, want)
	}
}

// Where a run takes the same time whatever is in it, and holds any number, all who
// come during a run leave with the next: the time lies between one run and two, and
// under heavy load it is uniform.
func TestUnboundedBatches(t *testing.T) {
	r := simulate(t, drain.Queue{Rate: 100 / millisecond, Servers: 1, MaxBatch: 1 << 20, Cost: drain.Cost{A: millisecond}, Seed: 3})
	near(t, "mean time", r.Mean.Seconds(), 1.5*millisecond, 0.01)
	near(t, "p99", r.P99.Seconds(), 1.99*millisecond, 0.01)
	near(t, "batch", r.Batch, 100, 0.02)
}

// A measured perceptron and encoder at shares of their batched capacity, as another
// simulation had them.
func TestMeasuredModels(t *testing.T) {
	f := func(cost drain.Cost, batch int, load, mean, p99 float64) {
		t.Helper()
		q := drain.Queue{Servers: 1, MaxBatch: batch, Cost: cost, Seed: 4}
		q.Rate = load * q.Capacity()
		r := simulate(t, q)
		near(t, "mean time", r.Mean.Seconds(), mean, 0.06)
		near(t, "p99", r.P99.Seconds(), p99, 0.06)
	}
	perceptron, encoder := drain.Cost{A: 4e-6, B: 0.85e-6}, drain.Cost{A: 2100e-6, B: 2200e-6}
	f(perceptron, 64, 0.3, 9e-6, 16e-6)
	f(perceptron, 64, 0.7, 19e-6, 36e-6)
	f(encoder, 16, 0.3, 6257e-6, 14581e-6)
	f(encoder, 16, 0.7, 14071e-6, 37439e-6)
}

func TestSameSeedSameTimes(t *testing.T) {
	q := drain.Queue{Rate: 700, Servers: 2, MaxBatch: 8, Cost: drain.Cost{A: millisecond, B: millisecond}, Seed: 5, Arrivals: 10_000}
	if a, b := simulate(t, q), simulate(t, q); a != b {
		t.Errorf("%+v and %+v", a, b)
	}
}

func TestRefuses(t *testing.T) {
	good := drain.Queue{Rate: 1, Servers: 1, MaxBatch: 1, Cost: drain.Cost{A: 0.5}, Arrivals: 10}
	for name, change := range map[string]func(*drain.Queue){
		"overload":   func(q *drain.Queue) { q.Rate = 2 },
		"no servers": func(q *drain.Queue) { q.Servers = 0 },
		"no batch":   func(q *drain.Queue) { q.MaxBatch = 0 },
		"nobody":     func(q *drain.Queue) { q.Arrivals = 0 },
		"no rate":    func(q *drain.Queue) { q.Rate = 0 },
	} {
		q := good
		change(&q)
		if r, err := q.Simulate(); err == nil {
			t.Errorf("%s: no error, %+v", name, r)
		}
	}
}

func TestFit(t *testing.T) {
	want := drain.Cost{A: 2.1e-3, B: 2.2e-3}
	var points []drain.Point
	for _, n := range []int{1, 8, 32} {
		points = append(points, drain.Point{Batch: n, Seconds: want.Of(n)})
	}
	got, err := drain.Fit(points)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "a", got.A, want.A, 1e-6)
	near(t, "b", got.B, want.B, 1e-6)

	// More than linear: no run has a start that costs less than nothing.
	if got, err = drain.Fit([]drain.Point{{1, 1}, {8, 9}, {32, 40}}); err != nil || got.A != 0 || got.B < 1 || got.B > 1.25 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range [][]drain.Point{nil, {{1, 1}}, {{8, 1}, {8, 2}}, {{1, 0}, {2, 1}}, {{0, 1}, {2, 1}}} {
		if c, err := drain.Fit(bad); err == nil {
			t.Errorf("%v: %+v", bad, c)
		}
	}
}
