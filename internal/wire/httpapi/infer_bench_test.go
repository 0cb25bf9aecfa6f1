//go:build !race

package httpapi

import "testing"

func BenchmarkInfer(b *testing.B) {
	for name, request := range map[string]string{"json": jsonRequest(), "binary": binaryRequest()} {
		b.Run(name, func(b *testing.B) {
			s := benchServer(b)
			b.ReportAllocs()
			c := &replay{request: request, left: b.N}
			_ = s.http.ServeConn(newConn(c, s.timeouts))
			if c.served != b.N {
				b.Fatalf("%d of %d answered 200", c.served, b.N)
			}
		})
	}
}
