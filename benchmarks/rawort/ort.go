package main

/*
#cgo CFLAGS: -O2 -I${SRCDIR}/../../.deps/onnxruntime/include
#cgo LDFLAGS: -ldl -lpthread
#include <stdlib.h>
#include "loop.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"
)

// check turns what C says into an error.
func check(message *C.char) error {
	if message == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(message))
	return errors.New(C.GoString(message))
}

func openLibrary(path string) error {
	c := C.CString(path)
	defer C.free(unsafe.Pointer(c))
	if err := check(C.raw_open(c)); err != nil {
		return fmt.Errorf("ONNX Runtime: %w", err)
	}
	return nil
}

// session is a model that is loaded.
type session struct{ c *C.raw_session }

func load(model string, arena bool) (*session, error) {
	path, wanted := C.CString(model), C.int(0)
	defer C.free(unsafe.Pointer(path))
	if arena {
		wanted = 1
	}
	s := new(session)
	if err := check(C.raw_load(path, wanted, &s.c)); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *session) close() { C.raw_unload(s.c) }

// tensors are the memory of one thread.
type tensors struct {
	session *session
	c       *C.raw_tensors
}

func (s *session) prepare(input []float32, shape []int64) (tensors, error) {
	t := tensors{session: s}
	err := check(C.raw_prepare(s.c, (*C.float)(unsafe.SliceData(input)), (*C.int64_t)(unsafe.SliceData(shape)), C.size_t(len(shape)), &t.c))
	return t, err
}

func (t tensors) close() { C.raw_release(t.session.c, t.c) }

// output is a tensor as the V2 protocol has it in JSON.
type output struct {
	Name     string    `json:"name"`
	Datatype string    `json:"datatype"`
	Shape    []int64   `json:"shape"`
	Data     []float32 `json:"data"`
}

// run runs the model once.
func (t tensors) run() ([]output, error) {
	if err := check(C.raw_run(t.session.c, t.c)); err != nil {
		return nil, err
	}
	list := make([]output, C.raw_outputs(t.session.c))
	for i := range list {
		var dims *C.int64_t
		var rank, elements C.size_t
		data := C.raw_output(t.c, C.size_t(i), &dims, &rank, &elements)
		list[i] = output{
			Name: C.GoString(C.raw_output_name(t.session.c, C.size_t(i))), Datatype: "FP32",
			Shape: slices.Clone(unsafe.Slice((*int64)(dims), rank)),
			Data:  slices.Clone(unsafe.Slice((*float32)(data), elements)),
		}
	}
	return list, nil
}

// loop runs the model on a thread for each of the tensors, and returns the runs per second
// of all together.
func (s *session) loop(list []tensors, warmup, d time.Duration) (rate float64, err error) {
	all, counts := make([]*C.raw_tensors, len(list)), make([]C.raw_count, len(list))
	for i := range list {
		all[i] = list[i].c
	}
	C.raw_loop(s.c, unsafe.SliceData(all), C.size_t(len(all)), C.int64_t(warmup), C.int64_t(d), unsafe.SliceData(counts))
	for _, c := range counts {
		err = errors.Join(err, check(c.message))
		rate += float64(c.runs) / time.Duration(c.elapsed).Seconds()
	}
	return rate, err
}
