package capture

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"go.uber.org/zap"
	"gocloud.dev/gcerrors"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Limits of exports, each of which has one file in memory.
const (
	maxExports   = 2
	maxFileBytes = 512 << 20
	maxNamed     = 100 // skipped files that are named
)

// Export writes the rows of a model that a range selects, the oldest files first. A file that is
// missing, cut off or damaged is left out as a whole and named. An error without rows is the
// caller's, or the bucket cannot be read.
func (s *Store) Export(ctx context.Context, model string, of api.CaptureRead, w io.Writer) (done api.CaptureExport, err error) {
	select {
	case s.exporting <- struct{}{}:
		defer func() { <-s.exporting }()
	default:
		return done, infer.Errorf(infer.Overloaded, "%d exports are in progress, the max; retry later", maxExports)
	}
	all, err := s.Files(ctx, model, of.CaptureRange)
	if err != nil {
		return done, err
	}
	var files, labels []api.CaptureFile
	for i := range all {
		if all[i].Kind == kindRequests {
			files = append(files, all[i])
		} else if of.Labels {
			labels = append(labels, all[i])
		}
	}
	slices.SortStableFunc(files, func(a, b api.CaptureFile) int { return a.First.Compare(b.First) })
	bucket, err := s.hold(ctx)
	if err != nil {
		return done, unreadable(err)
	}
	s.release() // files are whole under their names, so that they can be read while others are written
	e := &export{s: s, ctx: ctx, bucket: bucket, model: model, of: of, done: &done, damaged: map[string]bool{}}
	if of.Format == api.CaptureTar {
		return done, e.tarFiles(w, slices.Concat(files, labels))
	}
	if e.to, err = e.table(of.Format, files, w); err != nil {
		return done, err
	}
	if of.Labels {
		err = e.labelledFiles(files, labels)
	} else {
		err = e.files(files)
	}
	if err != nil {
		return done, err
	}
	return done, e.to.close()
}

// export is an export in progress.
type export struct {
	s      *Store
	ctx    context.Context //nolint:containedctx // of one call
	bucket *Bucket
	model  string
	of     api.CaptureRead
	to     table
	done   *api.CaptureExport

	set     *labelSet       // of the files that are written now; nil without labels
	damaged map[string]bool // files of labels
}

// table is what rows are written to. The next rows have the columns of a layout.
type table interface {
	begin(l *layout) error
	row(cells [][]parquet.Value) error
	close() error
}

// table returns the table of a format. One with a head has the columns of all files.
func (e *export) table(format string, files []api.CaptureFile, w io.Writer) (table, error) { //nolint:ireturn // one of three
	switch format {
	case api.CaptureJSONL:
		return newJSONTable(w), nil
	case api.CaptureCSV, api.CaptureParquet:
	default:
		return nil, infer.Errorf(infer.Invalid, "format: expected %s, got '%.40s'", strings.Join(api.CaptureFormats(), ", "), format)
	}
	columns, err := e.columns(files)
	if err != nil {
		return nil, err
	}
	if format == api.CaptureCSV {
		return newCSVTable(w, columns)
	}
	return newParquetTable(w, e.model, columns, e.s.o.Version)
}

// columns returns the columns of all files. Files with the same digest of a schema have the same
// columns, so that it opens one of each.
func (e *export) columns(files []api.CaptureFile) ([]column, error) {
	empty, err := newLayout(&infer.Model{Name: e.model}, "", Settings{}, "") // has the columns that all have
	if err != nil {
		return nil, err
	}
	if e.of.Labels {
		empty = empty.joined()
	}
	columns, seen := slices.Clone(empty.columns), map[string]bool{}
	for i := range files {
		if seen[files[i].Schema] {
			continue
		}
		l, err := e.layout(files[i].Path)
		if errors.Is(err, errDamaged) || gcerrors.Code(err) == gcerrors.NotFound {
			continue // it is named when it is its turn
		}
		if err != nil {
			return nil, unreadable(err)
		}
		seen[files[i].Schema] = true
		for _, c := range l.columns {
			at := slices.IndexFunc(columns, func(x column) bool { return x.name == c.name })
			if at < 0 {
				columns = append(columns, c)
			} else if !columns[at].same(c) {
				return nil, infer.Errorf(infer.Invalid, "column '%.255s' has another type in version %d; export one version, or as %s", c.name, files[i].Version, api.CaptureJSONL)
			}
		}
	}
	return columns, nil
}

