package labels

import (
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"sluice.io/sluice/api"
)

// AddWindows adds the windows of the streams to a report. A window is what a slice of the store has:
// predictions of a 16th of the max age, or less if they are many. Errors are those of Report.
func (s *Store) AddWindows(r *api.LabelReport, estimates Estimate) error {
	f, err := s.open(false)
	if f == nil || err != nil {
		return readError(err)
	}
	return readError(f.view(func(tx *bbolt.Tx) error {
		var end time.Time
		for _, s := range slicesOf(tx) { // the newest first
			if err := addWindow(tx, r, s, end, estimates); err != nil {
				return err
			}
			end = s.start
		}
		for i := range r.Streams {
			slices.Reverse(r.Streams[i].Windows)
		}
		return nil
	}))
}

// addWindow adds what a slice has to the streams of a report.
func addWindow(tx *bbolt.Tx, r *api.LabelReport, s *slice, end time.Time, estimates Estimate) error {
	p := s.of(r.Model)
	if p == nil {
		return nil
	}
	cells := map[cellKey]*cell{}
	err := p.cells.ForEach(func(key, value []byte) error {
		k, ok := parseCellKey(key)
		if !ok {
			return nil
		}
		c, err := decodeCell(value)
		if k.segment = ""; err != nil || cells[k] == nil {
			cells[k] = c
			return err
		}
		cells[k].merge(c)
		return nil
	})
	if err != nil {
		return err
	}
	for _, part := range streams(tx, cells, estimates) {
		i := slices.IndexFunc(r.Streams, func(s api.LabelStream) bool {
			return s.Segment == "" && s.Version == part.Version && s.Role == part.Role && s.Output == part.Output && s.Task == part.Task &&
				s.Positive == part.Positive && slices.Equal(s.Classes, part.Classes)
		})
		if i >= 0 {
			r.Streams[i].Windows = append(r.Streams[i].Windows, api.LabelWindow{
				Start: s.start, End: end, Predictions: part.Predictions, Labels: part.Labels, Metrics: part.Metrics, Estimates: part.Estimates,
			})
		}
	}
	return nil
}
