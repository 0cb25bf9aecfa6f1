package httpapi

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"testing"

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
	f("a size that is a lie", gzipCoding, forged(10), minRoom, infer.Invalid)
	f("a size that is a lie, of more", gzipCoding, forged(1<<20), 4<<20, infer.Invalid)
}

// Without more room, decompressing ends and has allocated nothing more.
func TestInflateStopsWithoutRoom(t *testing.T) {
	var c codecs
	for name, body := range map[string][]byte{"gzip": gz(16 << 20), "forged": forged(16 << 20)} {
		s := &stepper{limit: 1 << 20}
		dst, err := c.inflate(nil, gzipCoding, body, 16<<20, s.grow)
		if infer.CodeOf(err) != infer.Overloaded || cap(dst) > s.limit {
			t.Errorf("%s: %v with %d bytes", name, err, cap(dst))
		}
	}
}

// FuzzInflate compares the output with the standard library's, and checks the limits. The two
// differ in which headers they accept.
func FuzzInflate(f *testing.F) {
	for _, n := range []int{0, 1, 5000} {
		f.Add(gz(n), true)
		f.Add(zl(n), false)
		f.Add(forged(n), true)
	}
	f.Add(append(gz(3), gz(4)...), true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, body []byte, zipped bool) {
		const limit = 1 << 16
		from := deflateCoding
		if zipped {
			from = gzipCoding
		}
		var c codecs
		s := &stepper{limit: 1 << 40}
		got, err := c.inflate(nil, from, body, limit, s.grow)
		if s.most > max(2*limit, limit+2*len(body)) || len(got) > limit {
			t.Fatalf("%d bytes become %d, with %d asked for", len(body), len(got), s.most)
		}
		if again, err2 := c.inflate(nil, from, body, limit, s.grow); !bytes.Equal(got, again) || infer.CodeOf(err) != infer.CodeOf(err2) {
			t.Fatalf("a used reader makes %d bytes and %v, a new one %d and %v", len(again), err2, len(got), err)
		}
		want, wantErr := reference(body, zipped, limit)
		switch code := infer.CodeOf(err); {
		case code == infer.TooLarge:
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
func reference(body []byte, zipped bool, limit int64) (plain []byte, err error) {
	var r io.Reader
	if src := bytes.NewReader(body); zipped {
		r, err = gzip.NewReader(src)
	} else {
		r, err = zlib.NewReader(src)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, limit+1))
}
