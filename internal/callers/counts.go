package callers

import (
	"maps"
	"sync"
	"sync/atomic"

	"sluice.io/sluice/internal/infer"
)

// otherCaller is the name under which callers beyond the max number are counted.
const otherCaller = "other"

// Counts are the requests of one caller. A nil Counts counts nothing.
type Counts struct {
	Requests [infer.NumCodes]atomic.Int64 // by the code of their answer
	Limited  atomic.Int64                 // requests that a limit of the caller has refused
}

// ByCode returns the number of requests by the name of their code, without those of which there are
// none.
func (c *Counts) ByCode() map[string]int64 {
	byCode := map[string]int64{}
	for code := range c.Requests {
		if n := c.Requests[code].Load(); n > 0 {
			byCode[infer.Code(code).String()] = n
		}
	}
	return byCode
}

func (c *Counts) limited() {
	if c != nil {
		c.Limited.Add(1)
	}
}

// Counters have the Counts of callers by name, at most a number of names. They outlive books, so that
// a count never goes down.
type Counters struct {
	mu    sync.Mutex
	most  int
	names map[string]*Counts
}

// NewCounters returns counters for at most a number of names. More callers share one, "other".
func NewCounters(most int) *Counters { return &Counters{most: most, names: map[string]*Counts{}} }

// of returns the counts of a caller.
func (c *Counters) of(name string) *Counts {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := c.names[name]
	if counts == nil && len(c.names) >= c.most {
		name = otherCaller
		counts = c.names[name]
	}
	if counts == nil {
		counts = &Counts{}
		c.names[name] = counts
	}
	return counts
}

// All returns the counts by name.
func (c *Counters) All() map[string]*Counts {
	if c == nil {
		return map[string]*Counts{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.names)
}
