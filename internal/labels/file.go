package labels

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/bolt"
	"sluice.io/sluice/internal/infer"
)

// The file has these buckets:
//
//	labels: format, commits, counts of each model
//	forms:  a form by its number
//	segments: model → its segments
//	past:   model → cells of the slices that were dropped
//	losses: model and stream → the state of its losses
//	slices: start of a slice → size, and model → p: predictions by id
//	                                             l: labels by id and row
//	                                             c: cells by stream
//	                                             s: predictions and labels of shadows, see shadows.go
//
// Everything goes into the newest slice, and a slice is dropped as a whole.
const (
	fileName       = "labels.db"
	metaBucket     = "labels"
	formsBucket    = "forms"
	pastBucket     = "past"
	segmentsBucket = "segments"
	lossesBucket   = "losses"
	slicesBucket   = "slices"
	formatKey      = "format"
	commitsKey     = "commits"
	sizeKey        = "\x00size" // not a name that a model can have
	shadowsKey     = "s"
	format         = "1"
	lockTimeout    = time.Second
)

var (
	errClosed      = errors.New("the store of labels is closed")
	errNoDirectory = errors.New("there is no data directory")
	errBroken      = errors.New("an earlier write failed in its last step")
	errForeign     = errors.New("the file is not a store of labels, or of a later version")
	errOpen        = errors.New("the file cannot be opened")
)

// file is the open store.
type file struct {
	db   *bbolt.DB
	bolt bolt.Guard

	// Used by the writer only.
	broken bool             // the last write may or may not be on disk
	forms  map[uint64]*Form // that were used
	due    time.Time        // when the next slice is to be dropped or begun, even if nothing is written
}

