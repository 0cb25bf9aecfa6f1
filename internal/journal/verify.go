package journal

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Verify reads the whole trail, segments included: each file against its own hash, and
// the chain of hashes from the first event to the last. The report says what is wrong; an
// error means that the log could not be asked.
func (l *Log) Verify() (api.JournalReport, error) {
	end := *l.head.Load()
	report := api.JournalReport{Events: end.seq, Hash: hex.EncodeToString(end.hash[:])}
	if f, ok := l.store.(*file); ok {
		f.checked.Clear() // all are read anew
		report.Segments = len(f.segments())
	}
	h := head{}
	var wrong error
	err := l.each(span{}, end.seq, func(seq int64, record []byte) (bool, error) {
		h, wrong = h.follow(seq, record)
		return true, wrong
	})
	if err == nil && h != end {
		wrong = fmt.Errorf("its last event is %d, expected %d, or has another hash", h.seq, end.seq)
	}
	e, ok := errors.AsType[*infer.Error](err)
	switch {
	case wrong != nil:
		report.Problem = "the journal is damaged: " + wrong.Error()
	case ok && e.Code == infer.Internal:
		report.Problem = e.Msg
	case err != nil:
		return api.JournalReport{}, err
	}
	return report, nil
}

// Verify checks the journal in a directory, all of it, and changes nothing. No gateway
// may have it open.
func Verify(dir string) (report api.JournalReport, err error) {
	path := filepath.Join(dir, fileName)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return report, openError(errMissing)
	}
	f, err := openFile(path)
	if err != nil {
		return report, openError(err)
	}
	l, err := f.log()
	if err != nil {
		return report, openError(errors.Join(err, f.close()))
	}
	report, err = l.Verify()
	return report, errors.Join(err, l.Close())
}
