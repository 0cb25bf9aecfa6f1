package offline_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/offline"
)

// vectorRows is a table of a vector of eight numbers that are related, and one more number. From row number from on the vector is reversed.
func vectorRows(seed uint64, rows, from int, head string) string {
	rng := rand.New(rand.NewPCG(seed, 11))
	var b strings.Builder
	b.WriteString(head)
	for i := range rows {
		x := make([]float64, 8)
		for k := range x {
			x[k] = float64(k) + rng.NormFloat64()
		}
		for k := range x {
			at := k
			if i+1 >= from {
				at = len(x) - 1 - k
			}
			fmt.Fprintf(&b, "%.3f,", x[at])
		}
		fmt.Fprintf(&b, "%.3f\n", rng.NormFloat64())
	}
	return b.String()
}

// A change of a vector that leaves its norm and its mean as they were is found in a table too.
func TestSimulateVectors(t *testing.T) {
	const named = "v[0],v[1],v[2],v[3],v[4],v[5],v[6],v[7],n\n"
	p, err := offline.MakeProfile(t.Context(), strings.NewReader(vectorRows(1, 3000, 3001, named)), offline.ProfileOptions{
		Vectors: []string{"v"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Vectors) != 1 || len(p.Features) != 3 {
		t.Fatalf("%d vectors, %d features", len(p.Vectors), len(p.Features))
	}
	f := func(text string, from uint64) {
		t.Helper()
		o, found := simulation(), uint64(0)
		o.Note = func(string) {}
		_, err := offline.SimulateProfile(t.Context(), p, strings.NewReader(text), o, func(s offline.Simulated) error {
			if s.State == drift.Detected && found == 0 {
				found = s.To
				if len(s.Features) == 0 || s.Features[0].Statistic != drift.StatisticMMD {
					t.Errorf("%+v", s.Features)
				}
			}
			return nil
		})
		if err != nil || found != from {
			t.Errorf("found after row %d, want %d; %v", found, from, err)
		}
	}
	f(vectorRows(2, 3000, 3001, named), 0)
	f(vectorRows(2, 3000, 1501, named), 2000)
	f(vectorRows(2, 3000, 1501, "in.v[0],in.v[1],in.v[2],in.v[3],in.v[4],in.v[5],in.v[6],in.v[7],in.n\n"), 2000)
	o := simulation()
	_, err = offline.SimulateProfile(t.Context(), p, strings.NewReader("v[0],n\n1,2\n"), o, func(offline.Simulated) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "no column for feature 'v[1]'") {
		t.Errorf("a table without most elements: %v", err)
	}
}
