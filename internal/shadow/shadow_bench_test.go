//go:build !race

package shadow_test

import (
	"fmt"
	"testing"

	"sluice.io/sluice/internal/shadow"
)

// BenchmarkOffer measures what a shadow costs the primary.
func BenchmarkOffer(b *testing.B) {
	const waits = 100
	f := func(name string, n, maxBytes int) {
		b.Run(fmt.Sprintf("copied=%s/values=%d", name, 2*n), func(b *testing.B) {
			o := options()
			o.MaxRequests, o.MaxBytes = waits, int64(maxBytes)
			m := newMirror(b, o)
			tap, req, resp := m.Tap(&lastDrop{}, shadow.Use{}), request("0190c2a4-5d2e", n), respond(3, 8)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%waits == 0 {
					m.Discard()
				}
				tap.Offer(req, resp)
			}
		})
	}
	f("no", 32, 10)
	f("yes", 32, 1<<30)
	f("yes", 300_000, 1<<30)
}
