// Package wire is the common part of the listeners of all protocols: the one table from an error's
// code to a protocol's status, and the delay before a retry.
package wire

import (
	"net/http"

	"google.golang.org/grpc/codes"

	"sluice.io/sluice/internal/infer"
)

// statusClientClosedRequest is nginx's status for a caller that has left.
const statusClientClosedRequest = 499

const numCodes = infer.NumCodes

// statuses is the table. tritonHTTP and tritonGRPC are the statuses for answers that imitate Triton;
// 0 means that they are the same.
var statuses = [numCodes]struct {
	http, tritonHTTP int
	grpc, tritonGRPC codes.Code
	retry            bool
}{
	infer.OK:               {http: http.StatusOK, grpc: codes.OK},
	infer.Invalid:          {http: http.StatusBadRequest, grpc: codes.InvalidArgument},
	infer.TooLarge:         {http: http.StatusRequestEntityTooLarge, grpc: codes.InvalidArgument},
	infer.UnsupportedMedia: {http: http.StatusUnsupportedMediaType, grpc: codes.InvalidArgument},
	infer.Unauthenticated:  {http: http.StatusUnauthorized, grpc: codes.Unauthenticated},
	infer.Forbidden:        {http: http.StatusForbidden, grpc: codes.PermissionDenied},
	infer.NotFound:         {http: http.StatusNotFound, grpc: codes.NotFound},
	infer.Conflict:         {http: http.StatusConflict, grpc: codes.Aborted},
	infer.Precondition:     {http: http.StatusPreconditionFailed, grpc: codes.FailedPrecondition},
	infer.Overloaded:       {http: http.StatusTooManyRequests, tritonHTTP: http.StatusServiceUnavailable, grpc: codes.ResourceExhausted, tritonGRPC: codes.Unavailable, retry: true},
	infer.Unavailable:      {http: http.StatusServiceUnavailable, grpc: codes.Unavailable, retry: true},
	infer.Deadline:         {http: http.StatusGatewayTimeout, tritonHTTP: http.StatusServiceUnavailable, grpc: codes.DeadlineExceeded, tritonGRPC: codes.Unavailable},
	infer.Canceled:         {http: statusClientClosedRequest, grpc: codes.Canceled},
	infer.Unsupported:      {http: http.StatusNotImplemented, grpc: codes.Unimplemented},
	infer.Internal:         {http: http.StatusInternalServerError, grpc: codes.Internal},
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
	if code < numCodes && statuses[code].tritonHTTP != 0 {
		return statuses[code].tritonHTTP
	}
	return HTTPStatus(code)
}

// GRPCCode returns the gRPC status for a code.
func GRPCCode(code infer.Code) codes.Code {
	if code >= numCodes {
		code = infer.Internal
	}
	return statuses[code].grpc
}

// TritonGRPCCode is GRPCCode for clients that expect Triton's statuses.
func TritonGRPCCode(code infer.Code) codes.Code {
	if code < numCodes && statuses[code].tritonGRPC != 0 {
		return statuses[code].tritonGRPC
	}
	return GRPCCode(code)
}

// Retry reports whether the answer should ask the caller to retry later: nothing was done, and the
// cause is temporary.
func Retry(code infer.Code) bool { return code < numCodes && statuses[code].retry }
