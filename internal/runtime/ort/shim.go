package ort

/*
#cgo CFLAGS: -I${SRCDIR}/../../../.deps/onnxruntime/include
#cgo LDFLAGS: -ldl
#cgo noescape shim_run
#cgo nocallback shim_run
#cgo noescape shim_bind
#cgo nocallback shim_bind
#include <stdlib.h>
#include "ort_shim.h"
*/
import "C"

import (
	"errors"
	"strings"
	"unsafe"

	"sluice.io/sluice/internal/infer"
)

// This file is the boundary to C: every call into the shim is here, so the rest of the package
// is ordinary Go. ONNX Runtime's objects have these types.
type (
	cEnv        = *C.OrtEnv
	cSession    = *C.OrtSession
	cOptions    = *C.OrtSessionOptions
	cRunOptions = *C.OrtRunOptions
	cPlan       = *C.shim_plan
	cResult     = C.shim_result
)

// statusCode is an OrtErrorCode, or a code of the shim.
type statusCode C.OrtErrorCode

const (
	statusFail             = statusCode(C.ORT_FAIL)
	statusInvalidArgument  = statusCode(C.ORT_INVALID_ARGUMENT)
	statusNoSuchFile       = statusCode(C.ORT_NO_SUCHFILE)
	statusNoModel          = statusCode(C.ORT_NO_MODEL)
	statusEngineError      = statusCode(C.ORT_ENGINE_ERROR)
	statusRuntimeException = statusCode(C.ORT_RUNTIME_EXCEPTION)
	statusInvalidProtobuf  = statusCode(C.ORT_INVALID_PROTOBUF)
	statusModelLoaded      = statusCode(C.ORT_MODEL_LOADED)
	statusNotImplemented   = statusCode(C.ORT_NOT_IMPLEMENTED)
	statusInvalidGraph     = statusCode(C.ORT_INVALID_GRAPH)
	statusEPFail           = statusCode(C.ORT_EP_FAIL)
	statusLoadCanceled     = statusCode(C.ORT_MODEL_LOAD_CANCELED)
	statusRequiresCompile  = statusCode(C.ORT_MODEL_REQUIRES_COMPILATION)
	statusNotFound         = statusCode(C.ORT_NOT_FOUND)
	statusDivided          = statusCode(C.SHIM_DIVIDED)
)

// check converts a status to a *statusError and releases it.
func check(status *C.OrtStatus) error {
	if status == nil {
		return nil
	}
	defer C.shim_release_status(status)
	return &statusError{
		code: statusCode(C.shim_status_code(status)),
		text: strings.TrimSpace(C.GoString(C.shim_status_message(status))),
	}
}

// withCString calls f with s as a C string. A NUL inside would cut s short, so it is an error.
func withCString(s string, f func(*C.char) error) error {
	if strings.IndexByte(s, 0) >= 0 {
		return errors.New("a name or path has a NUL character")
	}
	c := C.CString(s)
	defer C.free(unsafe.Pointer(c))
	return f(c)
}

func openLibrary(path string) error {
	return withCString(path, func(c *C.char) error {
		message := C.shim_open(c)
		if message == nil {
			return nil
		}
		defer C.free(unsafe.Pointer(message))
		return errors.New(C.GoString(message))
	})
}

func libraryVersion() string { return C.GoString(C.shim_version()) }

func createEnv(threads int) (env cEnv, err error) {
	err = check(C.shim_create_env(C.int(threads), &env))
	return env, err
}

func releaseEnv(env cEnv) { C.shim_release_env(env) }

func availableProviders() ([]string, error) {
	var names **C.char
	var count C.int
	if err := check(C.shim_providers(&names, &count)); err != nil {
		return nil, err
	}
	defer C.shim_free_providers(names, count)
	list := make([]string, count)
	for i, name := range unsafe.Slice(names, count) {
		list[i] = C.GoString(name)
	}
	return list, nil
}

func registerCustomOps(options cOptions, path string) error {
	return withCString(path, func(c *C.char) error { return check(C.shim_register_custom_ops(options, c)) })
}

func useGlobalThreads(options cOptions) error { return check(C.shim_use_global_threads(options)) }

// hasConfig reports whether a session config entry is set.
func hasConfig(options cOptions, key string) (has bool, err error) {
	err = withCString(key, func(c *C.char) error {
		var n C.int
		defer func() { has = n != 0 }()
		return check(C.shim_has_config(options, c, &n))
	})
	return has, err
}

func createSession(env cEnv, path string, options cOptions) (s cSession, err error) {
	err = withCString(path, func(c *C.char) error { return check(C.shim_create_session(env, c, options, &s)) })
	return s, err
}

// createSessionFrom makes a session of a model in memory, which is not used afterwards.
func createSessionFrom(env cEnv, model []byte, options cOptions) (s cSession, err error) {
	err = check(C.shim_create_session_from(env, unsafe.Pointer(unsafe.SliceData(model)), C.size_t(len(model)), options, &s))
	return s, err
}

func releaseSession(s cSession) { C.shim_release_session(s) }

func trimHeap() { C.shim_trim() }

// argumentKind distinguishes a session's inputs, outputs and optional inputs.
type argumentKind C.int

const (
	inputs         argumentKind = C.SHIM_INPUT
	outputs        argumentKind = C.SHIM_OUTPUT
	optionalInputs argumentKind = C.SHIM_INITIALIZER
)

