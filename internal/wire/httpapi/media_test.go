package httpapi_test

import (
	"strings"
	"testing"
)

// A body other than tensors is refused, but not JSON with a wrong type.
func TestForeignBodiesAreRefused(t *testing.T) {
	addr := start(t, &stub{}, nil)
	f := func(contentType, body string, status int, more ...string) {
		t.Helper()
		a := post(t, addr, inferPath, body, append(more, "content-TYPE: "+contentType)...)
		if a.status != status || status == 415 && !strings.Contains(a.body, "is not supported; send tensors as JSON") {
			t.Errorf("%s %.20q: %+v", contentType, body, a)
		}
	}
	f("image/png", "\x89PNG\r\n", 415)
	f("Image/JPEG", "\xff\xd8", 415)
	f("multipart/form-data; boundary=x", "--x\r\n", 415)
	f("application/x-www-form-urlencoded", "a=1&b=2", 415)
	f("APPLICATION/x-www-form-urlencoded ; charset=utf-8", "", 415)
	f("application/x-www-form-urlencoded", good, 200) // curl -d
	f("image/png", "\ufeff \n"+good, 200)
	f("application/octet-stream", "a", 400)
	f("text/plain", good, 200)
	f("image/x-raw", floats(1, 2, 3, 4), 200, "Inference-Header-Content-Length: 0") // a tensor with this type
}
