package drift

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkWindowClose judges a window of 100 features: none or all have drifted.
func BenchmarkWindowClose(b *testing.B) {
	f := func(state string, bins ...uint64) {
		b.Run(state, func(b *testing.B) {
			p := &Profile{Features: make([]Feature, 100)}
			for i := range p.Features {
				p.Features[i] = Feature{
					Name: fmt.Sprint("f", i), Kind: KindInput, Edges: []float64{0, 1, 2}, Max: 3,
					Reference: Counts{Bins: []uint64{250, 250, 250, 250}},
				}
			}
			d, err := NewDetector(p, CompleteOptions())
			if err != nil {
				b.Fatal(err)
			}
			s := &stream{watch: Watch{Tap: TapOptions{Profile: p}, Detector: d, Windows: Windowing{Length: time.Minute}}}
			s.begin(time.Unix(60, 0))
			s.window.Rows = 1000
			for i := range s.window.Counts {
				copy(s.window.Counts[i].Bins, bins)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.close()
			}
			if d.State() != state {
				b.Errorf("the state is %s", d.State())
			}
		})
	}
	f(OK, 250, 250, 250, 250)
	f(Detected, 700, 100, 100, 100)
}
