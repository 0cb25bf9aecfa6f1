package batch_test

import (
	"testing"
	"time"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// Where run times do not follow from the shapes, who was served quickly before can
// still leave in time.
func TestWaitersLeaveRunsThatWereQuickBefore(t *testing.T) {
	virtual(t, func(t *testing.T) {
		takes := time.Duration(0)
		s := start(t, 1, func(o *batch.Options, slots []*fake) {
			o.Steady = false
			slots[0].takes = func(int) time.Duration { return takes }
		})
		for range 10 {
			s.send(request(0, 1, 1)).wantDoubled(t)
		}
		takes = time.Hour
		begin := time.Now()
		c := s.send(within(30*ms, request(1, 1, 1)))
		c.wantEnd(t, begin, 30*ms)
		c.wantCode(t, infer.Deadline)
	})
}
