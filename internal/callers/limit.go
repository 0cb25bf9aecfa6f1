package callers

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"sluice.io/sluice/internal/infer"
)

// MaxLimits is the max number of limits of a caller, including those of its groups.
const MaxLimits = 32

// Limit bounds the requests of one caller to some models, taken together. 0 means no limit.
type Limit struct {
	Models            []string // as in a Rule
	RequestsPerSecond float64
	Burst             int // requests at once; at least 1 if RequestsPerSecond is set
	RowsPerSecond     float64
	RowsBurst         int   // rows at once; at least 1 if RowsPerSecond is set
	BytesInFlight     int64 // of requests in progress and their answers, in memory
}

// key identifies a limit whose state survives a reload.
func (l *Limit) key() string {
	return fmt.Sprintf("%q %g/%d %g/%d %d", l.Models, l.RequestsPerSecond, l.Burst, l.RowsPerSecond, l.RowsBurst, l.BytesInFlight)
}

// limit is a Limit of one caller, and how much of it is used.
type limit struct {
	Limit

	key            string
	patterns       []pattern
	every          bool
	requests, rows *rate.Limiter // nil: no limit
	bytes          atomic.Int64  // in flight
}

func newLimit(spec *Limit) *limit {
	l := &limit{Limit: *spec, key: spec.key()}
	for _, model := range spec.Models {
		l.every = l.every || model == everyModel
		l.patterns = append(l.patterns, compilePattern(model))
	}
	if spec.RequestsPerSecond > 0 {
		l.requests = rate.NewLimiter(rate.Limit(spec.RequestsPerSecond), spec.Burst)
	}
	if spec.RowsPerSecond > 0 {
		l.rows = rate.NewLimiter(rate.Limit(spec.RowsPerSecond), spec.RowsBurst)
	}
	return l
}

// newLimits makes limits. Those that are among the earlier ones keep their state.
func newLimits(specs []Limit, earlier []*limit) []*limit {
	list := make([]*limit, 0, len(specs))
	taken := map[*limit]bool{}
	for i := range specs {
		key, found := specs[i].key(), (*limit)(nil)
		for _, l := range earlier {
			if l.key == key && !taken[l] {
				found, taken[l] = l, true
				break
			}
		}
		if found == nil {
			found = newLimit(&specs[i])
		}
		list = append(list, found)
	}
	return list
}

func (l *limit) matches(model string) bool {
	if l.every {
		return true
	}
	for i := range l.patterns {
		if l.patterns[i].match(model) {
			return true
		}
	}
	return false
}

// Pass is a request that the limits of its caller have admitted. The zero value has no limits.
type Pass struct {
	caller *Caller
	limits uint32 // a bit for each limit of the caller that is about the request
}

// Admit counts a request of the caller to a model; "" stands for a request that names none. The
// error is Overloaded, with the time to wait.
func (c *Caller) Admit(model string, now time.Time) (Pass, error) {
	if len(c.limits) == 0 {
		return Pass{}, nil
	}
	p := Pass{caller: c}
	for i, l := range c.limits {
		if l.matches(model) {
			p.limits |= 1 << i
		}
	}
	return p, p.take(requestsOf, 1, now)
}

// Rows counts the rows of the request. The errors are Overloaded, with the time to wait, and
// TooLarge if the request has more rows than the limit can ever give at once.
func (p Pass) Rows(n int64) error {
	if p.limits == 0 {
		return nil
	}
	for i, l := range p.caller.limits {
		if p.has(i) && l.rows != nil && n > int64(l.rows.Burst()) {
			return infer.Errorf(infer.TooLarge, "the request has %d rows, and caller '%s' may send at most %d at once (rows_burst)%s: send fewer rows in a request",
				n, p.caller.name, l.rows.Burst(), l.about())
		}
	}
	return p.take(rowsOf, int(n), time.Now())
}

// kind is what a rate limits.
type kind uint8

const (
	requestsOf kind = iota
	rowsOf
)

func (l *limit) rate(k kind) *rate.Limiter {
	if k == requestsOf {
		return l.requests
	}
	return l.rows
}

func (p Pass) has(i int) bool { return p.limits&(1<<i) != 0 }

// take takes n of each matching rate, or of none.
func (p Pass) take(k kind, n int, now time.Time) error {
	if p.limits == 0 {
		return nil
	}
	if bits.OnesCount32(p.limits) > 1 { // so that a request which one limit refuses uses up nothing of the others
		for i, l := range p.caller.limits {
			if r := l.rate(k); p.has(i) && r != nil && r.TokensAt(now) < float64(n) {
				return p.refuse(l, k, n, now)
			}
		}
	}
	for i, l := range p.caller.limits {
		if r := l.rate(k); p.has(i) && r != nil && !r.AllowN(now, n) {
			return p.refuse(l, k, n, now)
		}
	}
	return nil
}

// refuse returns the error of a rate that has fewer than n left.
func (p Pass) refuse(l *limit, k kind, n int, now time.Time) error {
	what, key := "requests", "requests_per_second"
	if k == rowsOf {
		what, key = "rows", "rows_per_second"
	}
	r := l.rate(k)
	seconds := (float64(n) - r.TokensAt(now)) / float64(r.Limit())
	wait := time.Duration(min(max(seconds, 0), math.MaxInt32) * float64(time.Second))
	p.caller.counts.limited()
	e := infer.Errorf(infer.Overloaded, "caller '%s' sends more than %g %s a second (%s)%s: retry in %v",
		p.caller.name, float64(r.Limit()), what, key, l.about(), max(wait.Round(time.Millisecond), time.Millisecond))
	e.RetryAfter = wait
	return e
}

// Take counts n bytes that the request holds, until Give. The errors are Overloaded, and TooLarge if
// held, which is all that the request would hold, is more than the limit.
func (p Pass) Take(n, held int64) error {
	if p.limits == 0 {
		return nil
	}
	for i, l := range p.caller.limits {
		if !p.has(i) || l.BytesInFlight == 0 {
			continue
		}
		if l.bytes.Add(n) <= l.BytesInFlight {
			continue
		}
		l.bytes.Add(-n)
		for j, taken := range p.caller.limits[:i] {
			if p.has(j) && taken.BytesInFlight != 0 {
				taken.bytes.Add(-n)
			}
		}
		if held > l.BytesInFlight {
			return infer.Errorf(infer.TooLarge, "the request and its answer take more than the %d bytes of caller '%s' (bytes_in_flight)%s",
				l.BytesInFlight, p.caller.name, l.about())
		}
		p.caller.counts.limited()
		return infer.Errorf(infer.Overloaded, "the requests in progress of caller '%s' use all of its %d bytes (bytes_in_flight)%s: retry when some have ended",
			p.caller.name, l.BytesInFlight, l.about())
	}
	return nil
}

// Give gives back n bytes of Take.
func (p Pass) Give(n int64) {
	if p.limits == 0 {
		return
	}
	for i, l := range p.caller.limits {
		if p.has(i) && l.BytesInFlight != 0 {
			l.bytes.Add(-n)
		}
	}
}

// about names the models of the limit, for messages.
func (l *limit) about() string {
	if l.every {
		return ""
	}
	const most = 3
	names := l.Models[:min(most, len(l.Models))]
	more := ""
	if len(names) < len(l.Models) {
		more = " and others"
	}
	return " on models " + strings.Join(names, ", ") + more
}
