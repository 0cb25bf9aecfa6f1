package app

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
)

// TestControlTimeout: a caller waits at most for control.timeout.
func TestControlTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config.Default()
		cfg.Control.Timeout = time.Minute
		c := control{&App{opts: Options{Config: cfg}}}
		began := time.Now()
		err := c.within(t.Context(), func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if infer.CodeOf(err) != infer.Unavailable || !strings.Contains(err.Error(), "control.timeout (1m0s)") {
			t.Errorf("got %v", err)
		}
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("waited %v, want 1m", waited)
		}
	})
}
