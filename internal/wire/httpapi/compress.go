package httpapi

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"sluice.io/sluice/internal/infer"
)

// compressionLevel is the fastest level: an answer is mostly floats, which higher levels hardly
// compress further.
const compressionLevel = gzip.BestSpeed

// minRoom is the min step in which room for decompressed bytes grows.
const minRoom = 4 << 10

// The memory of a reader and of a writer of gzip and deflate, in bytes. The exchange reserves it while
// it uses one. zstd.go has those of zstd.
const (
	readerBytes = 48 << 10
	writerBytes = 800 << 10
)

// codecs pools readers and writers.
type codecs struct{ readers, writers [codings]sync.Pool }

// inflater is a reader of any format. reset reads the header of the new stream.
type inflater struct {
	io.Reader
	reset func(io.Reader) error
	zstd  *zstd.Decoder // with zstd instead of reset
	large bool          // zstd has a window larger than keptWindow
	src   bytes.Reader
	probe [1]byte // for reading beyond a full buffer
}

// grower returns a buffer with a capacity of at least size, at most most bytes, and the content of
// buf. After an error it returns buf.
type grower func(buf []byte, size, most int) ([]byte, error)

// inflate appends the decompressed body to dst, at most limit bytes, and calls grow for each step
// of the room. It ignores the size that the stream states. Errors are Invalid, TooLarge beyond
// limit, and those of grow.
func (c *codecs) inflate(dst []byte, from coding, body []byte, limit int, grow grower) ([]byte, error) {
	z, _ := c.readers[from].Get().(*inflater)
	if z == nil {
		z = &inflater{}
	}
	z.src.Reset(body)
	defer func() {
		if z.close() {
			c.readers[from].Put(z)
		}
	}()
	err := z.open(from, body)
	if err == nil {
		dst, err = z.readUpTo(dst, limit, max(minRoom, 2*len(body)), grow)
	}
	refused, ok := errors.AsType[*infer.Error](err)
	switch {
	case ok:
		return dst, refused
	case err == nil && z.src.Len() > 0:
		return dst, infer.Errorf(infer.Invalid, "the body has %d bytes after its %v stream", z.src.Len(), from)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return dst, infer.Errorf(infer.Invalid, "the body is an incomplete %v stream", from)
	case err != nil:
		return dst, infer.Errorf(infer.Invalid, "the body is not a valid %v stream", from)
	}
	return dst, nil
}

// open begins to read src, which has body.
func (z *inflater) open(from coding, body []byte) error {
	switch {
	case from == zstdCoding:
		return openZstd(z, body)
	case z.reset != nil:
		return z.reset(&z.src)
	case from == deflateCoding:
		return openZlib(z)
	default:
		return openGzip(z)
	}
}

// close lets go of the body, and reports whether the reader is worth keeping.
func (z *inflater) close() (keep bool) {
	z.src.Reset(nil)
	return z.zstd == nil || closeZstd(z)
}

func openGzip(z *inflater) error {
	r, err := gzip.NewReader(&z.src)
	if err != nil {
		return err
	}
	z.Reader, z.reset = r, r.Reset
	return nil
}

func openZlib(z *inflater) error {
	r, err := zlib.NewReader(&z.src)
	if err != nil {
		return err
	}
	z.Reader = r
	z.reset = func(src io.Reader) error { return r.(zlib.Resetter).Reset(src, nil) } //nolint:forcetypeassert // documented
	return nil
}

// readUpTo appends the reader's data to dst, at most limit bytes. The room starts with first bytes
// and doubles.
func (z *inflater) readUpTo(dst []byte, limit, first int, grow grower) ([]byte, error) {
	for {
		room := dst[len(dst):min(cap(dst), limit)]
		if len(room) == 0 && len(dst) < limit {
			var err error
			if dst, err = grow(dst, max(first, 2*cap(dst)), limit); err != nil {
				return dst, err
			}
			continue
		}
		if len(room) == 0 {
			room = z.probe[:] // to find the end, or one byte too many
		}
		n, err := z.Read(room)
		if len(dst)+n > limit {
			return dst, infer.Errorf(infer.TooLarge, "the decompressed body takes more than the limit of %d bytes", limit)
		}
		dst = dst[:len(dst)+n]
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// deflater is a writer of any format.
type deflater interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// deflate appends the compressed body to dst. It returns false if grow has no room for it.
func (c *codecs) deflate(dst []byte, to coding, body []byte, grow grower) (_ []byte, ok bool) {
	out := &growingWriter{buf: dst, most: longest(len(body)), grow: grow}
	z, _ := c.writers[to].Get().(deflater)
	switch {
	case z != nil:
		z.Reset(out)
	case to == zstdCoding:
		z = newZstdWriter(out)
	case to == deflateCoding:
		z, _ = zlib.NewWriterLevel(out, compressionLevel)
	default:
		z, _ = gzip.NewWriterLevel(out, compressionLevel)
	}
	_, err := z.Write(body)
	err = errors.Join(err, z.Close())
	z.Reset(io.Discard) // so that it does not keep dst
	c.writers[to].Put(z)
	return out.buf, err == nil
}

// longest returns an upper bound for the compressed size of n bytes.
func longest(n int) int { return n + n>>8 + minRoom }

// growingWriter appends to a buffer of at most most bytes.
type growingWriter struct {
	buf  []byte
	most int
	grow grower
}

func (w *growingWriter) Write(p []byte) (_ int, err error) {
	if need := len(w.buf) + len(p); need > cap(w.buf) {
		if w.buf, err = w.grow(w.buf, max(need, minRoom, 2*cap(w.buf)), w.most); err != nil {
			return 0, err
		}
	}
	w.buf = append(w.buf, p...)
	return len(p), nil
}
