package ort_test

import (
	"errors"
	"fmt"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/runtime/ort"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// joined is an instance of the tiny model with that many requests of one row.
func joined(b *testing.B, members int) (*ort.Instance, []*infer.Request) {
	b.Helper()
	s := load(b, onnxgen.Lin(), options())
	reqs := make([]*infer.Request, members)
	for i := range reqs {
		reqs[i] = request(b, s, nil, infer.Tensor{Name: "input", DType: infer.FP32, Shape: infer.Shape{1, 16}, Data: make([]byte, 64)})
	}
	instance := newInstance(b, s)
	for range 2 { // meets the shape, binds the outputs
		if err := errors.Join(instance.Gather(reqs), instance.Run()); err != nil {
			b.Fatal(err)
		}
	}
	return instance, reqs
}

// benchmarkStep repeats one step of a run of 1 and of 32 members.
func benchmarkStep(b *testing.B, step func(instance *ort.Instance, reqs []*infer.Request) error) {
	b.Helper()
	for _, members := range []int{1, 32} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			instance, reqs := joined(b, members)
			b.ReportAllocs()
			for b.Loop() {
				if err := step(instance, reqs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGather(b *testing.B) {
	benchmarkStep(b, func(instance *ort.Instance, reqs []*infer.Request) error { return instance.Gather(reqs) })
}

// BenchmarkGatherRun also gathers, since an instance runs each gathered batch once.
func BenchmarkGatherRun(b *testing.B) {
	benchmarkStep(b, func(instance *ort.Instance, reqs []*infer.Request) error {
		if err := instance.Gather(reqs); err != nil {
			return err
		}
		return instance.Run()
	})
}

// BenchmarkScatter times the scattering of many members of one run; gathering and running are
// not timed.
func BenchmarkScatter(b *testing.B) {
	const members = 1024
	instance, reqs := joined(b, members)
	b.ReportAllocs()
	for b.Loop() {
		for i := range reqs {
			resp := infer.NewResponse()
			if err := instance.Scatter(i, resp); err != nil {
				b.Fatal(err)
			}
			resp.Release()
		}
		b.StopTimer()
		if err := errors.Join(instance.Gather(reqs), instance.Run()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/members, "ns/member")
}
