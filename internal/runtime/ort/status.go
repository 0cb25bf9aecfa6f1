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

// runCodes says what each status of a run means for the caller. A status that is not
// listed, of a later library for example, is Internal.
var runCodes = [...]struct {
	status statusCode
	code   infer.Code
}{
	{statusFail, infer.Internal},             // a kernel's general failure: the version, its memory, or values that the kernel does not check
	{statusInvalidArgument, infer.Invalid},   // a kernel looked at the values and refused them, an index out of range for example
	{statusNoSuchFile, infer.Internal},       // a file of the version has gone
	{statusNoModel, infer.Internal},          // the session has no model; a bug
	{statusEngineError, infer.Internal},      // the engine of an execution provider failed
	{statusRuntimeException, infer.Internal}, // a C++ exception: no memory, a broken model, or values that the kernel does not check
	{statusInvalidProtobuf, infer.Internal},  // about the model file
	{statusModelLoaded, infer.Internal},      // the session was loaded twice; a bug
	{statusNotImplemented, infer.Internal},   // the build has no kernel for this operator, type or shape: the version can never serve it
	{statusInvalidGraph, infer.Internal},     // about the model file
	{statusEPFail, infer.Internal},           // an execution provider failed, a device that is lost for example
	{statusLoadCanceled, infer.Internal},     // about loading
	{statusRequiresCompile, infer.Internal},  // about loading
	{statusNotFound, infer.Internal},         // the library lacks something that the version needs
	{statusDivided, infer.Invalid},           // ours: an integer was divided by zero, and the divisor is data
}

func runCode(status statusCode) infer.Code {
	for _, known := range runCodes {
		if known.status == status {
			return known.code
		}
	}
	return infer.Internal
}

// runError makes the error of a run from what the shim returned.
func (s *Slot) runError(err error) error {
	if s.terminated.Load() {
		return &infer.Error{Code: infer.Canceled, Op: "ort: run", Msg: "the run was terminated", Err: err}
	}
	status, ok := errors.AsType[*statusError](err)
	if !ok || runCode(status.code) != infer.Invalid {
		return internal("run", "the model failed to run", err)
	}
	return &infer.Error{
		Code: infer.Invalid, Op: "ort: run", Err: fmt.Errorf("%w: %w", infer.ErrRefused, err),
		Msg: fmt.Sprintf("model '%s' refused the values of the request: %s", s.session.model.Name, publicText(status.text)),
	}
}

const (
	// sourcePlace is a place in a C++ source file, and what ONNX Runtime writes after
	// it: the function, as its name or its whole signature, and the condition that
	// did not hold.
	sourcePlace = `\S+\.(?:h|hpp|cc|cpp|cu|cuh):\d+ ` +
		`(?:[^()'{}]*::[^()]*\((?:[^()]|\([^()]*\))*\)(?: const)?(?: \[with [^\]]*\])?|\w+) ?(?:.{0,200}? was false\. ?)?`
	// hostPath is a path of the host. The name of a node, which comes from the model
	// file, can look like one and is kept.
	hostPath = `Name:'[^']*'|[^\s/'",:;=(){}\[\]]*(?:/[^\s/'",:;(){}\[\]]+){2,}/?`
	// maxPublicText bounds what a caller is told, in bytes.
	maxPublicText = 400
)

var (
	sourcePlaces = regexp.MustCompile(sourcePlace)
	hostPaths    = regexp.MustCompile(hostPath)
)

// publicText returns what a caller may read of a status: node, operator and reason,
// without places in source files and without folders, printable and of bounded length.
func publicText(text string) string {
	const most = 16 * maxPublicText // more is not looked at
	text = strings.ToValidUTF8(text[:min(len(text), most)], "")
	text = sourcePlaces.ReplaceAllString(text, "")
	text = hostPaths.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasPrefix(found, "Name:") {
			return found
		}
		return path.Base(found)
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
