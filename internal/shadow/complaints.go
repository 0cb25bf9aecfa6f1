package shadow

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

const (
	// causePanic is the cause of a complaint besides the codes.
	causePanic = int(infer.NumCodes)
	// complainEvery is how often a cause is logged: a shadow may fail with every request. The
	// first log line and the counters show that it does.
	complainEvery = time.Minute
)

// complaints remembers which causes were logged.
type complaints struct {
	mu     sync.Mutex
	again  [causePanic + 1]time.Time // when the cause may be logged again
	unsaid [causePanic + 1]int       // how often it was not logged since then
}

// due reports whether a cause should be logged now, and how often it was not logged since the
// last time.
func (c *complaints) due(cause int, now time.Time) (unsaid int, due bool) {
	cause = min(cause, causePanic)
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.again[cause]) {
		c.unsaid[cause]++
		return 0, false
	}
	unsaid = c.unsaid[cause]
	c.again[cause], c.unsaid[cause] = now.Add(complainEvery), 0
	return unsaid, true
}

// complain logs the failure of a copy, at most once per cause and minute.
func (m *Mirror) complain(cause int, what string, s *sample, fields ...zap.Field) {
	unsaid, due := m.complaints.due(cause, time.Now())
	if !due {
		return
	}
	if cause == causePanic { // the stack still has it
		fields = append(fields, zap.Stack("stack"))
	}
	m.log.Warn(what, append(fields, zap.String("model", m.opts.Version.Model), zap.Int64("version", m.opts.Version.Number),
		zap.String("route", s.req.Served.Route), zap.String("request_id", s.req.RequestID), zap.Int("unsaid", unsaid))...)
}
