package drift

import (
	"math"
	"slices"
	"time"

	"sluice.io/sluice/internal/infer"
)

// A reference may know how its rows differ by the hour of the week, since many models see other people at night than at noon. Then a
// window is compared with the mixture of the hours that it covers, weighted by its rows in each, and not with the whole reference: a
// season is no drift, and a change is not hidden by one. See section 3.5 of Cobb and Van Looveren, "Context-Aware Drift Detection"
// (ICML 2022), for tests that condition on a context.

// WeekHours is the number of hours of a week. The first one begins on Monday at 0:00.
const WeekHours = 7 * 24

// MaxWeekFeatures is the max number of features of a profile with counts by the hour of the week, which take up to 90 KiB for each.
const MaxWeekFeatures = 256

// MinWeeks is the min time that the rows of a reference by the hour of the week cover: two weeks, so that each hour is there twice.
const MinWeeks = 2 * 7 * 24 * time.Hour

// Week says that the features of a profile have counts by the hour of the week.
type Week struct {
	// Zone is the time zone of the hours, a name of the IANA database. Hours follow its clock, also when that is set for summer.
	Zone string `json:"zone"`
}

// HourRows are an hour of the week, 0 to 167, and a number of rows in it.
type HourRows [2]uint64

// Hours are rows by the hour of the week, in ascending order. A value never changes.
type Hours []HourRows

// plus returns the hours with more rows in one of them.
func (h Hours) plus(hour int, rows uint64) Hours {
	if rows == 0 {
		return h
	}
	at, found := slices.BinarySearchFunc(h, uint64(hour), func(x HourRows, hour uint64) int { return int(x[0]) - int(hour) }) //nolint:gosec // below 168
	sum := make(Hours, 0, len(h)+1)
	sum = append(sum, h[:at]...)
	if found {
		rows += h[at][1]
		return append(append(sum, HourRows{uint64(hour), rows}), h[at+1:]...) //nolint:gosec // not negative
	}
	return append(append(sum, HourRows{uint64(hour), rows}), h[at:]...) //nolint:gosec // not negative
}

// with returns the hours with the rows of others.
func (h Hours) with(others Hours) Hours {
	for _, x := range others {
		h = h.plus(int(x[0]), x[1]) //nolint:gosec // below 168
	}
	return h
}

// check returns an error if the hours are not valid for so many rows.
func (h Hours) check(rows uint64) *infer.Error {
	for i, x := range h {
		if x[0] >= WeekHours || i > 0 && x[0] <= h[i-1][0] || x[1] > rows {
			return infer.Errorf(infer.Invalid, "its hours of the week are not valid")
		}
		rows -= x[1]
	}
	return nil
}

// clock tells the hour of the week. Its zero value tells none.
type clock struct{ zone *time.Location }

// clock returns the clock of the profile's hours. An unknown zone is an Invalid error.
func (p *Profile) clock() (clock, error) {
	if p.Week == nil {
		return clock{}, nil
	}
	zone, err := time.LoadLocation(p.Week.Zone)
	if err != nil || p.Week.Zone == "" || p.Week.Zone == "Local" {
		return clock{}, infer.Errorf(infer.Invalid, "the time zone '%.60s' of the profile's hours is not known; expected a name such as UTC or Europe/Berlin", p.Week.Zone)
	}
	return clock{zone}, nil
}

// mustClock is clock for a profile that was checked.
func (p *Profile) mustClock() clock {
	c, err := p.clock()
	if err != nil {
		panic("BUG: drift: " + infer.Message(err))
	}
	return c
}

// hour returns the hour of the week of a time.
func (c clock) hour(at time.Time) int {
	at = at.In(c.zone)
	return (int(at.Weekday())+6)%7*24 + at.Hour()
}

// count counts rows of a time in a window.
func (c clock) count(w *Window, at time.Time, rows uint64) {
	if c.zone != nil {
		w.Hours = w.Hours.plus(c.hour(at), rows)
	}
}

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

