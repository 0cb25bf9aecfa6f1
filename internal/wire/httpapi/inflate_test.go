package httpapi

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"

	"sluice.io/sluice/internal/infer"
)

// stepper grows buffers within a limit on the bytes held at a time.
type stepper struct{ limit, held, most int }

func (s *stepper) grow(buf []byte, size, most int) ([]byte, error) {
	size = min(size, most)
	if s.most = max(s.most, s.held+size); s.most > s.limit {
		return buf, infer.Errorf(infer.Overloaded, "no room for %d bytes", size)
	}
	s.held = size // the old buffer is released
	return append(make([]byte, 0, size), buf...), nil
}

func compress(w io.WriteCloser, b *bytes.Buffer, n int) []byte {
	_, _ = w.Write(make([]byte, n))
	_ = w.Close()
	return b.Bytes()
}

func gz(n int) []byte { var b bytes.Buffer; return compress(gzip.NewWriter(&b), &b, n) }
func zl(n int) []byte { var b bytes.Buffer; return compress(zlib.NewWriter(&b), &b, n) }
func zs(n int, opts ...zstd.EOption) []byte {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, opts...)
	if err != nil {
		panic(err)
	}
	return compress(w, &b, n)
}

// forged is a stream of n bytes that states a size of 4 GiB.
func forged(n int) []byte {
	stream := gz(n)
	copy(stream[len(stream)-4:], "\xff\xff\xff\xff")
	return stream
}

// Decompressing asks for room step by step, for at most three times the actual or possible output,
// whatever size the stream states.
func TestInflateAsksForLittleMore(t *testing.T) {
	const limit = 16 << 20
	f := func(name string, from coding, body []byte, most int, want infer.Code) {
		t.Helper()
		var c codecs
		s := &stepper{limit: 1 << 40}
		if _, err := c.inflate(nil, from, body, limit, s.grow); infer.CodeOf(err) != want || s.most > most {
			t.Errorf("%s: %d bytes, %v, want at most %d bytes and %v", name, s.most, err, most, want)
		}
	}
	f("gzip", gzipCoding, gz(limit), 3*limit, infer.OK)
	f("gzip beyond the limit", gzipCoding, gz(limit*4), 3*limit, infer.TooLarge)
	f("deflate", deflateCoding, zl(limit), 3*limit, infer.OK)
	f("deflate beyond the limit", deflateCoding, zl(limit*4), 3*limit, infer.TooLarge)
	f("zstd", zstdCoding, zs(limit), 3*limit, infer.OK)
	f("zstd beyond the limit", zstdCoding, zs(limit*4), 3*limit, infer.TooLarge)
	f("a size that is a lie", gzipCoding, forged(10), minRoom, infer.Invalid)
	f("a size that is a lie, of more", gzipCoding, forged(1<<20), 4<<20, infer.Invalid)
}

// A reader and a writer of zstd allocate no more than is reserved for them.
func TestZstdIsReserved(t *testing.T) {
	text := make([]byte, 1<<20)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range text {
		text[i] = "0123456789,"[rng.IntN(11)]
	}
	allocated := func(do func()) int {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		do()
		runtime.ReadMemStats(&after)
		return int(after.TotalAlloc - before.TotalAlloc) //nolint:gosec // a few megabytes
	}
	for _, window := range []int{64 << 10, keptWindow, maxWindow} {
		var b bytes.Buffer
		w, err := zstd.NewWriter(&b, zstd.WithWindowSize(window))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(text)
		_ = w.Close()
		most, err := zstdCoding.readerBytes(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var c codecs
		dst := make([]byte, 0, len(text))
		got := allocated(func() { dst, err = c.inflate(dst, zstdCoding, b.Bytes(), len(text), nil) })
		if err != nil || !bytes.Equal(dst, text) || got > most {
			t.Errorf("window %d: %d bytes allocated, %d reserved, %v", window, got, most, err)
		}
		if kept := c.readers[zstdCoding].Get() != nil; kept && window > keptWindow {
			t.Errorf("a reader with a window of %d bytes is kept", window)
		}
	}
	var c codecs
	dst := make([]byte, 0, longest(len(text)))
	if got, most := allocated(func() { dst, _ = c.deflate(dst, zstdCoding, text, nil) }), zstdCoding.writerBytes(); got > most || len(dst) == 0 {
		t.Errorf("%d bytes allocated, %d reserved", got, most)
	}
}

// Without more room, decompressing ends and has allocated nothing more.
func TestInflateStopsWithoutRoom(t *testing.T) {
	var c codecs
	for name, body := range map[string][]byte{"gzip": gz(16 << 20), "forged": forged(16 << 20), "zstd": zs(16 << 20)} {
		s := &stepper{limit: 1 << 20}
		from := gzipCoding
		if name == "zstd" {
			from = zstdCoding
		}
		dst, err := c.inflate(nil, from, body, 16<<20, s.grow)
		if infer.CodeOf(err) != infer.Overloaded || cap(dst) > s.limit {
			t.Errorf("%s: %v with %d bytes", name, err, cap(dst))
		}
	}
}

// FuzzInflate compares the output with the standard library's, and checks the limits. The two
// differ in which headers they accept.
func FuzzInflate(f *testing.F) {
	for _, n := range []int{0, 1, 5000} {
		f.Add(gz(n), byte(gzipCoding))
		f.Add(zl(n), byte(deflateCoding))
		f.Add(zs(n), byte(zstdCoding))
		f.Add(forged(n), byte(gzipCoding))
	}
	f.Add(append(gz(3), gz(4)...), byte(gzipCoding))
	f.Add(append(zs(3), zs(70_000, zstd.WithWindowSize(1<<20))...), byte(zstdCoding))
	f.Add([]byte{}, byte(deflateCoding))
	f.Fuzz(func(t *testing.T, body []byte, which byte) {
		const limit = 1 << 16
		from := gzipCoding + coding(which)%(codings-gzipCoding)
		var c codecs
		s := &stepper{limit: 1 << 40}
		got, err := c.inflate(nil, from, body, limit, s.grow)
		if s.most > max(2*limit, limit+2*len(body)) || len(got) > limit {
			t.Fatalf("%d bytes become %d, with %d asked for", len(body), len(got), s.most)
		}
		if again, err2 := c.inflate(nil, from, body, limit, s.grow); !bytes.Equal(got, again) || infer.CodeOf(err) != infer.CodeOf(err2) {
			t.Fatalf("a used reader makes %d bytes and %v, a new one %d and %v", len(again), err2, len(got), err)
		}
		want, wantErr := reference(body, from, limit)
		switch code := infer.CodeOf(err); {
		case code == infer.TooLarge:
			if _, err := from.readerBytes(body); err != nil {
				return // the window
			}
			if wantErr == nil && len(want) <= limit {
				t.Fatalf("%d bytes are refused as too many", len(want))
			}
		case err == nil && !bytes.Equal(got, want):
			t.Fatalf("%d bytes, want %d and %v", len(got), len(want), wantErr)
		case err != nil && code != infer.Invalid:
			t.Fatal(err)
		}
	})
}

// reference decompresses up to one byte more than limit.
func reference(body []byte, from coding, limit int64) (plain []byte, err error) {
	var r io.Reader
	switch src := bytes.NewReader(body); from {
	case gzipCoding:
		r, err = gzip.NewReader(src)
	case zstdCoding:
		r, err = zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	default:
		r, err = zlib.NewReader(src)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, limit+1))
}
