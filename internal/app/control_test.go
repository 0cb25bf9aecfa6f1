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

// TestControlTimeout holds that a caller is let go after control.timeout, and
// that the change it asked for goes on.
func TestControlTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config.Default()
		cfg.Control.Timeout = time.Minute
		r := &reconciler{commands: make(chan command), stopped: make(chan struct{})}
		c := control{&App{opts: Options{Config: cfg}, reconcile: r}}
		ended := make(chan error, 1)
		go func() { // ends with the command
			command := <-r.commands
			ended <- command.do(t.Context())
		}()
		began := time.Now()
		err := c.send(t.Context(), func(ctx context.Context) error {
			time.Sleep(time.Hour)
			return ctx.Err()
		})
		if infer.CodeOf(err) != infer.Unavailable || !strings.Contains(err.Error(), "control.timeout (1m0s)") {
			t.Errorf("got %v", err)
		}
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("waited %v, want 1m", waited)
		}
		if err := <-ended; err != nil {
			t.Errorf("the change was cut short: %v", err)
		}
	})
}
