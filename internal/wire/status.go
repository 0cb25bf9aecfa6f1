// Package wire is the common part of the listeners of all protocols: the one table from an error's
// code to a protocol's status, and the tokens of callers.
package wire

import (
	"net/http"

	"sluice.io/sluice/internal/infer"
)

// statusClientClosedRequest is nginx's status for a caller that has left.
const statusClientClosedRequest = 499

const numCodes = infer.NumCodes

// statuses is the table. triton is the status for answers that imitate Triton; 0 means that it is
// the same.
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

// HTTPStatus returns the HTTP status for a code.
func HTTPStatus(code infer.Code) int {
	if code >= numCodes {
		code = infer.Internal
	}
	return statuses[code].http
}

// TritonHTTPStatus is HTTPStatus with Triton's choices.
func TritonHTTPStatus(code infer.Code) int {
	if code < numCodes && statuses[code].triton != 0 {
		return statuses[code].triton
	}
	return HTTPStatus(code)
}

// Retry reports whether the answer should ask the caller to retry later: nothing was done, and the
// cause is temporary.
func Retry(code infer.Code) bool { return code < numCodes && statuses[code].retry }
