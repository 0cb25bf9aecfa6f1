//go:build !race

package grpcapi_test

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	"sluice.io/sluice/internal/infer"
)

// What a request allocates beside its connection: the exchange, what the request has beside its
// tensors, and the model's call, which is 22. It does not grow with the tensors, which alias the message.
func TestAllocations(t *testing.T) {
	r := start(t, &stub{}, nil)
	f := func(rows int, most float64) {
		t.Helper()
		data, err := proto.Marshal(raw("id", make([]float32, 4*rows)...))
		if err != nil {
			t.Fatal(err)
		}
		allocs := testing.AllocsPerRun(200, func() {
			if _, err := r.InferBytes(t.Context(), data); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > most {
			t.Errorf("%d rows: %v allocations, want at most %v", rows, allocs, most)
		}
	}
	const budget = 33
	f(1, budget)
	f(1000, budget)
}

func BenchmarkInfer(b *testing.B) {
	s := &stub{predict: func(_ context.Context, req *infer.Request) (*infer.Response, error) { return answer(req), nil }}
	r := start(b, s, nil)
	data, err := proto.Marshal(raw("", make([]float32, 16)...))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("bytes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.InferBytes(b.Context(), data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unary", func(b *testing.B) {
		c, m := r.dial(b), raw("", make([]float32, 16)...)
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := c.ModelInfer(b.Context(), m); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
