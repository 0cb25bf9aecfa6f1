package front

import (
	"encoding/hex"
	"strings"
	"testing"
)

func TestTraceparent(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	f := func(header string, ok, sampled bool) {
		t.Helper()
		span, got := parseTraceparent([]byte(header))
		if span.Valid() != ok || got != sampled || ok && (hex.EncodeToString(span.Trace[:]) != id || hex.EncodeToString(span.ID[:]) != "00f067aa0ba902b7") {
			t.Errorf("%q: %x, sampled is %t", header, span, got)
		}
	}
	f("00-"+id+"-00f067aa0ba902b7-01", true, true)
	f("00-"+id+"-00f067aa0ba902b7-00", true, false)
	f("00-"+id+"-00f067aa0ba902b7-ff", true, true)
	f("00-"+id+"-00f067aa0ba902b7-02", true, false)
	f("01-"+id+"-00f067aa0ba902b7-01", true, true)
	f("01-"+id+"-00f067aa0ba902b7-01-more", true, true)
	f("01-"+id+"-00f067aa0ba902b7-01more", false, false)
	f("00-"+id+"-00f067aa0ba902b7-01-more", false, false)
	f("ff-"+id+"-00f067aa0ba902b7-01", false, false)
	f("00-"+id+"-0000000000000000-01", false, false)
	f("00-"+strings.Repeat("0", 32)+"-00f067aa0ba902b7-01", false, false)
	f("00-"+strings.ToUpper(id)+"-00f067aa0ba902b7-01", false, false)
	f("00-"+id+"-00f067aa0ba902b7-0g", false, false)
	f("0G-"+id+"-00f067aa0ba902b7-01", false, false)
	f("00-"+id+"_00f067aa0ba902b7-01", false, false)
	f("00-"+id+"-00f067aa0ba902b7", false, false)
	f("", false, false)
}

func FuzzTraceparent(f *testing.F) {
	f.Add([]byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
	f.Add([]byte("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x"))
	f.Fuzz(func(t *testing.T, header []byte) {
		span, sampled := parseTraceparent(header)
		switch {
		case !span.Valid() && sampled:
			t.Fatalf("%q: sampled without a span", header)
		case span.Valid() && !strings.HasPrefix(string(header[3:]), hex.EncodeToString(span.Trace[:])+"-"+hex.EncodeToString(span.ID[:])+"-"):
			t.Fatalf("%q: %x", header, span)
		}
	})
}
