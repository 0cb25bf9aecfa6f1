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
	at       []int // the feature of each value of a row
	integers integerColumns
	options  *SimulationOptions
	row      drift.Row // of all features

	rows   uint64 // so far
	last   time.Time
	failed error // the error that ended them early
}

func newTimedRows(table *tabular.Reader, p *Profile, at []int, o *SimulationOptions) *timedRows {
	r := &timedRows{table: table, at: at, options: o}
	r.row.Values, r.row.Missing = make([]float64, len(p.Features)), make([]bool, len(p.Features))
	features := make([]drift.Feature, len(at))
	for i, k := range at {
		features[i] = p.Features[k]
	}
	r.integers = integerColumnsOf(features)
	return r
}

// unknown marks the features that are not in the table.
func (r *timedRows) unknown() []bool {
	list := make([]bool, len(r.row.Values))
	for i := range list {
		list[i] = !slices.Contains(r.at, i)
	}
	return list
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
	row = r.row
	for i, k := range r.at {
		row.Values[k], row.Missing[k] = values[i], missing[i]
	}
	if r.options.Time == "" {
		r.rows++
		row.At = time.Unix(int64(r.rows), 0).UTC() //nolint:gosec // as above
		return row, nil
	}
	at, ok := parseTime(r.table.Text())
	switch {
	case !ok:
		return row, r.table.Errorf("is not a valid time; expected RFC 3339, 2026-05-04 12:30:00, 2026-05-04, or seconds since 1970")
	case at.Before(r.last):
		return row, r.table.Errorf("is before the time of the previous row; sort the file by time")
	}
	r.rows++
	r.last, row.At = at, at
	return row, nil
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