// openFile opens the file in a directory. If there is none, it makes it or returns nil.
func openFile(dir string, create bool) (*file, error) {
	path := filepath.Join(dir, fileName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, nil //nolint:nilnil // no file is not an error
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	f := &file{forms: map[uint64]*Form{}}
	err := f.guard(func() (err error) {
		f.db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
		return err
	})
	if err == nil {
		err = f.guard(func() error { return f.db.Update(prepare) })
	}
	if err != nil {
		return nil, errors.Join(errOpen, err, f.close())
	}
	return f, nil
}

// prepare makes the buckets of a new file, and checks the format of another one.
func prepare(tx *bbolt.Tx) error {
	meta := tx.Bucket([]byte(metaBucket))
	if meta == nil {
		if key, _ := tx.Cursor().First(); key != nil {
			return errForeign
		}
		var err error
		if meta, err = tx.CreateBucket([]byte(metaBucket)); err == nil {
			err = meta.Put([]byte(formatKey), []byte(format))
		}
		if err != nil {
			return err
		}
	}
	if string(meta.Get([]byte(formatKey))) != format {
		return errForeign
	}
	for _, name := range []string{formsBucket, segmentsBucket, pastBucket, lossesBucket, slicesBucket} {
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	return nil
}

// write runs one transaction, which also drops what is too old or too much.
func (f *file) write(o Options, form func(uint64) []byte, change func(*writing) error) error {
	if f.broken {
		return errBroken
	}
	var commit uint64
	broken, err := f.bolt.Update(f.db, func(tx *bbolt.Tx) error {
		w := &writing{file: f, tx: tx, now: time.Now(), o: o, form: form}
		if err := w.begin(); err != nil {
			return err
		}
		commit = w.commit
		if err := change(w); err != nil {
			return err
		}
		return w.end()
	}, func(tx *bbolt.Tx) bool { return commit > 0 && commits(tx) >= commit })
	f.broken = broken
	return closed(err)
}

func commits(tx *bbolt.Tx) uint64 {
	if b := tx.Bucket([]byte(metaBucket)).Get([]byte(commitsKey)); len(b) == 8 {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// view runs a transaction that only reads.
func (f *file) view(read func(tx *bbolt.Tx) error) error {
	return f.guard(func() error { return f.db.View(read) })
}

func (f *file) close() error {
	if f.db == nil || f.bolt.Panicked() {
		return nil // after a panic bbolt may hold its locks; the end of the process frees the file
	}
	return f.guard(f.db.Close)
}

// guard calls into bbolt.
func (f *file) guard(call func() error) error { return closed(f.bolt.Call(call)) }

// closed says in our words that the file is closed.
func closed(err error) error {
	if errors.Is(err, bbolterrors.ErrDatabaseNotOpen) {
		return errClosed
	}
	return err
}

// slice is a part of the file.
type slice struct {
	start  time.Time
	bucket *bbolt.Bucket
	models map[string]*part // nil for a model without one
}

// part is what a slice has of a model.
type part struct {
	predictions, labels, cells *bbolt.Bucket

	shadows *bbolt.Bucket // nil if there are none
}

func sliceKey(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.UnixNano())) //nolint:gosec // read back as int64
}

// slicesOf returns the slices, the newest first.
func slicesOf(tx *bbolt.Tx) []*slice {
	var list []*slice
	root := tx.Bucket([]byte(slicesBucket))
	cursor := root.Cursor()
	for key, _ := cursor.Last(); key != nil; key, _ = cursor.Prev() {
		if b := root.Bucket(key); b != nil && len(key) == 8 {
			start := time.Unix(0, int64(binary.BigEndian.Uint64(key))) //nolint:gosec // was an int64
			list = append(list, &slice{start: start, bucket: b, models: map[string]*part{}})
		}
	}
	return list
}

// of returns the part of a model, nil if there is none.
func (s *slice) of(model string) *part {
	p, known := s.models[model]
	if !known {
		if b := s.bucket.Bucket([]byte(model)); b != nil {
			p = &part{b.Bucket([]byte("p")), b.Bucket([]byte("l")), b.Bucket([]byte("c")), b.Bucket([]byte(shadowsKey))}
		}
		s.models[model] = p
	}
	return p
}

// make returns the part of a model, and makes it if there is none.
func (s *slice) make(model string) (*part, error) {
	if p := s.of(model); p != nil {
		return p, nil
	}
	b, err := s.bucket.CreateBucket([]byte(model))
	if err != nil {
		return nil, err
	}
	p := &part{}
	for name, to := range map[string]**bbolt.Bucket{"p": &p.predictions, "l": &p.labels, "c": &p.cells} {
		if *to, err = b.CreateBucket([]byte(name)); err != nil {
			return nil, err
		}
	}
	s.models[model] = p
	return p, nil
}

// formIn returns a stored form, nil if there is none.
func formIn(tx *bbolt.Tx, id uint64) *Form {
	text := tx.Bucket([]byte(formsBucket)).Get(formKey(id))
	f := &Form{}
	if text == nil || json.Unmarshal(text, f) != nil || f.Width < 1 {
		return nil
	}
	return f
}

func formKey(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }

// countsIn returns the counts of a model's labels.
func countsIn(tx *bbolt.Tx, model string) (c api.LabelCounts, err error) {
	if text := tx.Bucket([]byte(metaBucket)).Get(countsKey(model)); text != nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

func countsKey(model string) []byte { return append([]byte("counts/"), model...) }

// cellKeyOf identifies a stream within a model: version, form, role and segment.
type cellKey struct {
	version int64
	form    uint64
	role    string
	segment string
}

func (k *cellKey) bytes() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(k.version)) //nolint:gosec // read back as int64
	b = binary.BigEndian.AppendUint64(b, k.form)
	b = append(append(b, k.role...), 0)
	return append(b, k.segment...)
}

func parseCellKey(b []byte) (k cellKey, ok bool) {
	if len(b) < 17 {
		return k, false
	}
	k.version = int64(binary.BigEndian.Uint64(b)) //nolint:gosec // was an int64
	k.form = binary.BigEndian.Uint64(b[8:])
	at := slices.Index(b[16:], 0)
	if at < 0 {
		return k, false
	}
	k.role, k.segment = string(b[16:16+at]), string(b[17+at:])
	return k, true
}

func writeError(err error) error {
	e := &infer.Error{Code: infer.Unavailable, Op: "labels: write", Err: err}
	switch {
	case errors.Is(err, errClosed):
		e.Msg, e.Err = "the server is stopping", nil
	case errors.Is(err, errNoDirectory):
		e.Msg, e.Err = "labels need a data directory (data_dir), in which predictions are kept", nil
	case errors.Is(err, errBroken), errors.Is(err, bolt.ErrPanic):
		e.Msg = "labels cannot be written after an earlier write failed; restart the gateway"
	case errors.Is(err, errForeign), errors.Is(err, bbolterrors.ErrInvalid), errors.Is(err, bbolterrors.ErrChecksum), errors.Is(err, bbolterrors.ErrVersionMismatch):
		e.Msg = "labels.db in the data directory is damaged, or not a store of labels of this version; move it away and restart the gateway"
	case errors.Is(err, bbolterrors.ErrTimeout):
		e.Msg = "labels.db is in use by another process; one data directory serves one gateway"
	case errors.Is(err, errOpen):
		e.Msg = "labels.db cannot be opened; the gateway's user must be able to read and write the data directory, and the disk must have room"
	default:
		e.Msg = "labels cannot be written; the disk may be full"
	}
	return e
}
