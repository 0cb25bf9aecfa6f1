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

// Hours are rows by the hour of the week, in ascending order of the hours. Methods return new values and do not change the receiver.
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
