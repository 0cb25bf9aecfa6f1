package ort

import (
	"fmt"
	"reflect"
	"unsafe"

	binding "github.com/yalue/onnxruntime_go"
)

// handle returns the private pointer of the binding's SessionOptions. It is the only access to
// the binding's internals: the binding fills the options, and the shim creates the session from
// them. checkHandles has found the field before the first call.
func handle(o *binding.SessionOptions) cOptions {
	return cOptions(unsafe.Pointer(reflect.ValueOf(o).Elem().FieldByName("o").Pointer()))
}

// checkHandles returns an error if the binding's SessionOptions is not the struct that handle
// expects, as may happen after an upgrade of the binding.
func checkHandles() error {
	t := reflect.TypeFor[binding.SessionOptions]()
	field, ok := t.FieldByName("o")
	if t.NumField() != 1 || !ok || field.Type.Kind() != reflect.Pointer || field.Type.Elem().Name() != "_Ctype_struct_OrtSessionOptions" {
		return fmt.Errorf("this build of onnxruntime_go has another SessionOptions (%v) than its version 1.27.0", t)
	}
	return nil
}