// argument is one input or output as the model file declares it.
type argument struct {
	name     string
	kind     onnxType
	element  onnxType // of a sequence or an optional
	dtype    onnxDType
	hasShape bool
	shape    infer.Shape
	symbols  []string
}

func arguments(s cSession, kind argumentKind) ([]argument, error) {
	var n C.size_t
	if err := check(C.shim_count(s, C.int(kind), &n)); err != nil {
		return nil, err
	}
	list := make([]argument, n)
	for i := range list {
		var err error
		if list[i], err = readArgument(s, kind, i); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func readArgument(s cSession, kind argumentKind, index int) (argument, error) {
	var spec C.shim_spec
	defer C.shim_free_spec(&spec)
	if err := check(C.shim_get_spec(s, C.int(kind), C.size_t(index), &spec)); err != nil {
		return argument{}, err
	}
	a := argument{
		name: C.GoString(spec.name), kind: onnxType(spec._type), element: onnxType(spec.element_type),
		dtype: onnxDType(spec.dtype), hasShape: spec.has_shape != 0,
		shape: make(infer.Shape, spec.rank), symbols: make([]string, spec.rank),
	}
	for i := range a.shape {
		a.shape[i] = max(-1, int64(spec.dims[i]))
		if a.shape[i] < 0 {
			a.symbols[i] = C.GoString(spec.symbols[i])
		}
	}
	return a, nil
}

func createRunOptions() (o cRunOptions, err error) {
	err = check(C.shim_create_run_options(&o))
	return o, err
}

func releaseRunOptions(o cRunOptions)     { C.shim_release_run_options(o) }
func setTerminate(o cRunOptions) error    { return check(C.shim_terminate(o)) }
func unsetTerminate(o cRunOptions) error  { return check(C.shim_unset_terminate(o)) }
func allocate(bytes int64) unsafe.Pointer { return C.shim_alloc(C.size_t(bytes)) }
func deallocate(p unsafe.Pointer)         { C.free(p) }
func newCString(s string) unsafe.Pointer  { return unsafe.Pointer(C.CString(s)) }
func newCPlan(inputs, outputs int) cPlan  { return C.shim_new_plan(C.size_t(inputs), C.size_t(outputs)) }
func freeCPlan(p cPlan)                   { C.shim_free_plan(p) }
func setInputName(p cPlan, i int, name unsafe.Pointer) {
	unsafe.Slice(p.input_names, p.inputs)[i] = (*C.char)(name)
}

func setOutputName(p cPlan, i int, name unsafe.Pointer) {
	unsafe.Slice(p.output_names, p.outputs)[i] = (*C.char)(name)
}

func releaseInputs(p cPlan)  { C.shim_release_values(p.input_values, p.inputs) }
func releaseOutputs(p cPlan) { C.shim_release_values(p.output_values, p.outputs) }

// bindInput makes input i of the plan a tensor over memory of an instance.
func bindInput(p cPlan, i int, dtype infer.DType, memory []byte, shape infer.Shape) error {
	value := &unsafe.Slice(p.input_values, p.inputs)[i]
	data := unsafe.Pointer(unsafe.SliceData(memory))
	dims := (*C.int64_t)(unsafe.SliceData(shape))
	if dtype == infer.Bytes {
		return check(C.shim_bind_strings(value, (*C.char)(data), C.size_t(len(memory)), dims, C.size_t(len(shape))))
	}
	return check(C.shim_bind(value, C.int(fromDType(dtype)), data, C.size_t(len(memory)), dims, C.size_t(len(shape))))
}

// bindOutput makes output i of the plan a tensor over memory of an instance.
func bindOutput(p cPlan, i int, dtype infer.DType, memory []byte, shape infer.Shape) error {
	value := &unsafe.Slice(p.output_values, p.outputs)[i]
	dims := (*C.int64_t)(unsafe.SliceData(shape))
	return check(C.shim_bind(value, C.int(fromDType(dtype)), unsafe.Pointer(unsafe.SliceData(memory)), C.size_t(len(memory)), dims, C.size_t(len(shape))))
}

// run is the call on the request path. results is nil if the plan's outputs are bound.
func run(s cSession, o cRunOptions, p cPlan, results *cResult) error {
	return check(C.shim_run(s, o, p, results))
}

// newResults returns room for n results in C memory.
func newResults(n int) *cResult {
	return (*cResult)(C.calloc(C.size_t(max(n, 1)), C.sizeof_shim_result))
}

func freeResults(r *cResult) { C.free(unsafe.Pointer(r)) }

// result is a view of one output that the runtime allocated.
type result struct{ *cResult }

func resultAt(r *cResult, i int) result { return result{&unsafe.Slice(r, i+1)[i]} }

func (r result) shape(dst infer.Shape) infer.Shape {
	for _, d := range r.dims[:r.rank] {
		dst = append(dst, int64(d))
	}
	return dst
}

// bytes returns the data, which belongs to the output's value.
func (r result) bytes(d infer.DType) []byte {
	return unsafe.Slice((*byte)(r.data), int(r.elements)*d.Size())
}

// textBytes returns the size of all strings in the form of infer.Tensor's Data.
func (r result) textBytes() int64 { return int64(r.text + 4*r.elements) }

// readStrings writes the strings of output i in the same format to memory.
func readStrings(p cPlan, i int, memory []byte) error {
	value := unsafe.Slice(p.output_values, p.outputs)[i]
	return check(C.shim_read_strings(value, (*C.char)(unsafe.Pointer(unsafe.SliceData(memory))), C.size_t(len(memory))))
}
