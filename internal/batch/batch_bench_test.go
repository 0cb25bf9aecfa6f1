//go:build !race

package batch_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkPredict measures the cost of a request from end to end without the model, with that
// many callers at a time.
func BenchmarkPredict(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			batcher := startEcho(b, 2)
			ctx := context.Background()
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			before := cpu(b)
			b.ReportAllocs()
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					req := request(1, 1, 1)
					for left.Add(-1) >= 0 {
						resp, err := batcher.Predict(ctx, req)
						if err != nil {
							b.Error(err)
							return
						}
						resp.Release()
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op") // steadier than time on a shared machine
		})
	}
}

// cpu returns the processor time that the process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
