package httpapi

import "unsafe"

// view returns bytes as a string without a copy. The bytes must not change while
// the string is in use: it is for names and ids inside the buffers of a request,
// which stay as they are until its handler has returned.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
