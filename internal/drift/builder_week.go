package drift

import (
	"time"

	"sluice.io/sluice/internal/infer"
)

// builderWeek counts rows by the hour of the week. Its zero value does not.
type builderWeek struct {
	name        string // of the time zone
	clock       clock
	part        int // of a row of the sample: the hour
	hour        int // of the next row
	first, last time.Time
}

// ByHour makes the builder count by the hour of the week in a time zone, a name of the IANA database. It is called before Add. Errors
// are Invalid: the zone is not known, or the features are too many.
func (b *Builder) ByHour(zone string) error {
	p := Profile{Week: &Week{Zone: zone}}
	c, err := p.clock()
	if err != nil {
		return err
	}
	if len(b.moments) > MaxWeekFeatures {
		return infer.Errorf(infer.Invalid, "%d features; by the hour of the week at most %d can be counted: choose the columns that matter", len(b.moments), MaxWeekFeatures)
	}
	b.week = builderWeek{name: zone, clock: c, part: len(b.moments)}
	b.moments = append(b.moments, moments{round: asItIs})
	return nil
}

// At sets the time of the rows that are added next.
func (b *Builder) At(at time.Time) {
	w := &b.week
	w.hour = w.clock.hour(at)
	if w.first.IsZero() || at.Before(w.first) {
		w.first = at
	}
	if at.After(w.last) {
		w.last = at
	}
}

// Covered returns the time from the first row to the last one. If it is less than MinWeeks, the profile has no hours.
func (b *Builder) Covered() time.Duration { return b.week.last.Sub(b.week.first) }

// sampled sets the hour of a row of the sample; nil is none.
func (w *builderWeek) sampled(row []float64) {
	if w.name != "" && row != nil {
		row[w.part] = float64(w.hour)
	}
}

// of returns what a profile has, nil if the rows cover too little time.
func (w *builderWeek) of() *Week {
	if w.name == "" || w.last.Sub(w.first) < MinWeeks {
		return nil
	}
	return &Week{Zone: w.name}
}

// byHour counts a part of the sample by the hour of the week.
func (b *Builder) byHour(f *Feature, part int) {
	if b.week.of() == nil {
		return
	}
	f.Hours = f.newHours()
	for at := range b.sampled {
		row := b.row(at)
		f.Hours[int(row[b.week.part])].Add(f, row[part])
	}
}

// countIn counts a value of a row, and in the hour of the row if there is one.
func (f *Feature) countIn(w *builderWeek, x float64) {
	f.Reference.Add(f, x)
	if w.name == "" {
		return
	}
	if f.Hours == nil {
		f.Hours = f.newHours()
	}
	f.Hours[w.hour].Add(f, x)
}

// newHours returns counts of zero rows.
func (f *Feature) newHours() []Counts {
	hours := make([]Counts, WeekHours)
	for i := range hours {
		hours[i] = f.NewCounts()
	}
	return hours
}

// hoursAround returns the hours with sums around another mean; their bins are copies.
func (f *Feature) hoursAround(mean float64) []Counts {
	hours := make([]Counts, len(f.Hours))
	for i := range f.Hours {
		hours[i] = f.Hours[i].around(f.Mean, mean)
	}
	return hours
}

// around returns the hours that were counted in the bins of another profile's feature, for the feature f of the rows.
func (w *builderWeek) around(like, f *Feature) []Counts {
	if w.of() == nil {
		return nil
	}
	hours := like.hoursAround(f.Mean)
	for i := range hours {
		hours[i].New, hours[i].Below, hours[i].Above = 0, 0, 0
	}
	return hours
}
