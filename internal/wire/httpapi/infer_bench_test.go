//go:build !race

package httpapi

import "testing"

func BenchmarkInfer(b *testing.B) {
	for name, request := range map[string]string{"json": jsonRequest(), "binary": binaryRequest()} {
		b.Run(name, func(b *testing.B) {
			s := benchServer(b)
			b.ReportAllocs()
			_ = s.http.ServeConn(&replay{request: request, left: b.N})
		})
	}
}
