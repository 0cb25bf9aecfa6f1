package offline

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"time"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/tabular"
)

// timedRows are the rows of a table with their times.
type timedRows struct {
	table    *tabular.Reader
	profile  *Profile
	at       [][]int // the features of each value of a row
	integers integerColumns
	options  *SimulationOptions
	row      drift.Row // of all features
	times    *times    // nil without a column of times
	key      rowKey

	rows   uint64 // so far
	last   time.Time
	failed error // the error that ended them early
}

func newTimedRows(table *tabular.Reader, p *Profile, at [][]int, o *SimulationOptions) (*timedRows, error) {
	r := &timedRows{table: table, profile: p, at: at, options: o}
	r.row.Values, r.row.Missing, r.row.Texts = make([]float64, len(p.Features)), make([]bool, len(p.Features)), make([]string, len(p.Features))
	features := make([]drift.Feature, len(at))
	for i, list := range at {
		features[i] = p.Features[list[0]]
	}
	r.integers = integerColumnsOf(features)
	var err error
	if r.times, err = timesOf(table, o.Time); err != nil {
		return nil, err
	}
	r.key, err = keyOf(table, p, o)
	return r, err
}

// unknown marks the features that are not in the table.
func (r *timedRows) unknown() []bool {
	list := make([]bool, len(r.row.Values))
	for i := range list {
		list[i] = !slices.ContainsFunc(r.at, func(features []int) bool { return slices.Contains(features, i) })
	}
	return list
}

// set sets the features of the row from the values of the table.
func (r *timedRows) set(values []float64, texts []string, missing []bool) {
	for i, features := range r.at {
		var text drift.Text
		if texts[i] != "" {
			text = drift.ReadText([]byte(texts[i][:min(len(texts[i]), r.profile.TextBytes)]), len(texts[i]))
		}
		for _, k := range features {
			r.row.Values[k], r.row.Texts[k], r.row.Missing[k] = values[i], texts[i], missing[i]
			if f := &r.profile.Features[k]; f.OfText() {
				r.row.Values[k] = text.Of(f)
			}
		}
	}
}

// all yields the rows until the table ends or failed is set.
func (r *timedRows) all(ctx context.Context) iter.Seq[drift.Row] {
	return func(yield func(drift.Row) bool) {
		for {
			row, err := r.next(ctx)
			if err != nil {
				if !errors.Is(err, io.EOF) {
					r.failed = err
				}
				return
			}
			if !yield(row) {
				return
			}
		}
	}
}

func (r *timedRows) next(ctx context.Context) (row drift.Row, err error) {
	if err := r.options.tell(ctx, r.table, int64(r.rows)); err != nil { //nolint:gosec // never 2^63 rows
		return row, err
	}
	values, missing, err := r.table.Next()
	if err == nil {
		err = r.integers.check(values, missing, r.table.Line())
	}
	if err != nil {
		return row, err
	}
	r.set(values, r.table.Texts(), missing)
	row = r.row
	if r.times == nil {
		r.rows++
		row.At = time.Unix(int64(r.rows), 0).UTC() //nolint:gosec // as above
		return row, nil
	}
	at, err := r.times.read()
	switch {
	case err != nil:
		return row, err
	case at.Before(r.last):
		return row, r.times.column.Errorf("is before the time of the previous row; sort the file by time")
	}
	r.rows++
	r.last, row.At = at, at
	return row, nil
}

// times reads the times of rows.
type times struct{ column *tabular.Kept }

// timesOf returns nil if the name is empty.
func timesOf(table *tabular.Reader, name string) (*times, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // not an error
	}
	column, err := table.Keep(name)
	return &times{column}, err
}

// read returns the time of the last row.
func (t *times) read() (time.Time, error) {
	at, ok := parseTime(t.column.Text())
	if !ok {
		return at, t.column.Errorf("is not a valid time; expected RFC 3339, 2026-05-04 12:30:00, 2026-05-04, or seconds since 1970")
	}
	return at, nil
}

// parseTime parses a time. Without a zone it is in UTC, and a number is in seconds since 1970.
func parseTime(text string) (time.Time, bool) {
	const zone, date = "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04"
	for _, layout := range [...]string{time.RFC3339, zone, "2006-01-02T15:04:05", time.DateTime, date, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	seconds, err := strconv.ParseFloat(text, 64)
	const most = 1 << 40 // far beyond any year with four digits
	if err != nil || !(math.Abs(seconds) < most) {
		return time.Time{}, false
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*float64(time.Second))).UTC(), true
}
