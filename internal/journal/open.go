package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"sluice.io/sluice/internal/bolt"
	"sluice.io/sluice/internal/infer"
)

const (
	fileName = "journal.db"
	// newName is the name of the file while it is made. A crash can leave it behind. The
	// next first start uses it again.
	newName = "journal.db.new"

	lockTimeout = time.Second
)

var (
	errLocked  = errors.New("the file is locked")
	errForeign = errors.New("the file is of another program")
	errFormat  = errors.New("the file has a later format")
	errDamaged = errors.New("the file is damaged")
	errMissing = errors.New("the file does not exist")
	errBereft  = errors.New("the file does not exist, but there are segments")
	errMoved   = errors.New("the file was moved, replaced or deleted")
)

// Open opens the log in the data directory dir. It creates the directory and the log if
// they do not exist. It reads and checks all of journal.db, and checks that the segments
// that it names exist. It returns an error, and leaves the file as it is, if the file is
// damaged, of another program, of a later format, or in use.
func Open(dir string) (*Log, error) {
	dir = filepath.Clean(dir)
	path := filepath.Join(dir, fileName)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if names, _ := segmentFiles(dir); len(names) > 0 {
			return nil, openError(errBereft)
		}
		if err := create(dir); err != nil {
			return nil, openError(err)
		}
	}
	f, err := openFile(path, os.O_RDWR)
	if err != nil {
		return nil, openError(err)
	}
	l, err := f.log()
	if err == nil { // always, since the process that made the file may have ended before this step
		err = syncDir(dir)
	}
	if err != nil {
		return nil, openError(errors.Join(err, f.close()))
	}
	return l, nil
}

// log checks the file and returns the log that it holds.
func (f *file) log() (*Log, error) {
	h, alive, err := f.verify()
	if err != nil {
		return nil, err
	}
	l := newLog(f, h)
	if !alive.IsZero() {
		l.alive.Store(&alive)
	}
	return l, nil
}

// create makes an empty log under another name and renames it when it is complete
// and on disk, so that there is never an incomplete journal.db. The lock on the new file
// prevents two processes that start together from making one each.
func create(dir string) error {
	if err := makeDir(dir); err != nil {
		return err
	}
	path, newPath := filepath.Join(dir, fileName), filepath.Join(dir, newName)
	fd, err := openLocked(newPath, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	f := &file{fd: fd}
	err = func() error {
		if !isStill(newPath, fd) { // while we waited for the lock, its holder renamed it
			return errLocked
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(errLocked, err, os.Remove(newPath)) // another process was faster
		}
		if err := fd.Truncate(0); err != nil {
			return err
		}
		if err := f.open(newPath, false); err != nil {
			return err
		}
		if err := f.guard(func() error { return f.db.Update(writeEmpty) }); err != nil {
			return err
		}
		return os.Rename(newPath, path)
	}()
	if f.db == nil {
		return errors.Join(err, fd.Close())
	}
	return errors.Join(err, f.close())
}

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(dir)); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil // without permission for the parent, MkdirAll did not create dir
}

// isStill reports whether path names the open file.
func isStill(path string, fd *os.File) bool {
	opened, err := fd.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(opened, named)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func writeEmpty(tx *bbolt.Tx) error {
	meta, err := tx.CreateBucket([]byte(metaBucket))
	if err != nil {
		return err
	}
	if _, err := tx.CreateBucket([]byte(eventsBucket)); err != nil {
		return err
	}
	if err := meta.Put([]byte(formatKey), []byte(format)); err != nil {
		return err
	}
	return meta.Put([]byte(headKey), headValue(head{}))
}

// openFile locks, checks and opens an existing file, to write (os.O_RDWR) or only to read.
func openFile(path string, flag int) (*file, error) {
	fd, err := openLocked(path, flag)
	if err != nil {
		return nil, err
	}
	f := &file{fd: fd, path: path}
	if err := check(fd); err != nil {
		return nil, errors.Join(err, fd.Close())
	}
	if err := f.open(path, flag == os.O_RDONLY); err != nil {
		if f.bolt.Panicked() { // else bbolt has closed it
			err = errors.Join(errDamaged, err, fd.Close())
		}
		return nil, err
	}
	return f, nil
}

// open gives the open and locked file to bbolt, which would otherwise create a missing
// file.
func (f *file) open(path string, readOnly bool) error {
	return f.guard(func() error {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:      lockTimeout,
			NoStatistics: true,
			ReadOnly:     readOnly,
			OpenFile:     func(string, int, os.FileMode) (*os.File, error) { return f.fd, nil },
		})
		f.db = db
		return err
	})
}

