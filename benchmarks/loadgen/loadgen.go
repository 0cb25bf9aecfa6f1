// Package loadgen sends load to an HTTP server and measures it.
//
// On Linux a few threads, each with an epoll loop, carry all connections: a
// request costs little more than its two system calls. Elsewhere, and over TLS, a
// goroutine per connection does the same.
package loadgen

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run saw. Requests count that began, or were due, within the
// counted time, even where their answers came later.
type Result struct {
	Requests int64         // answered 200
	Errors   map[int]int64 // other statuses; 0 for a broken connection or a timeout
	Answered int64         // 200s that came within the counted time, whenever begun
	Sent     int64         // requests that were written in the whole run
	Elapsed  time.Duration // the counted time

	// Latency holds the microseconds of answers 200, from when a request was due in
	// an open loop and from when it was sent in a closed one. Refused holds those of
	// other answers.
	Latency, Refused *hdrhistogram.Histogram
	// Lag holds by how many microseconds requests of an open loop left late though a
	// connection was free: what the generator itself adds.
	Lag      *hdrhistogram.Histogram
	Timeline []Slice

	ClientCPU time.Duration // of this process during the counted time
	Spun      time.Duration // of that, in a loop that waited for a due time; none if Plan.Asleep
	// Busy is the share of the counted time that the sending threads, or as many
	// cores as they may use, were at work, without waiting in a loop for a due time.
	Busy float64
	// Starved is the share of the counted time that the threads waited for a core
	// which others used: the server, where they share cores. Latencies include it.
	Starved float64
	Threads int
}

// Slice is a tenth of a second of the counted time or, at the end, after it.
type Slice struct {
	Due      int64         `json:"due"`      // requests of an open loop that should leave
	Answered int64         `json:"answered"` // answers 200
	Refused  int64         `json:"refused"`  // other answers
	Failed   int64         `json:"failed"`   // connections broken, timeouts
	Worst    time.Duration `json:"worst_ns"` // latency of what ended
}

// Rate returns the answers 200 per second of the counted time.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Answered) / r.Elapsed.Seconds()
}

// The limits of GeneratorBound.
const (
	boundBusy = 0.9
	boundLag  = time.Millisecond
)

// GeneratorBound returns why a result says more about the generator than about
// the server, or "". Threads that were at work for 90 % of the time had hardly any
// left in which to wait for the server: more could not have been sent. An open
// loop of which one request in a hundred leaves a millisecond late, though a
// connection was free, has no right to blame the server for a millisecond.
func (r *Result) GeneratorBound() string {
	if r.Busy >= boundBusy {
		return fmt.Sprintf("the generator's threads were at work for %.0f %% of the time", 100*r.Busy)
	}
	if lag := time.Duration(r.Lag.ValueAtQuantile(99)) * time.Microsecond; r.Lag.TotalCount() > 0 && lag >= boundLag {
		return fmt.Sprintf("the generator sent 1 %% of the requests %v late or more", lag)
	}
	return ""
}

// Closed keeps c requests in flight for d: each of c connections sends its next
// request when the last was answered. In a closed loop a stalled server is also
// sent less, so its latencies are flattered; its throughput is not. That no
// request was answered 200 is an error.
func Closed(ctx context.Context, t Target, c int, d time.Duration) (*Result, error) {
	r, err := Run(ctx, Plan{Targets: []Target{t}, Conns: c, Duration: d})
	if err == nil && r.Requests == 0 {
		err = fmt.Errorf("no request was answered 200; errors by status: %v", r.Errors)
	}
	return r, err
}
