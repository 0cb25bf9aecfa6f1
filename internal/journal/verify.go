package journal

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Verify reads the whole journal, segments included: each file against its own hash, and
// the chain of hashes from the first event to the last. The report says what is wrong; an
// error means that the log could not be asked, or that ctx has ended.
func (l *Log) Verify(ctx context.Context) (api.JournalReport, error) {
	end := *l.head.Load()
	report := api.JournalReport{Events: end.seq, Hash: hex.EncodeToString(end.hash[:])}
	if f, ok := l.store.(*file); ok {
		f.checked.Clear() // all are read anew
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
		wrong = fmt.Errorf("its last event is %d, expected %d, or has another hash", h.seq, end.seq)
	}
	_, segment := errors.AsType[*segmentError](err)
	switch {
	case ctx.Err() != nil:
		return api.JournalReport{}, infer.Errorf(infer.Canceled, "the caller has gone")
	case wrong != nil:
		report.Problem = "the journal is damaged: " + wrong.Error()
	case segment || infer.CodeOf(err) == infer.Internal:
		report.Problem = infer.Message(err)
	case err != nil:
		return api.JournalReport{}, err
	}
	return report, nil
}

// Verify checks the journal in a directory, all of it, and changes nothing. No gateway
// may have it open.
func Verify(ctx context.Context, dir string) (report api.JournalReport, err error) {
	path := filepath.Join(dir, fileName)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return report, openError(errMissing)
	}
	f, err := openFile(path, os.O_RDONLY)
	if err != nil {
		return report, openError(err)
	}
	l, err := f.log()
	if err != nil {
		return report, openError(errors.Join(err, f.close()))
	}
	report, err = l.Verify(ctx)
	return report, errors.Join(err, l.Close())
}
