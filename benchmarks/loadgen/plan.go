package loadgen

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Arrival says at which times an open loop sends.
type Arrival uint8

// The arrivals.
const (
	Poisson  Arrival = iota // at random, as independent callers do
	Constant                // evenly spaced
)

// ParseArrival returns the arrival of a name, "poisson" or "constant".
func ParseArrival(name string) (Arrival, error) {
	for _, a := range []Arrival{Poisson, Constant} {
		if a.String() == name {
			return a, nil
		}
	}
	return 0, fmt.Errorf("arrival %q: want poisson or constant", name)
}

// String returns the name that ParseArrival takes.
func (a Arrival) String() string {
	if a == Constant {
		return "constant"
	}
	return "poisson"
}

// Burst is a stretch of an open loop at another rate.
type Burst struct {
	Factor float64       // times the plan's rate; 0 for no burst
	At     time.Duration // since the counted time began
	For    time.Duration
}

// Plan says what to send and for how long. It runs a ramp, then a warm-up, then
// the counted time.
type Plan struct {
	Targets []Target // of one host; each connection sends them in turn
	// Conns are the requests in flight in a closed loop, and the connections at most
	// in an open one.
	Conns    int
	Rate     float64       // requests a second; 0 for a closed loop
	Arrival  Arrival       // of an open loop
	Warmup   time.Duration // sent, and not counted
	Duration time.Duration // counted
	Ramp     time.Duration // the rate, or the connections of a closed loop, grow linearly; not counted
	Burst    Burst         // of an open loop
	// Asleep has an open loop wait for the next time to send by sleeping alone. Requests
	// leave some 50 µs late, which counts to their latency. Otherwise it stays awake for the
	// last of each wait, up to 0.2 ms: above some thousand requests a second it takes all
	// of its core, which is then lost to a server that shares it.
	Asleep bool
	// Timeout is the longest that a request may take, from when it was due; then it
	// counts as an error 0. 60 s if not set.
	Timeout time.Duration
	Seed    uint64 // of the arrivals; the same seed gives the same times
	// Threads that send, each with its share of connections and arrivals. By default
	// half of the cores that this process may use, and at least one.
	Threads  int
	Progress func(Progress) // called once a second while it runs; may be nil
}

// Progress is where a run stands.
type Progress struct {
	Phase    string        // "ramp", "warm-up", "counted" or "draining"
	Since    time.Duration // the run began
	Rate     float64       // answers 200 a second since the last call
	Answered int64         // with 200 so far, all phases together
	Failed   int64         // everything else
}

const (
	defaultTimeout = time.Minute
	defaultSeed    = 20260101
	maxConns       = 1 << 16
	maxThreads     = 256
)

// checked returns the plan with its defaults.
func (p Plan) checked() (Plan, error) {
	if p.Timeout == 0 {
		p.Timeout = defaultTimeout
	}
	if p.Seed == 0 {
		p.Seed = defaultSeed
	}
	if p.Threads <= 0 {
		p.Threads = max(1, cores()/2)
	}
	p.Threads = min(p.Threads, max(1, p.Conns), maxThreads)
	switch {
	case len(p.Targets) == 0:
		return p, errors.New("there is no target")
	case p.Conns < 1 || p.Conns > maxConns:
		return p, fmt.Errorf("%d connections: want 1 to %d", p.Conns, maxConns)
	case p.Rate < 0 || math.IsNaN(p.Rate) || math.IsInf(p.Rate, 0):
		return p, fmt.Errorf("a rate of %g: want 0 or more requests a second", p.Rate)
	case p.Duration <= 0 || p.Warmup < 0 || p.Ramp < 0 || p.Timeout < 0:
		return p, errors.New("durations must be positive")
	case p.Burst.Factor < 0 || math.IsNaN(p.Burst.Factor) || math.IsInf(p.Burst.Factor, 0):
		return p, fmt.Errorf("a burst by the factor %g", p.Burst.Factor)
	case p.Burst.Factor > 0 && p.Rate == 0:
		return p, errors.New("a burst needs a rate: a closed loop has none")
	case p.Burst.Factor > 0 && (p.Burst.At < 0 || p.Burst.For <= 0 || p.Burst.At+p.Burst.For > p.Duration):
		return p, errors.New("the burst must lie within the counted time")
	}
	return p, nil
}
