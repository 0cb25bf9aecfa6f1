package ort

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode"

	"sluice.io/sluice/internal/infer"
)

// statusError is a status of ONNX Runtime. Its text can hold paths of the host.
type statusError struct {
	code statusCode
	text string
}

func (e *statusError) Error() string { return e.text }

// cause says what may have caused the failure of a run.
type cause uint8

const (
	byVersion cause = iota // the version, its files, its device, or a bug
	byEither               // the version or the values of the request
	byValues               // the values
)

// runCauses gives the cause for each status of a run. A status that is not listed, of a later
// library for example, is byVersion.
var runCauses = [...]struct {
	status statusCode
	cause  cause
}{
	{statusFail, byEither},             // a kernel's general failure: the version, its memory, or values that the kernel does not check
	{statusInvalidArgument, byValues},  // a kernel looked at the values and refused them, an index out of range for example
	{statusNoSuchFile, byVersion},      // a file of the version is missing
	{statusNoModel, byVersion},         // the session has no model; a bug
	{statusEngineError, byVersion},     // the engine of an execution provider failed
	{statusRuntimeException, byEither}, // a C++ exception: no memory, a broken model, or values that the kernel does not check
	{statusInvalidProtobuf, byVersion}, // about the model file
	{statusModelLoaded, byVersion},     // the session was loaded twice; a bug
	{statusNotImplemented, byEither},   // the build has no kernel for this operator, type or shape
	{statusInvalidGraph, byVersion},    // about the model file
	{statusEPFail, byVersion},          // an execution provider failed, because a device was lost for example
	{statusLoadCanceled, byVersion},    // about loading
	{statusRequiresCompile, byVersion}, // about loading
	{statusNotFound, byVersion},        // the library lacks something that the version needs
	{statusDivided, byValues},          // of the shim: an integer was divided by zero, and the divisor is data
}

// causeOf returns what may have caused a failed run that returned e.
func causeOf(e *statusError) cause {
	for _, known := range runCauses {
		if known.status == e.code {
			if known.cause == byEither && outOfMemory.MatchString(e.text) {
				return byVersion
			}
			return known.cause
		}
	}
	return byVersion
}

// outOfMemory matches the messages of the allocators of ONNX Runtime, of C++ and of devices if
// there is no memory. There is no status for that.
var outOfMemory = regexp.MustCompile(`(?i)bad_alloc|out of memory|failed to allocate|cannot allocate|allocation failed|alloc_failed|available memory of`)

// runError makes the error of a run from the error of the shim.
func (inst *Instance) runError(err error) error {
	if inst.terminated.Load() {
		return &infer.Error{Code: infer.Canceled, Op: "ort: run", Msg: "the run was terminated", Err: err}
	}
	status, ok := errors.AsType[*statusError](err)
	if !ok {
		return internal("run", "the model failed to run", err)
	}
	switch causeOf(status) {
	case byValues:
		return infer.Refused(inst.session.model.Name, publicText(status.text), err)
	case byEither:
		return internal("run", publicText(status.text), fmt.Errorf("%w: %w", infer.ErrMaybeRefused, err))
	default:
		return internal("run", "the model failed to run", err)
	}
}

const (
	// sourcePlace matches a place in a C++ source file, and what ONNX Runtime writes after it:
	// the function, as its name or its whole signature, and the condition that did not hold.
	sourcePlace = `\S+\.(?:h|hpp|cc|cpp|cu|cuh):\d+ ` +
		`(?:[^()'{}]*::[^()]*\((?:[^()]|\([^()]*\))*\)(?: const)?(?: \[with [^\]]*\])?|\w+) ?(?:.{0,200}? was false\. ?)?`
	// hostPlace matches an address in memory or a path of the host. The name of a node, which
	// comes from the model file, can look like one and is kept.
	hostPlace = `Name:'[^']*'|\b0[xX][0-9a-fA-F]{6,}\b|[^\s/'",:;=(){}\[\]]*(?:/[^\s/'",:;(){}\[\]]+){2,}/?`
	// maxPublicText bounds a text for callers, in bytes.
	maxPublicText = 400
)

var (
	sourcePlaces = regexp.MustCompile(sourcePlace)
	hostPlaces   = regexp.MustCompile(hostPlace)
)

// publicText returns the part of a status that a caller may read: node, operator and reason,
// without places in source files, addresses and folders, printable and of bounded length.
func publicText(text string) string {
	const most = 16 * maxPublicText // the rest is ignored
	text = strings.ToValidUTF8(text[:min(len(text), most)], "")
	text = sourcePlaces.ReplaceAllString(text, "")
	text = hostPlaces.ReplaceAllStringFunc(text, func(found string) string {
		switch {
		case strings.HasPrefix(found, "Name:"):
			return found
		case !strings.Contains(found, "/"):
			return "0x…"
		default:
			return path.Base(found)
		}
	})
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxPublicText {
		text = strings.ToValidUTF8(text[:maxPublicText], "") + "…"
	}
	return text
}
