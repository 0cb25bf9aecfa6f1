// Package wire holds what the fronts of all protocols share: the one table from
// an error's code to what a protocol calls it, and the tokens that callers show.
package wire

import (
	"net/http"

	"sluice.io/sluice/internal/infer"
)

// statusClientClosedRequest is what nginx made the custom for a caller that left.
const statusClientClosedRequest = 499

const numCodes = infer.NumCodes

// statuses is the table. triton is the status where answers imitate Triton's;
// 0 means that it is the same.
var statuses = [numCodes]struct {
	http   int
	triton int
	retry  bool
}{
	infer.OK:               {http: http.StatusOK},
	infer.Invalid:          {http: http.StatusBadRequest},
	infer.TooLarge:         {http: http.StatusRequestEntityTooLarge},
	infer.UnsupportedMedia: {http: http.StatusUnsupportedMediaType},
	infer.Unauthenticated:  {http: http.StatusUnauthorized},
	infer.Forbidden:        {http: http.StatusForbidden},
	infer.NotFound:         {http: http.StatusNotFound},
	infer.Conflict:         {http: http.StatusConflict},
	infer.Precondition:     {http: http.StatusPreconditionFailed},
	infer.Overloaded:       {http: http.StatusTooManyRequests, triton: http.StatusServiceUnavailable, retry: true},
	infer.Unavailable:      {http: http.StatusServiceUnavailable, retry: true},
	infer.Deadline:         {http: http.StatusGatewayTimeout, triton: http.StatusServiceUnavailable},
	infer.Canceled:         {http: statusClientClosedRequest},
	infer.Unsupported:      {http: http.StatusNotImplemented},
	infer.Internal:         {http: http.StatusInternalServerError},
}

// HTTPStatus returns the status of an answer that ended with code.
func HTTPStatus(code infer.Code) int {
	if code >= numCodes {
		code = infer.Internal
	}
	return statuses[code].http
}

// TritonHTTPStatus is HTTPStatus for clients that expect Triton's choices.
func TritonHTTPStatus(code infer.Code) int {
	if code < numCodes && statuses[code].triton != 0 {
		return statuses[code].triton
	}
	return HTTPStatus(code)
}

// Retry reports whether the answer should ask the caller to try again later:
// nothing was done, and the cause passes by itself.
func Retry(code infer.Code) bool { return code < numCodes && statuses[code].retry }
