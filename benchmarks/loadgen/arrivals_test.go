package loadgen

import (
	"math"
	"slices"
	"testing"
	"time"
)

func allOf(a *arrivals) (times []float64) {
	for at := a.next(); at != never; at = a.next() {
		times = append(times, time.Duration(at).Seconds())
	}
	return times
}

func planOf(t *testing.T, p Plan) *Plan {
	t.Helper()
	p.Targets, p.Conns = []Target{{}}, 1
	p, err := p.checked()
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

func within(times []float64, from, to float64) (n int) {
	for _, at := range times {
		if at >= from && at < to {
			n++
		}
	}
	return n
}

func TestConstantArrivalsAreEven(t *testing.T) {
	times := allOf(newArrivals(planOf(t, Plan{Rate: 1000, Arrival: Constant, Duration: 10 * time.Second}), 0, 1))
	if n := len(times); n < 9999 || n > 10000 {
		t.Fatalf("%d arrivals", n)
	}
	for i := 1; i < len(times); i++ {
		if gap := times[i] - times[i-1]; math.Abs(gap-0.001) > 1e-8 {
			t.Fatalf("gap of %g s before number %d", gap, i)
		}
	}
}

// The gaps of a Poisson process are exponential: their mean and their standard
// deviation are equal, and counts of equal times vary as much as they are large.
func TestPoissonArrivals(t *testing.T) {
	const rate, seconds = 1000.0, 200
	times := allOf(newArrivals(planOf(t, Plan{Rate: rate, Duration: seconds * time.Second}), 0, 1))
	n := float64(len(times))
	if math.Abs(n-rate*seconds) > 4*math.Sqrt(rate*seconds) {
		t.Errorf("%g arrivals", n)
	}
	sum, squares, last, short := 0.0, 0.0, 0.0, 0.0
	for _, at := range times {
		gap := at - last
		sum, squares, last = sum+gap, squares+gap*gap, at
		if gap < 0.1/rate {
			short++
		}
	}
	if sd := math.Sqrt(squares/n - sum/n*sum/n); math.Abs(sd*rate-1) > 0.02 {
		t.Errorf("the gaps' standard deviation is %g of their mean", sd*rate)
	}
	if share := short / n; math.Abs(share-(1-math.Exp(-0.1))) > 0.005 {
		t.Errorf("%g of the gaps are below a tenth of the mean", share)
	}
	variance := 0.0
	for second := range seconds {
		d := float64(within(times, float64(second), float64(second+1))) - rate
		variance += d * d / seconds
	}
	if variance < 0.6*rate || variance > 1.5*rate { // the 4-sigma range for 200 seconds
		t.Errorf("counts per second vary by %g around %g", variance, rate)
	}
}

func TestArrivalsRampAndBurst(t *testing.T) {
	p := planOf(t, Plan{
		Rate: 1000, Arrival: Constant, Ramp: 4 * time.Second, Warmup: time.Second, Duration: 5 * time.Second,
		Burst: Burst{Factor: 10, At: 2 * time.Second, For: 200 * time.Millisecond},
	})
	times := allOf(newArrivals(p, 0, 1))
	if !slices.IsSorted(times) {
		t.Fatal("not in order")
	}
	for _, c := range []struct {
		from, to float64
		want     int
	}{{0, 1, 125}, {1, 2, 375}, {3, 4, 875}, {4, 5, 1000}, {5, 7, 2000}, {7, 7.2, 2000}, {7.2, 10, 2800}, {10, 99, 0}} {
		if n := within(times, c.from, c.to); n < c.want-2 || n > c.want+2 {
			t.Errorf("%d arrivals from %g to %g s, want %d", n, c.from, c.to, c.want)
		}
	}
}

// The threads of a run share the arrivals; together they send the same ones.
func TestArrivalsAreShared(t *testing.T) {
	for _, arrival := range []Arrival{Poisson, Constant} {
		p := planOf(t, Plan{Rate: 500, Arrival: arrival, Ramp: time.Second, Duration: 3 * time.Second})
		want := allOf(newArrivals(p, 0, 1))
		var got []float64
		for i := range 3 {
			got = append(got, allOf(newArrivals(p, i, 3))...)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%v: %d arrivals of three threads, %d of one", arrival, len(got), len(want))
		}
	}
	p := planOf(t, Plan{Rate: 500, Duration: time.Second})
	q := *p
	q.Seed++
	if slices.Equal(allOf(newArrivals(p, 0, 1)), allOf(newArrivals(&q, 0, 1))) {
		t.Error("another seed gives the same times")
	}
}
