package compare_test

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	"sluice.io/sluice/internal/compare"
	"sluice.io/sluice/internal/infer"
)

func TestSums(t *testing.T) {
	s := compare.NewSums([]infer.TensorSpec{{Name: "logits", Labels: []string{"cat", "dog"}}})
	add := func(outputs ...infer.Tensor) { s.Offer(nil, &infer.Response{Outputs: outputs}) }
	add(floats("scores", 2, 0.9, 0.1), floats("logits", 2, 5, -3), floats("y", 1, 2), texts("label", "a"))
	add(floats("scores", 2, 0.2, 0.8, 0.6, 0.4), floats("logits", 2, 1, 7), floats("y", 1, 4, 6), texts("label", "b", "a"))
	add(floats("y", 1, float32(math.NaN())))
	got := map[string]string{}
	for _, m := range s.Means() {
		got[m.Name] = fmt.Sprintf("%s %v %.3g %.3g", m.Kind, m.N, m.Sum, m.Squares)
	}
	want := map[string]string{
		"scores: best score": "score 2 1.6 1.3", "scores: 0": "share 2 1.5 1.25", "scores: 1": "share 2 0.5 0.25",
		"logits: best score": "number 2 12 74", "logits: cat": "share 2 1 1", "logits: dog": "share 2 1 1",
		"y": "number 3 7 29", "y: not finite": "share 3 1 1",
		"label: a": "share 2 1.5 1.25", "label: b": "share 2 0.5 0.25",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

// A class that only one version answers has the share 0 in the answers of the other, unless that may have counted it as another one.
func TestComplete(t *testing.T) {
	sums := func(answers ...string) []compare.Mean {
		s := compare.NewSums(nil)
		for _, a := range answers {
			s.Offer(nil, &infer.Response{Outputs: []infer.Tensor{texts("label", a), floats("y", 1, 3)}})
		}
		return s.Means()
	}
	text := func(means []compare.Mean) (list []string) {
		for _, m := range means {
			if m.Output == "label" {
				list = append(list, fmt.Sprintf("%s %v of %v", m.Name, m.Sum, m.N))
			}
		}
		return list
	}
	many := make([]string, 60)
	for i := range many {
		many[i] = strconv.Itoa(i)
	}
	f := func(a, b []compare.Mean, wantA, wantB string) {
		t.Helper()
		a, b = compare.Complete(a, b)
		if got := fmt.Sprint(text(a)); got != wantA {
			t.Errorf("%s, want %s", got, wantA)
		}
		if got := fmt.Sprint(text(b)); wantB != "" && got != wantB {
			t.Errorf("%s, want %s", got, wantB)
		}
	}
	f(sums("x", "x"), sums("z", "y", "z"), "[label: x 2 of 2 label: z 0 of 2 label: y 0 of 2]", "[label: z 2 of 3 label: y 1 of 3 label: x 0 of 3]")
	f(sums("x"), nil, "[label: x 1 of 1]", "[]")
	f(nil, nil, "[]", "[]")
	full := fmt.Sprint(text(sums(many...)))
	f(sums(many...), sums("x"), full, "")
}

// However many classes an output has, the sums stay small.
func TestSumsAreBounded(t *testing.T) {
	s := compare.NewSums(nil)
	for i := range 10_000 {
		s.Offer(nil, &infer.Response{Outputs: []infer.Tensor{texts("text", strconv.Itoa(i)), floats("vector", 384, make([]float32, 384)...)}})
	}
	if means := s.Means(); len(means) != 51+8+1 {
		t.Errorf("%d means", len(means))
	}
	sum := 0.0
	for _, m := range s.Means() {
		if m.Kind == compare.Share && m.Name != "vector: not finite" {
			sum += m.Sum
		}
	}
	if sum != 10_000 {
		t.Errorf("the shares have a sum of %v", sum)
	}
}

func TestSumsDoNotAllocate(t *testing.T) {
	s := compare.NewSums(nil)
	resp := &infer.Response{Outputs: []infer.Tensor{floats("scores", 2, 0.2, 0.8, 0.6, 0.4), floats("y", 1, 4, 6), texts("label", "b", "a")}}
	s.Offer(nil, resp)
	if n := testing.AllocsPerRun(100, func() { s.Offer(nil, resp) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSums(b *testing.B) {
	s := compare.NewSums(nil)
	resp := &infer.Response{Outputs: []infer.Tensor{floats("scores", 10, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)}}
	b.ReportAllocs()
	for b.Loop() {
		s.Offer(nil, resp)
	}
}
