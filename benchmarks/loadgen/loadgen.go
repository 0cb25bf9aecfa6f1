// Package loadgen sends load to an HTTP server on Linux and measures it. A few threads, each
// with an epoll loop, carry all connections: a request costs little more than its two system
// calls.
package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// Plan says what to send and for how long: a warm-up, then the counted time.
type Plan struct {
	Targets  []Target      // of one host; each connection sends them in turn
	Conns    int           // requests in flight in a closed loop, connections at most in an open one
	Rate     float64       // requests a second at random times, an open loop; 0: a closed loop
	Warmup   time.Duration // sent, and not counted
	Duration time.Duration // counted
	Burst    Burst         // of an open loop
	// Asleep has an open loop sleep until the next time to send. Requests leave some 50 µs
	// late, which counts to their latency. Otherwise it stays awake for the last 0.2 ms of each
	// wait, and takes all of its core above some thousand requests a second.
	Asleep bool
	// Timeout is the longest that a request may take, from when it was due; then it counts
	// as an error 0. 60 s if not set.
	Timeout time.Duration
}

// Burst is a stretch of an open loop at another rate.
type Burst struct {
	Factor float64       // times the plan's rate; 0 for no burst
	At     time.Duration // since the counted time began
	For    time.Duration
}

// Result is what a run saw. Requests count if they began, or were due, within the counted
// time, even if their answers came later.
type Result struct {
	Requests int64         // answered 200
	Errors   map[int]int64 // other statuses; 0 for a broken connection or a timeout
	Answered int64         // 200s that came within the counted time, whenever begun
	Sent     int64         // in the whole run
	Elapsed  time.Duration // the counted time

	// Latency holds the microseconds of answers 200, from when a request was due in an open
	// loop and from when it was sent in a closed one. Refused holds those of other answers.
	Latency, Refused *hdrhistogram.Histogram
	// Lag holds by how many microseconds requests of an open loop left late though a
	// connection was free: what the generator itself adds.
	Lag      *hdrhistogram.Histogram
	Timeline []Slice

	ClientCPU time.Duration // of this process during the counted time
	Busy      float64       // share of it that the sending threads were at work, not waiting
}

// Slice is a tenth of a second of the counted time or, at the end, after it.
type Slice struct {
	Answered, Refused, Failed int64         // answers 200, other answers, broken connections and timeouts
	Worst                     time.Duration // latency of what ended
}

// Rate returns the answers 200 per second of the counted time.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Answered) / r.Elapsed.Seconds()
}

// GeneratorBound returns why a result says more about the generator than about the server,
// or "". Threads that were at work for 90 % of the time could hardly have sent more. An open
// loop that sends one request in a hundred a millisecond late cannot blame the server for a
// millisecond.
func (r *Result) GeneratorBound() string {
	if r.Busy >= 0.9 {
		return fmt.Sprintf("the generator's threads were at work for %.0f %% of the time", 100*r.Busy)
	}
	if lag := time.Duration(r.Lag.ValueAtQuantile(99)) * time.Microsecond; r.Lag.TotalCount() > 0 && lag >= time.Millisecond {
		return fmt.Sprintf("the generator sent 1 %% of the requests %v late or more", lag)
	}
	return ""
}

// run is a plan while it is carried out. The threads only read it.
type run struct {
	Plan
	address  *net.TCPAddr // IPv4
	requests [][]byte     // as they go over the wire
	threads  int          // which share the connections and the arrivals
	clock    time.Time    // all times are nanoseconds since it
	begin    int64        // the first request may leave
	from, to int64        // the counted time
	stop     atomic.Bool
}

func (r *run) now() int64 { return int64(time.Since(r.clock)) }

// Run carries out a plan. It returns an error if the server cannot be reached; answers
// other than 200 are none. If ctx ends first, it returns what was seen until then, and the
// context's error.
func Run(ctx context.Context, p Plan) (*Result, error) {
	if len(p.Targets) == 0 || p.Conns < 1 || p.Duration <= 0 || p.Burst.At+p.Burst.For > p.Duration {
		return nil, errors.New("the load needs a target, a connection and a time")
	}
	if p.Timeout == 0 {
		p.Timeout = time.Minute
	}
	r := &run{Plan: p, clock: time.Now(), threads: min(p.Conns, max(1, cores()/2))}
	u, err := url.Parse(p.Targets[0].URL)
	if err == nil {
		r.address, err = net.ResolveTCPAddr("tcp4", u.Host)
	}
	if err != nil {
		return nil, err
	}
	for i := range p.Targets {
		r.requests = append(r.requests, p.Targets[i].Bytes())
	}
	// With a processor of Go's to spare its monitor does not take those away from threads
	// that wait in epoll, fifty thousand times a second.
	if before := runtime.GOMAXPROCS(0); before <= r.threads {
		runtime.GOMAXPROCS(r.threads + 1)
		defer runtime.GOMAXPROCS(before)
	}
	loops := make([]*loop, r.threads)
	for i := range loops {
		l, err := newLoop(r, i)
		defer l.close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.address, err)
		}
		loops[i] = l
	}
	r.begin = r.now()
	r.from = r.begin + int64(p.Warmup)
	r.to = r.from + int64(p.Duration)
	defer context.AfterFunc(ctx, func() { r.stop.Store(true) })()
	errs := make([]error, len(loops))
	var all sync.WaitGroup
	for i, l := range loops {
		all.Go(func() { errs[i] = l.send() })
	}
	all.Wait()
	return r.result(loops), errors.Join(ctx.Err(), errors.Join(errs...))
}

func (r *run) result(loops []*loop) *Result {
	total := newRecord()
	for _, l := range loops {
		total.merge(l.record)
	}
	elapsed := time.Duration(max(0, min(r.to, r.now())-r.from))
	result := &Result{
		Requests: total.latency.TotalCount(), Errors: total.errors, Answered: total.answered, Sent: total.sent, Elapsed: elapsed,
		Latency: total.latency, Refused: total.refused, Lag: total.lag, Timeline: total.timeline, ClientCPU: total.process,
	}
	if elapsed > 0 {
		result.Busy = max(0, float64(total.busy)/float64(elapsed)/float64(min(r.threads, cores())))
	}
	return result
}

// cores returns how many cores this process may use now.
func cores() int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return runtime.NumCPU()
	}
	return max(1, set.Count())
}

// used returns the processor time of this process or of this thread.
func used(who int) time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(who, &u) // it cannot fail for these two
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
