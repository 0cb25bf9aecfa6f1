package grpcapi

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice.io/sluice/internal/infer"
)

// Under compat: triton a deadline has Triton's status, but for the call's own, which the client's
// library may report first.
func TestStatusOfDeadlines(t *testing.T) {
	f := func(passed bool, triton bool, want codes.Code) {
		t.Helper()
		left := time.Hour
		if passed {
			left = 0
		}
		ctx, cancel := context.WithTimeout(t.Context(), left)
		defer cancel()
		x := &exchange{srv: &Server{opts: Options{Triton: triton}}}
		if got := status.Code(x.fail(ctx, infer.Errorf(infer.Deadline, "too late"))); got != want {
			t.Errorf("passed %v, triton %v: got %v, want %v", passed, triton, got, want)
		}
	}
	f(false, false, codes.DeadlineExceeded)
	f(true, false, codes.DeadlineExceeded)
	f(false, true, codes.Unavailable)
	f(true, true, codes.DeadlineExceeded)
}
