package httpapi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"

	"sluice.io/sluice/internal/infer"
)

// compressionLevel is the fastest: an answer is mostly floats, on which more
// effort gains little.
const compressionLevel = gzip.BestSpeed

// minRoom is the least room for inflated bytes that is made at a time.
const minRoom = 4 << 10

// codecs keeps readers and writers for reuse; each holds tens of kilobytes.
type codecs struct {
	gzipReaders, zlibReaders sync.Pool
	gzipWriters, zlibWriters sync.Pool
}

// inflater is what a reader of either format does. A reset reads the header of
// the new stream.
type inflater struct {
	io.Reader
	reset func(io.Reader) error
	src   bytes.Reader
}

// inflate appends the plain form of body to dst, limit bytes of it at the most.
// What the stream says about its own size is a hint, not trusted. Errors are
// Invalid, and TooLarge beyond limit.
func (c *codecs) inflate(dst []byte, from coding, body []byte, limit int) ([]byte, error) {
	pool, open := &c.gzipReaders, openGzip
	if from == deflateCoding {
		pool, open = &c.zlibReaders, openZlib
	}
	z, _ := pool.Get().(*inflater)
	if z == nil {
		z = &inflater{}
	}
	z.src.Reset(body)
	defer func() {
		z.src.Reset(nil)
		pool.Put(z)
	}()
	var err error
	if z.reset == nil {
		err = open(z)
	} else {
		err = z.reset(&z.src)
	}
	if err == nil {
		dst = slices.Grow(dst, min(plainSize(from, body), limit)+1) // one more, to meet the end without growing
		dst, err = readUpTo(dst, z, limit)
	}
	switch {
	case err == nil && len(dst) > limit:
		return dst, infer.Errorf(infer.TooLarge, "the body inflates to more than the limit of %d bytes", limit)
	case err == nil && z.src.Len() > 0:
		return dst, infer.Errorf(infer.Invalid, "the body has %d bytes after its %v stream", z.src.Len(), from)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return dst, infer.Errorf(infer.Invalid, "the body is an incomplete %v stream", from)
	case err != nil:
		return dst, infer.Errorf(infer.Invalid, "the body is no valid %v stream", from)
	}
	return dst, nil
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

// plainSize guesses how many bytes body inflates to: what a gzip stream says in
// its last four bytes, no more than deflate can make of it, else a few times more.
func plainSize(from coding, body []byte) int {
	const usual, most = 4, 1032
	if from == deflateCoding || len(body) < 4 {
		return usual * len(body)
	}
	return min(int(binary.LittleEndian.Uint32(body[len(body)-4:])), most*len(body))
}

// readUpTo appends what r holds to dst and stops one byte after limit, which is
// how the caller knows that there is more. It doubles the room: append grows large
// slices by a quarter, which leaves several times the size behind as garbage.
func readUpTo(dst []byte, r io.Reader, limit int) ([]byte, error) {
	for len(dst) <= limit {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, max(minRoom, min(len(dst), limit+1-len(dst))))
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), limit+1)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// deflater is what a writer of either format does.
type deflater interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// deflate appends the compressed form of body to dst.
func (c *codecs) deflate(dst []byte, to coding, body []byte) []byte {
	pool := &c.gzipWriters
	if to == deflateCoding {
		pool = &c.zlibWriters
	}
	out := (*sliceWriter)(&dst)
	z, _ := pool.Get().(deflater)
	switch {
	case z != nil:
		z.Reset(out)
	case to == deflateCoding:
		z, _ = zlib.NewWriterLevel(out, compressionLevel)
	default:
		z, _ = gzip.NewWriterLevel(out, compressionLevel)
	}
	_, err := z.Write(body)
	if cerr := z.Close(); err != nil || cerr != nil {
		panic("BUG: compressing into memory failed")
	}
	z.Reset(io.Discard) // let go of dst
	pool.Put(z)
	return dst
}

// sliceWriter appends what is written to it.
type sliceWriter []byte

func (w *sliceWriter) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}
