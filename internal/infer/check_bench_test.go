package infer_test

import (
	"testing"

	"sluice.io/sluice/internal/infer"
)

// BenchmarkCheck checks a request of three inputs in an order other than the model's, and in
// the model's order.
func BenchmarkCheck(b *testing.B) {
	m := two()
	f := func(order string, names ...string) {
		b.Run("order="+order, func(b *testing.B) {
			var given [3]infer.Tensor
			for i, name := range names {
				given[i] = in(name, 1, 2)
			}
			r := &infer.Request{Inputs: make([]infer.Tensor, len(given))}
			b.ReportAllocs()
			for b.Loop() {
				copy(r.Inputs, given[:])
				if err := m.Check(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	f("own", "a", "b", "scale")
	f("other", "scale", "b", "a")
}
