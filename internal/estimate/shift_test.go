package estimate_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"sluice.io/sluice/internal/estimate"
)

// predictions draws rows of three classes with shares, each predicted by a confused model.
func predictions(rng *rand.Rand, shares [3]float64, confused [3][3]float64, n int) [][]int64 {
	matrix := [][]int64{make([]int64, 3), make([]int64, 3), make([]int64, 3)}
	pick := func(p [3]float64) int {
		u := rng.Float64()
		for k, x := range p {
			if u -= x; u < 0 {
				return k
			}
		}
		return 2
	}
	for range n {
		truth := pick(shares)
		matrix[pick(confused[truth])][truth]++
	}
	return matrix
}

// confusing returns a classifier with a confusion matrix. Its curves do not matter.
func confusing(t *testing.T, matrix [][]int64) *estimate.Classifier {
	t.Helper()
	r := &estimate.Reference{Form: json.RawMessage(`{}`), Bins: bins, Confusion: matrix}
	for _, row := range matrix {
		for _, n := range row {
			r.Rows += n
		}
	}
	for range 4 {
		r.Curves = append(r.Curves, estimate.Curve{Bins: []int{5}, Rows: []int64{r.Rows}, Hits: []int64{0}})
	}
	if _, err := r.Encode(); err != nil {
		t.Fatal(err)
	}
	c, ok := estimate.NewClassifier(r, options())
	if !ok {
		t.Fatal("not enough rows")
	}
	return c
}

// TestShift measures how often shares are called shifted, and missed, at one look.
func TestShift(t *testing.T) {
	good := [3][3]float64{{0.8, 0.15, 0.05}, {0.1, 0.8, 0.1}, {0.05, 0.2, 0.75}}
	other := [3][3]float64{{0.5, 0.45, 0.05}, {0.1, 0.8, 0.1}, {0.05, 0.2, 0.75}}
	before := [3]float64{0.5, 0.3, 0.2}
	runs := float64(*runs)
	f := func(name string, shares [3]float64, confused [3][3]float64, shifted, missed, wrong func(float64) bool) {
		t.Helper()
		rng := rand.New(rand.NewPCG(8, 9))
		var shifts, misses, wrongs float64
		for range int(runs) {
			c := confusing(t, predictions(rng, before, good, 2000))
			later := predictions(rng, shares, confused, 1000)
			counts := []int64{}
			for _, row := range later {
				counts = append(counts, row[0]+row[1]+row[2])
			}
			list, ok := c.Shift(counts)
			checks, known := c.CompareShift(later)
			if !ok || !known || len(list) != 3 || len(checks) != 3 {
				t.Fatalf("%+v %+v", list, checks)
			}
			shift, miss, no := 0.0, 0.0, 0.0
			for j, x := range list {
				if x.Shifted {
					shift = 1
				}
				if shares[j] < x.Low || shares[j] > x.High {
					miss = 1
				}
				if !checks[j].Holds {
					no = 1
				}
			}
			shifts, misses, wrongs = shifts+shift/runs, misses+miss/runs, wrongs+no/runs
		}
		t.Logf("%s: shifted %.3f, missed %.3f, wrong %.3f", name, shifts, misses, wrongs)
		if !shifted(shifts) || !missed(misses) || !wrong(wrongs) {
			t.Errorf("%s: shifted %.3f, missed %.3f, wrong %.3f", name, shifts, misses, wrongs)
		}
	}
	few := func(x float64) bool { return x <= 0.05+3*math.Sqrt(0.05*0.95/runs) }
	most := func(x float64) bool { return x >= 0.9 }
	f("no shift", before, good, few, few, few)
	f("label shift", [3]float64{0.3, 0.3, 0.4}, good, most, few, few)
	f("another relation of inputs and classes", before, other, func(float64) bool { return true }, most, most)
}

func TestShiftThatIsNotKnown(t *testing.T) {
	c := confusing(t, [][]int64{{34, 33, 0}, {33, 34, 0}, {33, 33, 100}})
	if list, ok := c.Shift([]int64{500, 500, 500}); ok {
		t.Errorf("two classes are confused: %+v", list)
	}
	c = confusing(t, [][]int64{{90, 10, 0}, {10, 90, 0}, {0, 0, 0}})
	if list, ok := c.Shift([]int64{500, 500, 0}); ok {
		t.Errorf("the reference lacks a class: %+v", list)
	}
	c = confusing(t, [][]int64{{90, 10, 0}, {10, 90, 0}, {0, 0, 100}})
	if list, ok := c.Shift([]int64{50, 49, 0}); ok {
		t.Errorf("99 rows: %+v", list)
	}
	list, ok := c.Shift([]int64{1000, 0, 0})
	if !ok || list[0].Value != 1 || list[1].Value != 0 || !list[2].Shifted {
		t.Errorf("%+v", list)
	}
}
