package drift

import (
	"math"
	"slices"
)

// weekly are the counts of a feature by the hour of the week, ready to be mixed.
//
// An hour with few rows says little, so that its shares are drawn towards those of the same hour on all days, and these towards the
// whole: by as much as weekPrior rows of the latter would.
type weekly struct {
	f     *Feature
	days  [24][]float64 // counts by the hour of the day, smoothed, for one row
	whole []float64     // of all rows, for one row
}

// weekPrior is the number of rows by which the shares of an hour are drawn towards more general ones.
const weekPrior = 32

// The numbers of counts that are mixed are the bins, and after them these.
const (
	mixAbsent = iota
	mixPosInf
	mixNegInf
	mixLow
	mixHigh
	mixSum
	mixSquares
	mixOthers
)

// numbers returns the numbers of counts that are mixed, as a sum with those in into.
func (c *Counts) numbers(into []float64) []float64 {
	n := len(into) - mixOthers
	for i, rows := range c.Bins {
		into[i] += float64(rows)
	}
	for i, x := range [mixOthers]float64{float64(c.Absent()), float64(c.PosInf), float64(c.NegInf), float64(c.Low), float64(c.High), c.Sum, c.Squares} {
		into[n+i] += x
	}
	return into
}

// newWeekly returns nil for a feature without hours.
func newWeekly(f *Feature) *weekly {
	if len(f.Hours) == 0 || len(f.Edges) == 0 {
		return nil
	}
	w := &weekly{f: f, whole: f.zeros()}
	rows := 0.0
	for day := range w.days {
		w.days[day] = f.zeros()
		for hour := day; hour < WeekHours; hour += 24 {
			f.Hours[hour].numbers(w.days[day])
		}
		for i, x := range w.days[day] {
			w.whole[i] += x
		}
		rows += rowsIn(w.days[day])
	}
	for i := range w.whole {
		w.whole[i] /= max(1, rows)
	}
	for day := range w.days {
		drawn(w.days[day], w.whole)
	}
	return w
}

func (f *Feature) zeros() []float64 { return make([]float64, len(f.Edges)+1+mixOthers) }

// rowsIn returns the rows of numbers of counts.
func rowsIn(numbers []float64) (rows float64) {
	n := len(numbers) - mixOthers
	for _, x := range numbers[:n+mixNegInf+1] {
		rows += x
	}
	return rows
}

// drawn makes counts those of one row, drawn towards general ones. It returns the rows that they stand for.
func drawn(counts, general []float64) (rows float64) {
	rows = rowsIn(counts) + weekPrior
	for i := range counts {
		counts[i] = (counts[i] + weekPrior*general[i]) / rows
	}
	return rows
}

// hour returns the counts of an hour of the week for one row, and the rows that they stand for.
func (w *weekly) hour(hour int) (numbers []float64, rows float64) {
	numbers = w.f.Hours[hour].numbers(w.f.zeros())
	return numbers, drawn(numbers, w.days[hour%24])
}

// shares returns the mixture of the hours of some rows, for one row. rows is the number of independent rows that would know it as
// well: its variance is that of the sum of the hours' shares.
func (w *weekly) shares(hours Hours) (mixed []float64, rows float64) {
	mixed = w.f.zeros()
	var all, square float64
	for _, h := range hours {
		all += float64(h[1])
	}
	for _, h := range hours {
		numbers, known := w.hour(int(h[0])) //nolint:gosec // below 168
		weight := float64(h[1]) / all
		for i, x := range numbers {
			mixed[i] += weight * x
		}
		square += weight * weight / known
	}
	return mixed, 1 / square
}

// mixed returns the feature with the mixture of the hours as its reference.
func (w *weekly) mixed(hours Hours) *Feature {
	shares, rows := w.shares(hours)
	rows = min(rows, float64(w.f.Reference.N()))
	f, n := *w.f, len(shares)-mixOthers
	count := func(i int) uint64 { return uint64(math.Round(rows * shares[i])) }
	f.Hours, f.Reference = nil, f.NewCounts()
	r := &f.Reference
	for i := range r.Bins {
		r.Bins[i] = count(i)
	}
	r.Missing, r.PosInf, r.NegInf = count(n+mixAbsent), count(n+mixPosInf), count(n+mixNegInf)
	r.Low = min(count(n+mixLow), r.Finite())
	r.High = min(count(n+mixHigh), r.Finite()-r.Low)
	finite := 0.0
	for _, x := range shares[:n] {
		finite += x
	}
	if finite > 0 {
		moved := shares[n+mixSum] / finite
		f.Mean += moved
		f.Variance = max(0, shares[n+mixSquares]/finite-moved*moved)
	}
	return &f
}

// like returns the bins of a window of other hours, as they would be in these if only the hours differed.
func (w *weekly) like(bins []uint64, from, to Hours) []uint64 {
	before, _ := w.shares(from)
	now, _ := w.shares(to)
	moved := slices.Clone(bins)
	for i, n := range bins {
		if before[i] > 0 {
			moved[i] = uint64(math.Round(float64(n) * now[i] / before[i]))
		}
	}
	return moved
}

// largest returns the largest share of each category of a break in any hour; nil without hours.
func (w *weekly) largest() []float64 {
	if w == nil {
		return nil
	}
	bins := len(w.f.Edges) + 1
	most := make([]float64, bins+2)
	for hour := range WeekHours {
		shares, _ := w.hour(hour)
		for i, x := range shares[:bins+1] { // the bins and the missing values
			most[i] = max(most[i], x)
		}
		most[bins+1] = max(most[bins+1], shares[bins+mixPosInf]+shares[bins+mixNegInf])
	}
	return most
}
