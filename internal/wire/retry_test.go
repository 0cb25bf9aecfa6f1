package wire_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire"
)

func TestRetryAfter(t *testing.T) {
	f := func(err error, want int) {
		t.Helper()
		if got := wire.RetryAfter(err); got != want {
			t.Errorf("%v: %d s, want %d", err, got, want)
		}
	}
	after := func(d time.Duration) error {
		return &infer.Error{Code: infer.Overloaded, Msg: d.String(), RetryAfter: d}
	}
	f(context.Canceled, 1)
	f(after(0), 1)
	f(after(-time.Hour), 1)
	f(after(time.Millisecond), 1)
	f(after(time.Second), 1)
	f(after(time.Second+1), 2)
	f(after(59500*time.Millisecond), 60)
	f(after(time.Hour), 60)
	f(after(math.MaxInt64), 60)
	f(fmt.Errorf("wrapped: %w", after(7*time.Second)), 7)
}
