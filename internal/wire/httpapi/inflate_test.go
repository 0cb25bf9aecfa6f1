//go:build !race

package httpapi

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"runtime"
	"testing"

	"sluice.io/sluice/internal/infer"
)

// What inflating allocates is bounded by what comes out, and by what could come
// out, whatever the stream says of its size.
func TestInflateAllocatesLittleMore(t *testing.T) {
	const limit = 16 << 20
	f := func(name string, from coding, body []byte, most uint64, code infer.Code) {
		t.Helper()
		var c codecs
		var before, after runtime.MemStats
		_, _ = c.inflate(nil, from, body[:0], limit) // makes what is kept
		runtime.ReadMemStats(&before)
		_, err := c.inflate(nil, from, body, limit)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > most || (err != nil) != (code != 0) || err != nil && infer.CodeOf(err) != code {
			t.Errorf("%s: %d bytes, %v, want at most %d bytes and code %v", name, got, err, most, code)
		}
	}
	compress := func(w io.WriteCloser, b *bytes.Buffer, n int) []byte {
		_, _ = w.Write(make([]byte, n))
		_ = w.Close()
		return b.Bytes()
	}
	gz := func(n int) []byte { var b bytes.Buffer; return compress(gzip.NewWriter(&b), &b, n) }
	zl := func(n int) []byte { var b bytes.Buffer; return compress(zlib.NewWriter(&b), &b, n) }
	const small = 128 << 10 // readers and the like

	f("gzip", gzipCoding, gz(limit), limit+small, 0)
	f("gzip beyond the limit", gzipCoding, gz(limit*4), limit+small, infer.TooLarge)
	f("deflate", deflateCoding, zl(limit), 3*limit, 0)
	f("deflate beyond the limit", deflateCoding, zl(limit*4), 3*limit, infer.TooLarge)
	lies := gz(10)
	copy(lies[len(lies)-4:], "\xff\xff\xff\xff")
	f("a size that is a lie", gzipCoding, lies, small, infer.Invalid)
}
