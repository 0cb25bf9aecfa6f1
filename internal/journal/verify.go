package journal

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Verify reads the whole journal with its segments. It checks the hash of each file, and
// the chain of hashes from the first event to the last. The report has the problem if there
// is one. An error means that the log is closed or that ctx has ended.
func (l *Log) Verify(ctx context.Context) (api.JournalReport, error) {
	end := *l.head.Load()
	report := api.JournalReport{Events: end.seq, Hash: hex.EncodeToString(end.hash[:])}
	if f, ok := l.store.(*file); ok {
		f.checked.Clear() // check all of them again
		report.Segments = len(f.segments())
	}
	unnamed, err := l.Unnamed()
	if err != nil {
		return api.JournalReport{}, readError(err)
	}
	report.Unnamed = len(unnamed)
	h := head{}
	var wrong error
	err = l.each(span{}, end.seq, func(seq int64, record []byte) (bool, error) {
		h, wrong = h.follow(seq, record)
		return true, cmp.Or(wrong, ctx.Err())
	})
	if err == nil && h != end {
		wrong = fmt.Errorf("the last event is %d, expected %d, or it has another hash", h.seq, end.seq)
	}
	_, segment := errors.AsType[*segmentError](err)
	switch {
	case ctx.Err() != nil:
		return api.JournalReport{}, infer.Errorf(infer.Canceled, "the caller canceled the verification")
	case wrong != nil:
		report.Problem = "the journal is damaged: " + wrong.Error()
	case segment || infer.CodeOf(err) == infer.Internal:
		report.Problem = infer.Message(err)
	case err != nil:
		return api.JournalReport{}, err
	}
	return report, nil
}

// Verify checks the whole journal in a directory and changes nothing. It is Unavailable if
// a gateway has the journal open, and NotFound if there is none.
func Verify(ctx context.Context, dir string) (report api.JournalReport, err error) {
	l, err := openToRead(dir)
	if err != nil {
		return report, err
	}
	report, err = l.Verify(ctx)
	return report, errors.Join(err, l.Close())
}

// Export is Log.Export for the journal in a directory, which it does not change. Errors are those of Verify as well.
func Export(dir string, after int64, filter Filter, w io.Writer) error {
	l, err := openToRead(dir)
	if err != nil {
		return err
	}
	return errors.Join(l.Export(after, filter, w), l.Close())
}

// openToRead opens a log that must not be written.
func openToRead(dir string) (*Log, error) {
	path := filepath.Join(dir, fileName)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, openError(errMissing)
	}
	f, err := openFile(path, os.O_RDONLY)
	if err != nil {
		return nil, openError(err)
	}
	l, err := f.log()
	if err != nil {
		return nil, openError(errors.Join(err, f.close()))
	}
	return l, nil
}
