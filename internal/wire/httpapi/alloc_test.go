//go:build !race

package httpapi

import (
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
)

func TestInferAllocations(t *testing.T) {
	const requests = 2000
	f := func(name, request string, called infer.Called, key string) {
		t.Helper()
		s := benchServer(t)
		catalog := s.front.Catalog.(*fixed)
		called.Model = catalog.called.Model
		catalog.called, catalog.key = called, key
		c := &replay{request: request}
		n := testing.AllocsPerRun(3, func() {
			c.left, c.served, catalog.keyed = requests, 0, 0
			_ = s.http.ServeConn(newConn(c, s.timeouts))
		}) / requests
		// One allocation is fasthttp's, when it checks that the body's stream was read.
		if n >= 2 || c.served != requests || catalog.keyed != requests { // an allocation after the garbage collector emptied a pool is not the request's
			t.Errorf("%s: %v allocations per request, %d of %d answered 200, %d with the key", name, n, c.served, requests, catalog.keyed)
		}
	}
	var none infer.Called
	f("JSON", jsonRequest(), none, "")
	f("binary", binaryRequest(), none, "")
	f("version", strings.Replace(jsonRequest(), "/m/", "/%6d/versions/1/", 1), none, "")
	f("sticky header", strings.Replace(jsonRequest(), "X-Request", "x-user-id-of-a-name-that-is-rather-long: alice\r\nSluice-Override: 2\r\nAuthorization: Bearer x\r\nX-Request", 1),
		infer.Called{StickyHeader: "X-User-Id-Of-A-Name-That-Is-Rather-Long"}, "alice")
	f("sticky header, absent", jsonRequest(), infer.Called{StickyHeader: "X-User-Id"}, "")
	f("sticky parameter", benchRequest("", strings.Replace(jsonBody(), "{", `{"parameters":{"user":"alice"},`, 1)), infer.Called{StickyParameter: "user"}, "alice")
}
