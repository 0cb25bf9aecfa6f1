package httpapi

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
)

func TestNegotiate(t *testing.T) {
	f := func(accept string, want coding) {
		t.Helper()
		if got := negotiate([]byte(accept)); got != want {
			t.Errorf("%q: %v, want %v", accept, got, want)
		}
	}
	f("", identity)
	f("gzip", gzipCoding)
	f("GZip", gzipCoding)
	f("deflate", deflateCoding)
	f("gzip, deflate", gzipCoding)
	f("gzip, deflate, br, zstd", zstdCoding)
	f("gzip, zstd;q=0.9", gzipCoding)
	f("zstd;q=0, gzip;q=0.1", gzipCoding)
	f("deflate, gzip", gzipCoding)
	f("br, zstd;q=0.9, deflate", deflateCoding)
	f("gzip;q=0", identity)
	f("gzip;q=0, deflate", deflateCoding)
	f("gzip;q=0.000, deflate;q=0.001", deflateCoding)
	f("gzip;q=0.2, deflate;q=0.9", deflateCoding)
	f("gzip ; q=0.9 , deflate ; q=0.2", gzipCoding)
	f("gzip;x=1;Q=0", identity)
	f("gzip;q=1.000", gzipCoding)
	f("identity, gzip;q=0.5", identity)
	f("identity;q=0.5, gzip", gzipCoding)
	f("identity;q=0, gzip;q=0.1", gzipCoding)
	f("*", identity)
	f("*;q=0, gzip", gzipCoding)
	for _, q := range []string{"", "1.001", "2", "-1", "0.1234", "a", ".5", "1.", "01", "0,5"} {
		want := identity
		if q == "1." {
			want = gzipCoding // the digits after the point are optional
		}
		f("gzip;q="+q, want)
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{
		"/v2", "/v2/models/a%2fb/versions/1/infer", "/v2/repository/models/%41/load", "//", "%", "/v2/models/%zz", "/v2/models/stats",
		"/v1/models", "/v1/models/a:predict", "/v1/models/a/versions/2%3Apredict", "/v1/models/a/labels/b/metadata", "/v1/models/metadata/metadata",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, path []byte) {
		before := bytes.Clone(path)
		target, err := parsePath(path, nil)
		if !bytes.Equal(path, before) {
			t.Fatal("the path was changed")
		}
		if err != nil || target.endpoint == noEndpoint {
			return
		}
		// Splitting and decoding with net/url must give the same names.
		want, uerr := url.PathUnescape(string(path))
		if uerr != nil {
			t.Fatalf("%q: accepted, net/url: %v", path, uerr)
		}
		if !strings.HasPrefix(want, "/v2") && !strings.HasPrefix(want, "/v1") || !strings.Contains(want, target.model) || target.version < 0 {
			t.Fatalf("%q: %+v", path, target)
		}
		named := target.endpoint >= endpointModel && target.endpoint <= endpointPredict || target.endpoint >= endpointLoad && target.endpoint != endpointV1Models
		if named != (target.model != "") {
			t.Fatalf("%q: endpoint %d with model %q", path, target.endpoint, target.model)
		}
	})
}

func FuzzNegotiate(f *testing.F) {
	for _, s := range []string{"gzip;q=0.2, deflate;q=0.9", "*", ",;=", "gzip;q=1.0001"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, accept []byte) {
		if c := negotiate(accept); c != identity && !bytes.Contains(bytes.ToLower(accept), []byte(c.String())) {
			t.Fatalf("%q: picked %v", accept, c)
		}
	})
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Add([]byte("X: a\r\n b\r\n\r\n"))
	f.Fuzz(func(t *testing.T, block []byte) {
		var h header
		err := h.scan(block)
		if h.contentLength != nil && h.transferEncoding && err == nil {
			t.Fatalf("%q: accepted", block)
		}
	})
}

func FuzzDeflate(f *testing.F) {
	f.Add([]byte("abc"))
	f.Add(bytes.Repeat([]byte("abc"), 5000))
	f.Fuzz(func(t *testing.T, body []byte) {
		var c codecs
		grow := (&stepper{limit: 1 << 40}).grow
		for _, from := range []coding{gzipCoding, deflateCoding} {
			packed, ok := c.deflate(nil, from, body, grow)
			back, err := c.inflate(nil, from, packed, len(body), grow)
			if !ok || err != nil || !bytes.Equal(back, body) || len(packed) > longest(len(body)) {
				t.Fatalf("%q came back as %q, %v", body, back, err)
			}
		}
	})
}