// seenFrom returns counts whose sums are around another mean, like around. They share their bins with c.
func (c *Counts) seenFrom(mean, other float64) *Counts {
	moved := *c
	d, n := mean-other, float64(c.Finite())
	moved.Sum = finite(c.Sum + n*d)
	moved.Squares = finite(max(c.Squares+2*d*c.Sum+n*d*d, 0))
	return &moved
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

// against returns a feature of the profile with the reference for some counts, and these counts as it sees them.
func (d *Tumbling) against(i int, c *Counts) (*Feature, *Counts) {
	f := &d.profile.Features[i]
	if w := d.weekly[i]; w != nil && len(c.Hours) > 0 {
		mixed := w.mixed(c.Hours)
		return mixed, c.seenFrom(f.Mean, mixed.Mean)
	}
	return f, c
}

// groups groups some counts of a feature, and their reference.
func (d *Tumbling) groups(i int, c *Counts) grouped {
	f, seen := d.against(i, c)
	past := &d.history[i]
	if f == &d.profile.Features[i] {
		g := groups(seen, f.Reference.Bins, past)
		g.f, g.c, g.scores = f, seen, &d.scores[i]
		return g
	}
	if len(past.Hours) > 0 && len(past.Before) > 0 {
		moved := *past
		moved.Before = d.weekly[i].like(past.Before, past.Hours, c.Hours)
		past = &moved
	}
	g := groups(seen, f.Reference.Bins, past)
	g.f, g.c, g.scores = f, seen, &scores{}
	if !f.IsCategory() {
		*g.scores = scoresOf(f.Reference.Bins)
	}
	return g
}

// inHours returns a window whose counts have its hours, if the reference has any.
func (d *Tumbling) inHours(w Window) Window {
	if d.profile.Week == nil || len(w.Hours) == 0 {
		return w
	}
	w.Counts = slices.Clone(w.Counts)
	for i := range w.Counts {
		w.Counts[i].Hours = w.Hours
	}
	return w
}

// expect returns the mean of a feature's scores that the hours of a window let expect, and the rows of the reference that know it.
func (d *Tumbling) expect(i int, s *scores, hours Hours) (mean, rows float64) {
	f := &d.profile.Features[i]
	if d.weekly[i] == nil || len(hours) == 0 {
		return 0, float64(f.Reference.Finite())
	}
	shares, known := d.weekly[i].shares(hours)
	finite := 0.0
	for bin, x := range s.of {
		mean += shares[bin] * x
		finite += shares[bin]
	}
	if finite == 0 {
		return 0, float64(f.Reference.Finite())
	}
	return mean / finite, min(known*finite, float64(f.Reference.Finite()))
}

// checkWeek checks the counts by the hour of the week.
func (p *Profile) checkWeek() error {
	if _, err := p.clock(); err != nil {
		return err
	}
	n := 0
	for i := range p.Features {
		f := &p.Features[i]
		if len(f.Hours) == 0 {
			continue
		}
		if n++; p.Week == nil || n > MaxWeekFeatures {
			return infer.Errorf(infer.Invalid, "feature '%.60s' has hours; expected a time zone for them, and at most %d features with any", f.Name, MaxWeekFeatures)
		}
		if err := f.checkHours(); err != nil {
			return err
		}
	}
	return nil
}

// checkHours returns an error if the hours are not those of the reference's rows.
func (f *Feature) checkHours() error {
	if len(f.Hours) != WeekHours {
		return infer.Errorf(infer.Invalid, "feature '%.60s' has %d hours; expected %d", f.Name, len(f.Hours), WeekHours)
	}
	left := f.Reference
	left.Bins = slices.Clone(left.Bins)
	for hour := range f.Hours {
		c := &f.Hours[hour]
		if err := checkCounts(f, c, uint64(math.MaxInt64)); err != nil {
			return infer.Errorf(infer.Invalid, "feature '%.60s', hour %d: %v", f.Name, hour, err.Msg)
		}
		if len(c.Hours) > 0 || c.Halves != nil || !left.subtract(c) {
			return infer.Errorf(infer.Invalid, "feature '%.60s' has more in its hours than in all", f.Name)
		}
	}
	if left.N() > 0 {
		return infer.Errorf(infer.Invalid, "feature '%.60s' has %d rows without an hour", f.Name, left.N())
	}
	return nil
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
