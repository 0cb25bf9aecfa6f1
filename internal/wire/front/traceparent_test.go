package front

import (
	"strings"
	"testing"
)

func TestTraceID(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	f := func(header string, ok bool) {
		t.Helper()
		if got := string(traceID([]byte(header))); ok != (got == id) || !ok && got != "" {
			t.Errorf("%q: %q", header, got)
		}
	}
	f("00-"+id+"-00f067aa0ba902b7-01", true)
	f("00-"+id+"-00f067aa0ba902b7-ff", true)
	f("01-"+id+"-00f067aa0ba902b7-01", true)
	f("01-"+id+"-00f067aa0ba902b7-01-more", true)
	f("01-"+id+"-00f067aa0ba902b7-01more", false)
	f("00-"+id+"-00f067aa0ba902b7-01-more", false)
	f("ff-"+id+"-00f067aa0ba902b7-01", false)
	f("00-"+id+"-0000000000000000-01", false)
	f("00-"+strings.Repeat("0", 32)+"-00f067aa0ba902b7-01", false)
	f("00-"+strings.ToUpper(id)+"-00f067aa0ba902b7-01", false)
	f("00-"+id+"-00f067aa0ba902b7-0g", false)
	f("00-"+id+"_00f067aa0ba902b7-01", false)
	f("00-"+id+"-00f067aa0ba902b7", false)
	f("", false)
}

func FuzzTraceID(f *testing.F) {
	f.Add([]byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
	f.Add([]byte("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x"))
	f.Fuzz(func(t *testing.T, header []byte) {
		if id := traceID(header); id != nil && (len(id) != 32 || !isHex(id)) {
			t.Fatalf("%q: %q", header, id)
		}
	})
}
