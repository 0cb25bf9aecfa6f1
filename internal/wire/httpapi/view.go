package httpapi

import "unsafe"

// view returns bytes as a string without a copy. The bytes must not change while the string is
// used. It is for names and ids in the buffers of a request, which do not change until its handler
// has returned.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
