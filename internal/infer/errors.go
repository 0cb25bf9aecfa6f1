package infer

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code is the kind of failure of an Error. The packages under wire map it to a status of each
// protocol.
type Code uint8

// The codes, in the order of the table in the protocol documentation.
const (
	OK Code = iota
	Invalid
	TooLarge
	UnsupportedMedia // the media type of the body is not supported
	Unauthenticated
	Forbidden
	NotFound
	Conflict
	Precondition
	Overloaded
	Unavailable
	Deadline
	Canceled
	Unsupported
	Internal
	NumCodes // the number of codes
)

var codeNames = [NumCodes]string{
	"ok", "invalid", "too_large", "unsupported_media", "unauthenticated", "forbidden", "not_found", "conflict", "precondition",
	"overloaded", "unavailable", "deadline", "canceled", "unsupported", "internal",
}

// String returns the code in lower case with underscores, as metrics label it.
func (c Code) String() string {
	if c >= NumCodes {
		return "unknown"
	}
	return codeNames[c]
}

// Error is the only error type that packages return to each other. Msg is for the caller and
// never has a path of the host. Op and Err are for the log.
type Error struct {
	Code Code
	Op   string // what failed, "ort: run" for example; may be empty
	Msg  string
	Err  error // the cause; may be nil
	// RetryAfter is the time after which a retry may succeed, 0 if it is unknown. It is used if
	// the protocol's answer has such a hint.
	RetryAfter time.Duration
}

// ErrStarted is the cause of an Error about a deadline that passed while the model was running,
// and not in a queue.
var ErrStarted = errors.New("the run had begun")

// ErrRefused is a cause of an Error of code Invalid: the request matches the signature, but the
// model does not accept its values. The version is not at fault, and such refusals are counted
// separately.
var ErrRefused = errors.New("the model refused the values")

// ErrMaybeRefused is a cause of an Error of code Internal: the run failed because of the
// request's values or because of the version, but not for lack of memory. Msg is the reason,
// which the caller may read if the values were the cause: see Refused.
var ErrMaybeRefused = errors.New("the values or the version are at fault")

// ErrVersionWell is a cause of an Error from a run that failed although the version still
// answers an input that it has answered before, so the version is not at fault. The code is
// Invalid, with ErrRefused as another cause, if the run failed with ErrMaybeRefused. It is
// Internal if the run failed for another reason, for lack of memory for example.
var ErrVersionWell = errors.New("the version still answers a known input")

// Error returns operation, message and cause, for logs.
func (e *Error) Error() string {
	s := e.Msg
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a message and no cause.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Msg: fmt.Sprintf(format, args...)}
}

// Refused returns the Error of a request whose values a model refused. The reason is for the
// caller, the cause for the log.
func Refused(model, reason string, cause error) *Error {
	return &Error{
		Code: Invalid, Msg: fmt.Sprintf("model '%s' refused the values of the request: %s", model, reason),
		Err: fmt.Errorf("%w: %w", ErrRefused, cause),
	}
}

// CodeOf returns the code of the first Error in err's chain. Context errors map to Deadline and
// Canceled, nil to OK and all other errors to Internal.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return Deadline
	case errors.Is(err, context.Canceled):
		return Canceled
	default:
		return Internal
	}
}

// Message returns the text of err for a caller: an Error's Msg, and a fixed text for an
// internal error, whose details belong in the log. err is not nil.
func Message(err error) string {
	var e *Error
	code := CodeOf(err)
	switch {
	case code == Internal:
		return "internal error; the log has the details under this request id"
	case errors.As(err, &e):
		return e.Msg
	case code == Deadline:
		return "deadline exceeded"
	default:
		return "request canceled"
	}
}
