// Package slowdisk helps tests in which a write does not end.
package slowdisk

import (
	"testing"
	"time"
)

// AtOnce calls f, and fails the test if it has not returned within a minute: then it waits for the write.
func AtOnce(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		t.Fatalf("%s waits", what)
	}
}
