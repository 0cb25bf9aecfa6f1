package wire_test

import (
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire"
)

func TestEveryCodeHasARow(t *testing.T) {
	want := map[infer.Code]struct {
		http, triton int
		retry        bool
	}{
		infer.OK:               {200, 200, false},
		infer.Invalid:          {400, 400, false},
		infer.TooLarge:         {413, 413, false},
		infer.UnsupportedMedia: {415, 415, false},
		infer.Unauthenticated:  {401, 401, false},
		infer.Forbidden:        {403, 403, false},
		infer.NotFound:         {404, 404, false},
		infer.Conflict:         {409, 409, false},
		infer.Precondition:     {412, 412, false},
		infer.Overloaded:       {429, 503, true},
		infer.Unavailable:      {503, 503, true},
		infer.Deadline:         {504, 503, false},
		infer.Canceled:         {499, 499, false},
		infer.Unsupported:      {501, 501, false},
		infer.Internal:         {500, 500, false},
		infer.NumCodes:         {500, 500, false}, // not a code
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
		if got := wire.Retry(code); got != row.retry {
			t.Errorf("Retry(%v) = %v, want %v", code, got, row.retry)
		}
	}
}
