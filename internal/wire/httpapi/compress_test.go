package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func zstded(s string, opts ...zstd.EOption) string {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, opts...)
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

func zlibbed(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

func inflate(t *testing.T, a answer) string {
	t.Helper()
	var r io.Reader = strings.NewReader(a.body)
	var err error
	switch a.header.Get("Content-Encoding") {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "deflate":
		r, err = zlib.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	}
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestCompressedRequests(t *testing.T) {
	addr := start(t, &stub{}, func(o *options) { o.Limits.MaxInflatedBytes = 1 << 20 })
	f := func(name, encoding, body string, status int, text string, fields ...string) {
		t.Helper()
		a := post(t, addr, inferPath, body, append(fields, "Content-Encoding: "+encoding)...)
		if a.status != status || !strings.Contains(a.body, text) || a.close {
			t.Errorf("%s: %+v, want %d with %q", name, a, status, text)
		}
		if (status == 501) != (a.header.Get("Accept-Encoding") == "zstd, gzip, deflate") {
			t.Errorf("%s: headers %v", name, a.header)
		}
	}
	const twice = "[2,4,6,8]"
	f("gzip", "gzip", gzipped(good), 200, twice)
	f("upper case", "GZIP", gzipped(good), 200, twice)
	f("deflate", "deflate", zlibbed(good), 200, twice)
	f("identity", "identity", good, 200, twice)
	f("nothing", "", good, 200, twice)
	f("two members", "gzip", gzipped(good[:9])+gzipped(good[9:]), 200, twice)
	f("up to the limit", "gzip", gzipped(good+strings.Repeat(" ", 1<<20-len(good))), 200, twice)
	head := binaryHead + "}"
	f("the length header counts plain bytes", "gzip", gzipped(head+floats(1, 2, 3, 4)), 200, twice, "Inference-Header-Content-Length: "+itoa(len(head)))
	f("raw body", "deflate", zlibbed(floats(1, 2, 3, 4)), 200, floats(2, 4, 6, 8), "Inference-Header-Content-Length: 0")
	f("the length header beyond plain bytes", "gzip", gzipped("{}"), 400, "[0, 2]", "Inference-Header-Content-Length: 3")

	f("bomb", "gzip", gzipped(strings.Repeat("x", 64<<20)), 413, "decompressed body takes more than the limit of 1048576 bytes")
	f("one byte over the limit", "deflate", zlibbed(strings.Repeat("x", 1<<20+1)), 413, "the decompressed body takes more than")
	f("truncated", "gzip", gzipped(good)[:40], 400, "incomplete gzip stream")
	f("truncated deflate", "deflate", zlibbed(good)[:20], 400, "incomplete deflate stream")
	f("checksum cut off", "gzip", gzipped(good)[:len(gzipped(good))-3], 400, "incomplete gzip stream")
	f("wrong checksum", "gzip", gzipped(good)[:len(gzipped(good))-8]+"12345678", 400, "not a valid gzip stream")
	f("garbage", "gzip", "this is not gzip", 400, "not a valid gzip stream")
	f("garbage after the end", "gzip", gzipped(good)+"garbage that is not a second member", 400, "not a valid gzip stream")
	f("garbage after the end of deflate", "deflate", zlibbed(good)+"x", 400, "1 bytes after its deflate stream")
	f("empty", "gzip", "", 400, "incomplete gzip stream")
	f("empty deflate", "deflate", "", 400, "incomplete deflate stream")
	f("raw deflate", "deflate", "\x4b\x4c\x4a\x06\x00", 400, "not a valid deflate stream")
	f("gzip as deflate", "deflate", gzipped(good), 400, "not a valid deflate stream")
	f("not declared", "identity", gzipped(good), 400, "")
	f("unknown", "br", good, 501, "unsupported Content-Encoding 'br'")
	f("list", "gzip, deflate", good, 501, "unsupported Content-Encoding")
	f("twice", "gzip", good, 501, "unsupported Content-Encoding 'gzip,gzip'", "Content-Encoding: gzip")
	f("still gzip", "gzip", gzipped(good), 200, twice)

	f("zstd", "zstd", zstded(good), 200, twice)
	f("upper case", "ZSTD", zstded(good), 200, twice)
	f("two frames", "zstd", zstded(good[:9])+zstded(good[9:]), 200, twice)
	f("a skippable frame", "zstd", "\x50\x2a\x4d\x18\x03\x00\x00\x00abc"+zstded(good), 200, twice)
	f("up to the limit", "zstd", zstded(good+strings.Repeat(" ", 1<<20-len(good))), 200, twice)
	f("a large window", "zstd", zstded(good+strings.Repeat(" ", 1<<20-len(good)), zstd.WithWindowSize(8<<20)), 200, twice)
	f("a window beyond the limit", "zstd", zstded(strings.Repeat("x", 1<<20), zstd.WithWindowSize(16<<20)), 413, "needs a window of 16777216 bytes, more than the limit of 8388608")
	f("a later frame with a larger window", "zstd", zstded(good)+zstded(strings.Repeat(" ", 1<<19), zstd.WithWindowSize(8<<20)), 400, "not a valid zstd stream")
	f("bomb", "zstd", zstded(strings.Repeat("x", 64<<20), zstd.WithWindowSize(1<<20)), 413, "decompressed body takes more than the limit of 1048576 bytes")
	f("bomb of frames", "zstd", strings.Repeat(zstded(strings.Repeat("x", 1<<16)), 100), 413, "decompressed body takes more than the limit of 1048576 bytes")
	f("content size of 4 GiB", "zstd", "\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00", 413, "needs a window of 4294967296 bytes")
	f("truncated", "zstd", zstded(good)[:40], 400, "incomplete zstd stream")
	f("truncated header", "zstd", zstded(good)[:5], 400, "incomplete zstd stream")
	f("truncated skippable frame", "zstd", "\x50\x2a\x4d\x18\xff\xff\xff\xffabc", 400, "incomplete zstd stream")
	f("wrong checksum", "zstd", zstded(good)[:len(zstded(good))-4]+"1234", 400, "not a valid zstd stream")
	f("garbage", "zstd", "this is not zstd at all", 400, "not a valid zstd stream")
	f("garbage after the end", "zstd", zstded(good)+"garbage that is not a second frame", 400, "not a valid zstd stream")
	f("empty", "zstd", "", 400, "incomplete zstd stream")
	f("still zstd", "zstd", zstded(good), 200, twice)
}

func TestCompressedAnswers(t *testing.T) {
	addr := start(t, &stub{}, nil)
	f := func(accept, want string) {
		t.Helper()
		a := post(t, addr, inferPath, good, "Accept-Encoding: "+accept)
		if a.status != 200 || a.header.Get("Content-Encoding") != want || inflate(t, a) != goodAnswer {
			t.Errorf("%q: %+v", accept, a)
		}
	}
	for range 2 { // the second time with a used writer
		f("gzip", "gzip")
		f("deflate", "deflate")
		f("zstd", "zstd")
	}
	f("gzip, deflate, br, zstd", "zstd")
	f("zstd;q=0.5, gzip", "gzip")
	f("zstd;q=0, gzip;q=0, identity", "")
	f("gzip, deflate", "gzip")
	f("gzip;q=0.2, deflate;q=0.9", "deflate")
	f("br", "")
	f("", "")
	plain := post(t, addr, inferPath, good, "Inference-Header-Content-Length: "+itoa(len(good)))
	head := binaryHead + `,"parameters":{"binary_data_output":true}}`
	a := post(t, addr, inferPath, gzipped(head+floats(1, 2, 3, 4)), "Inference-Header-Content-Length: "+itoa(len(head)), "Content-Encoding: gzip", "Accept-Encoding: gzip")
	if body := inflate(t, a); !strings.HasSuffix(body, floats(2, 4, 6, 8)) || a.header.Get("Inference-Header-Content-Length") != itoa(len(body)-16) {
		t.Errorf("binary: %v %q", a.header, body)
	}
	if plain.status != 200 {
		t.Errorf("%+v", plain)
	}
	for name, a := range map[string]answer{
		"error":    post(t, addr, "/v2/models/nope/infer", good, "Accept-Encoding: gzip"),
		"metadata": get(t, addr, "/v2/models/double", "Accept-Encoding: gzip"),
	} {
		if a.header.Get("Content-Encoding") != "" || !strings.HasPrefix(a.body, "{") {
			t.Errorf("%s: %+v", name, a)
		}
	}
}
