package record

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"
)

// Rows are the lines of a file, or some of them.
type Rows []Record

// Where returns those of a scenario whose parameters have the given values; pairs are
// names and values in turn.
func (r Rows) Where(scenario string, pairs ...string) (list Rows) {
	for i := range r {
		if r[i].Scenario == scenario && r[i].has(pairs) {
			list = append(list, r[i])
		}
	}
	return list
}

func (r *Record) has(pairs []string) bool {
	for i := 0; i < len(pairs); i += 2 {
		if r.Params[pairs[i]] != pairs[i+1] {
			return false
		}
	}
	return true
}

// Groups returns what of the rows has the same values of some parameters, in the order
// of the first of each.
func (r Rows) Groups(params ...string) (list []Rows) {
	at := map[string]int{}
	for i := range r {
		values := make([]string, len(params))
		for k, p := range params {
			values[k] = r[i].Params[p]
		}
		key := strings.Join(values, "\x00")
		if _, ok := at[key]; !ok {
			at[key], list = len(list), append(list, nil)
		}
		list[at[key]] = append(list[at[key]], r[i])
	}
	return list
}

// Figure is one number of a row; NaN if it has none.
type Figure func(*Record) float64

// Named is the figure of that name.
func Named(name string) Figure {
	return func(r *Record) float64 {
		if v, ok := r.Figures[name]; ok {
			return v
		}
		return math.NaN()
	}
}

// Per divides one figure by another, and scales that.
func Per(name, of string, scale float64) Figure {
	return func(r *Record) float64 { return scale * r.Figures[name] / r.Figures[of] }
}

// Sum adds up a figure.
func (r Rows) Sum(name string) (sum float64) {
	for i := range r {
		sum += r[i].Figures[name]
	}
	return sum
}

// Median is that of a figure; not a number if no row has it.
func (r Rows) Median(name string) float64 { return r.Spread(Named(name)).Median }

// Sums adds up the figures whose names begin with a word, each by the rest of its name.
func (r Rows) Sums(word string) map[string]float64 {
	found := map[string]float64{}
	for i := range r {
		for name, n := range r[i].Figures {
			if rest, ok := strings.CutPrefix(name, word); ok {
				found[rest] += n
			}
		}
	}
	return found
}

// Spread returns what the rows say of one figure.
func (r Rows) Spread(f Figure) Spread {
	values := make([]float64, len(r))
	for i := range r {
		values[i] = f(&r[i])
	}
	return SpreadOf(values)
}

// Difference and Ratio compare a row's figure with that of others.
func Difference(own, base float64) float64 { return own - base }

// Ratio is how many times as much.
func Ratio(own, base float64) float64 { return own / base }

// Percent is by how many percent it is more.
func Percent(own, base float64) float64 { return 100 * (own/base - 1) }

// Over compares a figure round by round with the mean of others: what slows down a whole
// round does not count, nor does a round that lacks one of them.
func (r Rows) Over(f Figure, compare func(own, base float64) float64, base ...Rows) Spread {
	return SpreadOf(r.over(f, compare, base))
}

// OverMedian is Over with the interval of the median instead of the range.
func (r Rows) OverMedian(f Figure, compare func(own, base float64) float64, base ...Rows) Spread {
	return MedianOf(r.over(f, compare, base))
}

func (r Rows) over(f Figure, compare func(own, base float64) float64, base []Rows) []float64 {
	values := make([]float64, 0, len(r))
	for i := range r {
		sum := 0.0
		for _, b := range base {
			sum += f(b.round(r[i].Params["round"]))
		}
		values = append(values, compare(f(&r[i]), sum/float64(len(base))))
	}
	return values
}

func (r Rows) round(round string) *Record {
	for i := range r {
		if r[i].Params["round"] == round {
			return &r[i]
		}
	}
	return &Record{Figures: map[string]float64{}}
}

// Spread is the median of some values and their range; NaN without a value.
type Spread struct{ Median, Low, High float64 }

// SpreadOf leaves out what is not a number.
func SpreadOf(values []float64) Spread {
	s := slices.DeleteFunc(slices.Sorted(slices.Values(values)), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	if len(s) == 0 {
		return Spread{math.NaN(), math.NaN(), math.NaN()}
	}
	return Spread{(s[(len(s)-1)/2] + s[len(s)/2]) / 2, s[0], s[len(s)-1]}
}

// MedianOf returns the median of some values and its interval with a confidence of at least 95 %, between two of the values, whatever their
// distribution is: the numbers of values on each side of the true median are binomial. Of fewer than six values there is none, and the
// interval is their range.
func MedianOf(values []float64) Spread {
	s := SpreadOf(values)
	sorted := slices.DeleteFunc(slices.Sorted(slices.Values(values)), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	below := distuv.Binomial{N: float64(len(sorted)), P: 0.5}
	const each = 0.025 // of the probability to miss it, on either side
	for k := 0; k < len(sorted)/2 && below.CDF(float64(k)) <= each; k++ {
		s.Low, s.High = sorted[k], sorted[len(sorted)-1-k]
	}
	return s
}

// OK reports whether there was a value.
func (s Spread) OK() bool { return !math.IsNaN(s.Median) }

// Text writes the median and the range with a verb for numbers.
func (s Spread) Text(verb string) string {
	if !s.OK() {
		return "–"
	}
	return fmt.Sprintf(verb+" ("+verb+" to "+verb+")", s.Median, s.Low, s.High)
}

// Overlaps reports whether two ranges have a value in common.
func (s Spread) Overlaps(o Spread) bool { return s.Low <= o.High && o.Low <= s.High }

// Farthest is how far from zero the range reaches.
func (s Spread) Farthest() float64 { return max(math.Abs(s.Low), math.Abs(s.High)) }
