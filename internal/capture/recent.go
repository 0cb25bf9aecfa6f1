package capture

import (
	"context"
	"slices"

	"sluice.io/sluice/api"
)

// RowLabel is the label of a row of a captured request.
type RowLabel struct {
	Text    string
	Number  float64 // if Numeric
	Numeric bool
}

// Recent calls yield with captured requests of a model in a range and their labels by row, nil for a row without one. It reads the
// newest files first, until it has at least as many rows as are asked for. Files that are missing or damaged are skipped and counted. It
// stops at an error of yield.
func (s *Store) Recent(ctx context.Context, model string, of api.CaptureRange, rows int64, yield func(r *Request, labels []*RowLabel) error) (done api.CaptureExport, err error) {
	all, err := s.Files(ctx, model, of)
	if err != nil {
		return done, err
	}
	var files, labels []api.CaptureFile
	for i := range all {
		if all[i].Kind == kindRequests {
			files = append(files, all[i])
		} else {
			labels = append(labels, all[i])
		}
	}
	slices.SortStableFunc(files, func(a, b api.CaptureFile) int { return b.Last.Compare(a.Last) })
	bucket, err := s.hold(ctx)
	if err != nil {
		return done, unreadable(err)
	}
	s.release() // files are whole under their names
	e := &export{s: s, ctx: ctx, bucket: bucket, model: model, of: api.CaptureRead{CaptureRange: of}, done: &done, damaged: map[string]bool{}}
	for i := range files {
		if done.Rows >= rows {
			return done, nil
		}
		set, err := e.labels(files[i:i+1], labels)
		if err != nil {
			return done, err
		}
		if err := e.skipping(files[i].Path, e.recent(&files[i], set, yield)); err != nil {
			return done, err
		}
	}
	return done, nil
}

// recent calls yield with the requests of a file.
func (e *export) recent(f *api.CaptureFile, set *labelSet, yield func(*Request, []*RowLabel) error) error {
	data, err := readAll(e.ctx, e.bucket, f.Path, maxFileBytes)
	if err != nil {
		return err
	}
	file, err := OpenFile(data)
	if err != nil {
		return err
	}
	e.done.Files++
	return file.Requests(func(r *Request) error {
		if r.Time.Before(e.of.Since) || !e.of.Until.IsZero() && !r.Time.Before(e.of.Until) {
			return nil
		}
		if err := e.ctx.Err(); err != nil {
			return err
		}
		labels := make([]*RowLabel, r.Rows)
		for row := range labels {
			if l, ok := set.labels[labelKey{r.ID, int32(row)}]; ok { //nolint:gosec // rows of a request are few
				text, number := l.cells[0], l.cells[1]
				labels[row] = &RowLabel{Text: string(text.ByteArray()), Numeric: !number.IsNull()}
				if labels[row].Numeric {
					labels[row].Number = number.Double()
				}
			}
		}
		e.done.Rows += int64(r.Rows)
		return yield(r, labels)
	})
}