// same reports whether columns have the same type.
func (c *column) same(x column) bool { return c.node.String() == x.node.String() }

// layout reads the layout of a file, and no more of it than that needs.
func (e *export) layout(path string) (l *layout, err error) {
	at := &ranges{ctx: e.ctx, bucket: e.bucket, path: path}
	defer func() { err = at.damaged(err, recover()) }()
	p, err := at.open()
	if err != nil {
		return nil, err
	}
	return layoutOf(p)
}

// files writes the rows of files.
func (e *export) files(files []api.CaptureFile) error {
	for i := range files {
		if err := e.skipping(files[i].Path, e.file(&files[i])); err != nil {
			return err
		}
	}
	return nil
}

// read reads a file, and makes sure that it is not found damaged after half of its rows.
func (e *export) read(f *api.CaptureFile) (rows rowReader, err error) {
	data, err := readAll(e.ctx, e.bucket, f.Path, maxFileBytes)
	if err != nil {
		return rows, err
	}
	rows.data = data
	if rows.l, rows.p, err = open(data); err != nil {
		return rows, err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != f.SHA256 {
		err = rows.each(func([][]parquet.Value) error { return nil })
	}
	return rows, err
}

// file writes the rows of a file.
func (e *export) file(f *api.CaptureFile) error {
	rows, err := e.read(f)
	if err != nil {
		return err
	}
	as := rows.l
	if e.set != nil {
		as = as.joined()
	}
	if err := e.to.begin(as); err != nil {
		return err
	}
	e.done.Files++
	return rows.each(func(cells [][]parquet.Value) error {
		at := time.UnixMicro(cells[columnTime][0].Int64())
		if at.Before(e.of.Since) || !e.of.Until.IsZero() && !at.Before(e.of.Until) {
			return nil
		}
		if e.set != nil {
			label := e.set.of(cells)
			for i := range label {
				cells = append(cells, label[i:i+1])
			}
		}
		e.done.Rows++
		return cmp.Or(e.ctx.Err(), e.to.row(cells))
	})
}

// skipping counts and names a file that cannot be read, and returns other errors.
func (e *export) skipping(path string, err error) error {
	switch {
	case errors.Is(err, errDamaged), err != nil && gcerrors.Code(err) == gcerrors.NotFound:
		e.s.skip(e.model, path, err)
		if e.done.Skipped++; len(e.done.SkippedFiles) < maxNamed {
			e.done.SkippedFiles = append(e.done.SkippedFiles, path)
		}
		return nil
	case err != nil:
		return unreadable(err)
	}
	return nil
}

// skip counts and logs a file that cannot be read.
func (s *Store) skip(model, path string, err error) {
	s.counts(model).damaged.Add(1)
	s.o.Logger.Warn("a file of captured requests cannot be read, and is skipped", zap.String("model", model), zap.String("path", path), zap.Error(err))
}

// open opens a file of captured requests in memory.
func open(data []byte) (l *layout, p *parquet.File, err error) {
	defer func() { err = damaged(err, recover()) }()
	if p, err = openParquet(data); err != nil {
		return nil, nil, err
	}
	if l, err = layoutOf(p); err != nil {
		return nil, nil, err
	}
	return l, p, nil
}

// rowReader reads the rows of a file.
type rowReader struct {
	l    *layout
	p    *parquet.File
	data []byte
}

// each calls yield with the values of each row, by column. They are valid until it returns.
func (r rowReader) each(yield func(cells [][]parquet.Value) error) (err error) {
	defer func() {
		if y, ok := errors.AsType[yieldError](err); ok {
			err = y.err
			return
		}
		err = damaged(err, recover())
	}()
	var cells [][]parquet.Value
	return eachRow(r.p, func(row parquet.Row) error {
		if cells, err = r.l.cells(cells, row); err != nil {
			return err
		}
		if err := yield(cells); err != nil {
			return yieldError{err}
		}
		return nil
	}, func() error { return nil })
}
