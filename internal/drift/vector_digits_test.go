package drift_test

import (
	"compress/gzip"
	"encoding/csv"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"sluice.io/sluice/internal/drift"
)

// digit is an image of 8 × 8 pixels of 0 to 16, and what it shows.
type digit struct {
	pixels [64]float64
	class  int
}

// readDigits reads the Optical Recognition of Handwritten Digits data set (Alpaydin and Kaynak, UCI, 1998, CC BY 4.0), its 1,797
// images as scikit-learn has them.
func readDigits(t testing.TB) []digit {
	t.Helper()
	file, err := os.Open("testdata/digits.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	in, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(in).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	list := make([]digit, len(rows))
	for i, row := range rows {
		for k := range list[i].pixels {
			if list[i].pixels[k], err = strconv.ParseFloat(row[k], 64); err != nil {
				t.Fatal(err)
			}
		}
		list[i].class, _ = strconv.Atoi(row[64])
	}
	return list
}

// digitsSource makes images: one of the data set, moved by up to a pixel, with some noise, so that there are any number of them.
type digitsSource struct {
	of  []digit
	rng *rand.Rand
}

func (s *digitsSource) next() digit {
	from := s.of[s.rng.IntN(len(s.of))]
	to := digit{class: from.class}
	dx, dy := s.rng.IntN(3)-1, s.rng.IntN(3)-1
	for y := range 8 {
		for x := range 8 {
			v := s.rng.NormFloat64() * 0.5
			if fx, fy := x-dx, y-dy; fx >= 0 && fx < 8 && fy >= 0 && fy < 8 {
				v += from.pixels[fy*8+fx]
			}
			to.pixels[y*8+x] = max(0, min(16, v))
		}
	}
	return to
}

func vectorFeatures(tensor string, size int) []drift.Feature {
	list := make([]drift.Feature, size)
	for i := range list {
		list[i] = drift.Feature{Name: tensor + strconv.Itoa(i), Kind: drift.KindInput, Tensor: tensor, Element: i, Measure: drift.MeasureVector}
	}
	return list
}

// vectorProfile makes a profile of rows of one vector.
func vectorProfile(size, rows int, next func() []float64) *drift.Profile {
	b := newBuilder(vectorFeatures("pixels", size), drift.BuilderOptions{Seed: 1})
	missing := make([]bool, size)
	for range rows {
		b.Add(next(), missing)
	}
	return b.Profile(drift.Meta{Model: "m", Created: epoch})
}

// vectorWindow makes a window of rows of one vector. user returns who sent a row, 0 if that is not known.
func vectorWindow(p *drift.Profile, number, rows int, user func(row int) uint64, next func() []float64) drift.Window {
	w := p.NewWindow(epoch.Add(time.Duration(number) * time.Hour))
	w.End, w.Rows = w.Start.Add(time.Hour), uint64(rows)
	split := drift.SplitterOf(number)
	split.Begin(w.Rows)
	for row := range rows {
		u := uint64(0)
		if user != nil {
			u = user(row)
		}
		w.CountVector(p, 0, next(), split.Next(u))
	}
	return w
}

func vectorOptions() drift.Options {
	o := drift.CompleteOptions()
	o.Gates.Vector = 0.05
	return o
}

// vectorFinding returns the finding about the vector.
func vectorFinding(t testing.TB, v drift.Verdict) drift.Finding {
	t.Helper()
	for _, f := range v.Features {
		if f.Statistic == drift.StatisticMMD {
			return f
		}
	}
	t.Fatal("no finding about the vector")
	return drift.Finding{}
}

func TestVectorFindsChangesOfDigits(t *testing.T) {
	t.Parallel()
	source := &digitsSource{readDigits(t), rand.New(rand.NewPCG(1, 2))}
	clean := func() []float64 { d := source.next(); return d.pixels[:] }
	p := vectorProfile(64, 10_000, clean)
	const seldom = -1 // it may be found or not
	changes := []struct {
		name string
		most int // windows until it is detected
		of   func() []float64
	}{
		{"clean", 0, clean},
		{"rotated by 180°", 1, func() []float64 {
			d := source.next()
			for i := range 16 {
				d.pixels[i], d.pixels[63-i] = d.pixels[63-i], d.pixels[i]
			}
			return d.pixels[:]
		}},
		{"inverted", 1, func() []float64 {
			d := source.next()
			for i := range d.pixels {
				d.pixels[i] = 16 - d.pixels[i]
			}
			return d.pixels[:]
		}},
		{"a class is missing", seldom, func() []float64 {
			d := source.next()
			for d.class == 3 {
				d = source.next()
			}
			return d.pixels[:]
		}},
		{"blurred", 1, func() []float64 {
			d := source.next()
			b := blur(d.pixels)
			return b[:]
		}},
		{"10 % inverted", 2, func() []float64 {
			d := source.next()
			if source.rng.IntN(10) == 0 {
				for i := range d.pixels {
					d.pixels[i] = 16 - d.pixels[i]
				}
			}
			return d.pixels[:]
		}},
	}
	for _, rows := range []int{200, 1000} {
		for _, c := range changes {
			d := detector(t, p, vectorOptions())
			after := 0
			for i := range 32 {
				f := vectorFinding(t, d.Judge(vectorWindow(p, i, rows, nil, c.of)))
				if f.State == drift.Detected {
					after = i + 1
					t.Logf("%d rows, %s: detected after %d windows: %s, p %.1g", rows, c.name, after, f.Change, f.P)
					break
				}
			}
			if rows == 1000 && (c.most == 0 && after != 0 || c.most > 0 && (after == 0 || after > c.most)) {
				t.Errorf("%s, windows of %d rows: detected after %d windows; expected at most %d, 0 for never", c.name, rows, after, c.most)
			}
		}
	}
}

func blur(x [64]float64) (b [64]float64) {
	for i := range b {
		sum, n := 0.0, 0.0
		for dy := -1; dy <= 1; dy++ {
			for dx := -1; dx <= 1; dx++ {
				if y, z := i/8+dy, i%8+dx; y >= 0 && y < 8 && z >= 0 && z < 8 {
					sum, n = sum+x[y*8+z], n+1
				}
			}
		}
		b[i] = sum / n
	}
	return b
}

// TestVectorPValues measures how often clean windows have small p-values.
func TestVectorPValues(t *testing.T) {
	t.Parallel()
	windows, large := 40, 1000
	if os.Getenv("SLUICE_LONG") != "" {
		windows, large = 10_000, 10_000
	}
	digits := &digitsSource{readDigits(t), rand.New(rand.NewPCG(3, 4))}
	rng := rand.New(rand.NewPCG(5, 6))
	laws := map[string]func() []float64{
		"digits": func() []float64 { d := digits.next(); return d.pixels[:] },
		"normal": func() []float64 { return fill(make([]float64, 64), rng.NormFloat64) },
		"skewed": func() []float64 {
			return fill(make([]float64, 64), func() float64 { return math.Exp(rng.NormFloat64()) })
		},
		"sparse": func() []float64 {
			x := make([]float64, 64)
			for range 3 {
				x[rng.IntN(64)] = rng.ExpFloat64()
			}
			return x
		},
	}
	for name, next := range laws {
		for _, ref := range []int{500, large} {
			for _, rows := range []int{50, 500} {
				small := [4]int{}
				const profiles = 2
				for range profiles {
					p := vectorProfile(64, ref, next)
					o := vectorOptions()
					o.Gates.Vector = 1e-6 // no tolerance: the null hypothesis itself
					for i := range windows / profiles {
						d := detector(t, p, o) // each window alone
						f := vectorFinding(t, d.Judge(vectorWindow(p, i, rows, nil, next)))
						for k, limit := range [...]float64{1e-1, 1e-2, 1e-3, 1e-4} {
							if f.P < limit {
								small[k]++
							}
						}
					}
				}
				t.Logf("%s, reference of %d, windows of %d: p < 0.1, 1e-2, 1e-3, 1e-4 in %v of %d", name, ref, rows, small, windows)
				if most := windows/100 + 5; small[1] > most {
					t.Errorf("%s, reference of %d, windows of %d: p < 0.01 in %d of %d; expected at most %d", name, ref, rows, small[1], windows, most)
				}
			}
		}
	}
}

func fill(x []float64, of func() float64) []float64 {
	for i := range x {
		x[i] = of()
	}
	return x
}