// openLocked opens a regular file and takes the same lock as bbolt. Before that, another
// process could be writing to the file.
func openLocked(path string, flag int) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is not a regular file", errForeign) // opening a pipe would block
	}
	fd, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockTimeout); ; time.Sleep(20 * time.Millisecond) {
		locked, err := lock(fd)
		if locked {
			return fd, nil
		}
		if err == nil && time.Now().After(deadline) {
			err = errLocked
		}
		if err != nil {
			return nil, errors.Join(err, fd.Close())
		}
	}
}

// verify checks that the file is a journal of a known format, reads the list of its
// segments, and follows the chain of hashes from there to the last event. It returns the
// last event's head and the last heartbeat. The heartbeat is zero in files of earlier
// versions of this program.
func (f *file) verify() (h head, alive time.Time, err error) {
	var last, beat []byte
	err = f.guard(func() error {
		return f.db.View(func(tx *bbolt.Tx) error {
			meta := tx.Bucket([]byte(metaBucket))
			if meta == nil || tx.Bucket([]byte(eventsBucket)) == nil {
				return fmt.Errorf("%w: it is a bbolt file without a journal", errForeign)
			}
			if got := string(meta.Get([]byte(formatKey))); got != format && got != oldFormat {
				return fmt.Errorf("%w: got %.20q, this version reads up to %q", errFormat, got, format)
			}
			last, beat = bytes.Clone(meta.Get([]byte(headKey))), bytes.Clone(meta.Get([]byte(aliveKey)))
			return f.readIndex(tx)
		})
	})
	if err != nil {
		return head{}, time.Time{}, err
	}
	h = f.archived()
	after := h.seq
	if after == 0 {
		after = -1 // nothing may be before the first event
	}
	_, err = f.eachActive(after, func(seq int64, record []byte) (more bool, err error) {
		h, err = h.follow(seq, record)
		f.pending.Add(int64(len(record)))
		return true, err
	})
	if err == nil && !bytes.Equal(last, headValue(h)) {
		err = fmt.Errorf("the last event is %d, which is not the last one that was written", h.seq)
	}
	if err == nil && beat != nil {
		alive, err = beatOf(beat)
	}
	if err != nil {
		return head{}, time.Time{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return h, alive, nil
}

func openError(err error) error {
	e := &infer.Error{Code: infer.Internal, Op: "journal: open", Err: err}
	s, missing := errors.AsType[*segmentError](err)
	switch {
	case missing:
		e.Msg = "the journal is incomplete: " + s.what() + "; restore the file from a backup"
	case errors.Is(err, errMissing):
		e.Code, e.Msg = infer.NotFound, "there is no journal.db in the directory"
	case errors.Is(err, errBereft):
		e.Msg = "journal.db is missing in the data directory, but segments of a journal (journal-*.seg) exist; restore journal.db from a backup, " +
			"or move the segments away to start with an empty journal"
	case errors.Is(err, errLocked), errors.Is(err, bbolterrors.ErrTimeout):
		e.Code = infer.Unavailable
		e.Msg = "the journal is in use by another process; one data directory serves one gateway"
	case errors.Is(err, errForeign):
		e.Msg = "journal.db in the data directory is not a journal; move it away or use another directory"
	case errors.Is(err, errFormat):
		e.Msg = "journal.db was written by a later version of this program; use that version"
	case errors.Is(err, errDamaged), errors.Is(err, bolt.ErrPanic):
		e.Msg = "journal.db is damaged and was not changed; restore it from a backup, or move it away together with the segments (journal-*.seg) to start with an empty journal"
	case errors.Is(err, fs.ErrPermission):
		e.Msg = "no permission for the journal; the gateway's user must be able to read and write the data directory and journal.db"
	default:
		e.Msg = "the journal cannot be opened"
	}
	return e
}
