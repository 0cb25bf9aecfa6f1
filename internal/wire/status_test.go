package wire_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire"
)

func TestEveryCodeHasARow(t *testing.T) {
	want := map[infer.Code]struct {
		http, triton         int
		grpcCode, tritonGRPC codes.Code
		retry                bool
	}{
		infer.OK:               {200, 200, codes.OK, codes.OK, false},
		infer.Invalid:          {400, 400, codes.InvalidArgument, codes.InvalidArgument, false},
		infer.TooLarge:         {413, 413, codes.InvalidArgument, codes.InvalidArgument, false},
		infer.UnsupportedMedia: {415, 415, codes.InvalidArgument, codes.InvalidArgument, false},
		infer.Unauthenticated:  {401, 401, codes.Unauthenticated, codes.Unauthenticated, false},
		infer.Forbidden:        {403, 403, codes.PermissionDenied, codes.PermissionDenied, false},
		infer.NotFound:         {404, 404, codes.NotFound, codes.NotFound, false},
		infer.Conflict:         {409, 409, codes.Aborted, codes.Aborted, false},
		infer.Precondition:     {412, 412, codes.FailedPrecondition, codes.FailedPrecondition, false},
		infer.Overloaded:       {429, 503, codes.ResourceExhausted, codes.Unavailable, true},
		infer.Unavailable:      {503, 503, codes.Unavailable, codes.Unavailable, true},
		infer.Deadline:         {504, 503, codes.DeadlineExceeded, codes.Unavailable, false},
		infer.Canceled:         {499, 499, codes.Canceled, codes.Canceled, false},
		infer.Unsupported:      {501, 501, codes.Unimplemented, codes.Unimplemented, false},
		infer.Internal:         {500, 500, codes.Internal, codes.Internal, false},
		infer.NumCodes:         {500, 500, codes.Internal, codes.Internal, false}, // not a code
	}
	for code := range infer.NumCodes + 1 {
		row, ok := want[code]
		if !ok {
			t.Errorf("%v: no expectation", code)
		}
		if got := wire.HTTPStatus(code); got != row.http {
			t.Errorf("HTTPStatus(%v) = %d, want %d", code, got, row.http)
		}
		if got := wire.TritonHTTPStatus(code); got != row.triton {
			t.Errorf("TritonHTTPStatus(%v) = %d, want %d", code, got, row.triton)
		}
		if got := wire.GRPCCode(code); got != row.grpcCode {
			t.Errorf("GRPCCode(%v) = %v, want %v", code, got, row.grpcCode)
		}
		if got := wire.TritonGRPCCode(code); got != row.tritonGRPC {
			t.Errorf("TritonGRPCCode(%v) = %v, want %v", code, got, row.tritonGRPC)
		}
		if got := wire.Retry(code); got != row.retry {
			t.Errorf("Retry(%v) = %v, want %v", code, got, row.retry)
		}
	}
}
