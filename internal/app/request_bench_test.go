//go:build !race

package app_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkRequest is a whole request over a socket, both ends of it in this process, with all
// optional features off and with all of them on.
func BenchmarkRequest(b *testing.B) {
	for _, features := range []string{"none", "all"} {
		b.Run("features="+features, func(b *testing.B) {
			g := startLin(b, features)
			for _, form := range []string{"json", "binary"} {
				for _, conns := range []int{1, 64} {
					b.Run(fmt.Sprintf("form=%s/conns=%d", form, conns), func(b *testing.B) {
						benchmarkRequest(b, g, linRequests()[form], conns)
					})
				}
			}
		})
	}
}

func benchmarkRequest(b *testing.B, g *gateway, request []byte, conns int) {
	b.Helper()
	clients := make([]*wire, conns)
	for i := range clients {
		clients[i] = dialGateway(b, g)
		clients[i].exchange(b, request, 10)
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for _, c := range clients {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := c.once(request); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
