package rivals

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
)

// unit is a reference that leaves values as they are.
func unit() *Reference { return &Reference{Mean: 0, SD: 1} }

// alarms returns the rows with a score above a limit. The detector begins anew after each of them, as in river.
func alarms(start func(*Reference) Detector, values []float64, limit float64) []int {
	found, d := []int{}, start(unit())
	for i, x := range values {
		if d.Add(x) > limit {
			found, d = append(found, i), start(unit())
		}
	}
	return found
}

// ADWIN and Page-Hinkley alarm at the same rows as river 0.26.1; testdata/make.py wrote them.
func TestAlarmsOfRiver(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden []struct {
		Name        string           `json:"name"`
		Values      []float64        `json:"values"`
		ADWIN       map[string][]int `json:"adwin"`        // by delta
		PageHinkley map[string][]int `json:"page_hinkley"` // by threshold
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	number := func(text string) float64 {
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	seen := 0
	for _, g := range golden {
		for delta, want := range g.ADWIN {
			seen += len(want)
			if got := alarms(as(newADWIN), g.Values, -math.Log(number(delta))); !slices.Equal(got, want) {
				t.Errorf("%s: ADWIN with delta %s alarms at %v, and river's at %v", g.Name, delta, got, want)
			}
		}
		for threshold, want := range g.PageHinkley {
			seen += len(want)
			if got := alarms(as(newPageHinkley), g.Values, number(threshold)); !slices.Equal(got, want) {
				t.Errorf("%s: Page-Hinkley with threshold %s alarms at %v, and river's at %v", g.Name, threshold, got, want)
			}
		}
	}
	if seen < 50 {
		t.Errorf("river alarms %d times in all streams; too few for a test", seen)
	}
}

// The windows of the online CVM move one row at a time. Their statistic is that of the same rows counted anew.
func TestCVMMoves(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	ref := NewReference(normals(rng, 5000))
	moved := newCVM(ref)
	for range 1700 {
		moved.Add(0.3 + rng.NormFloat64())
	}
	for _, w := range moved.windows {
		anew := cvmWindow{rows: w.rows}
		anew.fill(&moved.law, moved.past[len(moved.past)-w.rows:])
		if math.Abs(w.sum-anew.sum) > 1e-6*anew.sum {
			t.Errorf("windows of %d rows: %v after moves, %v counted anew", w.rows, w.sum, anew.sum)
		}
	}
}

// The scores of the tests on windows have the laws of their statistics: the 95 % quantile of Kolmogorov's is 1.358, that of
// chi-square with 15 degrees of freedom 25.0, and that of Cramér's and von Mises' 0.461.
func TestLaws(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		name  string
		start func(*Reference) Detector
		limit float64
	}{{"KS", as(newKS), 1.358}, {"chi-square", as(newChiSquare), 25.0}, {"CVM", as(newCVM), 0.461}} {
		const windows = 2000
		above := 0
		for range windows / 100 {
			ref := NewReference(normals(rng, 20_000))
			d := c.start(ref)
			if of, is := d.(*cvm); is {
				of.windows = of.windows[2:] // of 500 rows
			}
			for row := range 100 * WindowRows {
				if score := d.Add(rng.NormFloat64()); (row+1)%WindowRows == 0 && score > c.limit {
					above++
				}
			}
		}
		if share := float64(above) / windows; share < 0.03 || share > 0.07 {
			t.Errorf("%s: %.3f of the clean windows are above the quantile of 95 %%", c.name, share)
		}
	}
}

// KSWIN keeps its window sorted. Its score is the distance of the two samples counted anew, with ties.
func TestKSWIN(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	k := newKSWIN(nil)
	var all []float64
	largest := 0.0
	for i := range 1000 {
		x := math.Round(3 * (rng.NormFloat64() + float64(2*(i/500))))
		all = append(all, x)
		got := k.Add(x)
		if len(all) < kswinRows {
			if !math.IsInf(got, -1) {
				t.Fatalf("row %d has the score %v", i, got)
			}
			continue
		}
		window := all[len(all)-kswinRows:]
		var drawn []float64
		for at := range kswinBefore {
			if k.drawn[(i+1+at)%kswinRows] {
				drawn = append(drawn, window[at])
			}
		}
		if len(drawn) != kswinRecent {
			t.Fatalf("row %d: %d rows are drawn", i, len(drawn))
		}
		if want := distance(drawn, window[kswinBefore:]); math.Abs(got-want) > 1e-12 {
			t.Fatalf("row %d has the score %v; want %v", i, got, want)
		}
		largest = max(largest, got)
	}
	if largest < 0.6 {
		t.Errorf("the largest score is %v, although the mean moved by two standard deviations", largest)
	}
}

// distance returns the largest difference of the distribution functions of two samples.
func distance(a, b []float64) (most float64) {
	share := func(of []float64, x float64) (n float64) {
		for _, y := range of {
			if y <= x {
				n++
			}
		}
		return n / float64(len(of))
	}
	for _, x := range slices.Concat(a, b) {
		most = max(most, math.Abs(share(a, x)-share(b, x)))
	}
	return most
}

// A missing value, and one that the reference does not have, are seen by the tests on bins.
func TestBins(t *testing.T) {
	codes := make([]float64, 1000)
	for i := range codes {
		codes[i] = float64(i % 4)
	}
	b := newBins(NewReference(codes), 16)
	if got, want := b.count([]float64{0, 3, 3, 9, 1.5, math.NaN()}), []float64{1, 0, 0, 2, 2, 1}; !slices.Equal(got, want) {
		t.Errorf("counted %v; want %v", got, want)
	}
}

func normals(rng *rand.Rand, n int) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = rng.NormFloat64()
	}
	return all
}
