package labels

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"sluice.io/sluice/api"
)

// parts is the number of slices that the max age, and the max size, is divided into.
const parts = 16

// writing is a transaction that writes.
type writing struct {
	*file

	tx     *bbolt.Tx
	now    time.Time
	o      Options
	form   func(uint64) []byte // of the keepers
	commit uint64
	slices []*slice // the newest first
	grown  uint64   // bytes that were put into the newest slice
	cells  map[place]*cell
	counts map[string]*api.LabelCounts

	counters map[LossStream]LossCounter
	losses   map[LossStream][]byte // the states at the end
}

// place is the place of a cell.
type place struct {
	slice *slice
	model string
	key   cellKey
}

func (w *writing) begin() error {
	w.cells, w.counts = map[place]*cell{}, map[string]*api.LabelCounts{}
	w.counters, w.losses = map[LossStream]LossCounter{}, map[LossStream][]byte{}
	w.commit = commits(w.tx) + 1
	if err := w.tx.Bucket([]byte(metaBucket)).Put([]byte(commitsKey), formKey(w.commit)); err != nil {
		return err
	}
	w.slices = slicesOf(w.tx)
	return w.rotate()
}

// rotate drops the slices that are too old, or the oldest one if the file is too large, and starts
// a slice if the newest is old or large.
func (w *writing) rotate() error {
	for n := len(w.slices); n > 1; n-- {
		ended := w.slices[n-2].start
		if w.now.Sub(ended) <= w.o.MaxAge && !w.full() {
			break
		}
		if err := w.drop(w.slices[n-1]); err != nil {
			return err
		}
		w.slices = w.slices[:n-1]
		if w.now.Sub(ended) <= w.o.MaxAge { // its pages are free only after the transaction
			w.o.Logger.Warn("the oldest predictions are dropped before their max age, since the store of labels has its max size")
			break
		}
	}
	if len(w.slices) > 0 {
		newest := w.slices[0]
		if w.now.Sub(newest.start) < w.o.MaxAge/parts && size(newest) < uint64(w.o.MaxBytes)/(2*parts) { //nolint:gosec // more than 0
			return nil
		}
	}
	start := w.now
	if len(w.slices) > 0 && !start.After(w.slices[0].start) { // the clock was set back
		start = w.slices[0].start.Add(1)
	}
	b, err := w.tx.Bucket([]byte(slicesBucket)).CreateBucket(sliceKey(start))
	if err != nil {
		return err
	}
	w.slices = slices.Insert(w.slices, 0, &slice{start: start, bucket: b, models: map[string]*part{}})
	return nil
}

// full reports whether less than two slices of room are left in the file.
func (w *writing) full() bool {
	stats := w.db.Stats()
	free := int64(stats.FreePageN+stats.PendingPageN) * int64(w.db.Info().PageSize)
	return w.tx.Size()-free > w.o.MaxBytes-w.o.MaxBytes/parts
}

func size(s *slice) uint64 {
	if b := s.bucket.Get([]byte(sizeKey)); len(b) == 8 {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// drop adds the cells of a slice to those of the past, and deletes the slice.
func (w *writing) drop(s *slice) error {
	past := w.tx.Bucket([]byte(pastBucket))
	err := s.bucket.ForEachBucket(func(model []byte) error {
		to, err := past.CreateBucketIfNotExists(model)
		if err != nil {
			return err
		}
		p := s.of(string(model))
		if p == nil || p.cells == nil {
			return nil
		}
		return p.cells.ForEach(func(key, value []byte) error {
			c, err := decodeCell(value)
			if err != nil {
				return err
			}
			if old := to.Get(key); old != nil {
				sum, err := decodeCell(old)
				if err != nil {
					return err
				}
				sum.merge(c)
				c = sum
			}
			return to.Put(key, c.encode())
		})
	})
	if err != nil {
		return err
	}
	return w.tx.Bucket([]byte(slicesBucket)).DeleteBucket(sliceKey(s.start))
}

// keep writes taken predictions, and returns how many of the requests have a repeated id.
func (w *writing) keep(model string, t taken) (repeated int, err error) {
	p, err := w.slices[0].make(model)
	if err != nil {
		return 0, err
	}
	for e, ok := t.next(); ok; e, ok = t.next() {
		if len(e.record) > 0 && e.record[0] == recordExpected {
			if err := w.expect(model, &e); err != nil {
				return 0, err
			}
			continue
		}
		record, ok := parsePrediction(e.record)
		if !ok {
			return 0, errors.New("BUG: a prediction in the queue is damaged")
		}
		if err := w.know(record.form); err != nil {
			return 0, err
		}
		if record.segment, err = w.segment(model, record.segment); err != nil {
			return 0, err
		}
		c, err := w.cell(w.slices[0], model, cellKey{record.version, record.form, record.role, record.segment})
		if err != nil {
			return 0, err
		}
		c.keep(record.rows)
		form, err := w.formOf(record.form)
		if err != nil {
			return 0, err
		}
		c.keepScores(form, &record)
		if record.role == api.RoleShadow {
			if err := w.keepShadow(model, p, &e, &record); err != nil {
				return 0, err
			}
			continue
		}
		again, err := w.put(p, &e)
		if err != nil {
			return 0, err
		}
		if again {
			repeated++
		}
	}
	return repeated, nil
}

// put writes a prediction that was answered under its ids, and reports whether it replaces another
// one.
func (w *writing) put(p *part, e *entry) (again bool, err error) {
	if p.predictions.Get(e.id) != nil {
		again = true
		if err := forget(p.labels, e.id); err != nil {
			return again, err
		}
	}
	if err := p.predictions.Put(e.id, e.record); err != nil {
		return again, err
	}
	w.grown += uint64(len(e.id) + len(e.record))
	if len(e.alias) > 0 {
		if err := p.predictions.Put(e.alias, append([]byte{recordAlias}, e.id...)); err != nil {
			return again, err
		}
		w.grown += uint64(len(e.id) + len(e.alias))
	}
	return again, nil
}

// The max number of segments of a model, and the one that all others are.
const (
	maxSegments  = 50
	otherSegment = "other"
)

// segment returns the segment that is measured for the one of a request.
func (w *writing) segment(model, segment string) (string, error) {
	if segment == "" {
		return "", nil
	}
	known, err := w.tx.Bucket([]byte(segmentsBucket)).CreateBucketIfNotExists([]byte(model))
	if err != nil || known.Get([]byte(segment)) != nil {
		return segment, err
	}
	n, c := 0, known.Cursor()
	for key, _ := c.First(); key != nil; key, _ = c.Next() {
		n++
	}
	if n >= maxSegments {
		return otherSegment, nil
	}
	return segment, known.Put([]byte(segment), []byte{})
}

// know stores the form of a keeper, so that its predictions can be read after a restart.
func (w *writing) know(id uint64) error {
	forms := w.tx.Bucket([]byte(formsBucket))
	if w.forms[id] != nil || forms.Get(formKey(id)) != nil {
		return nil
	}
	return forms.Put(formKey(id), w.form(id))
}

// rowsOf returns the keys of the labels of a prediction. id begins them.
func rowsOf(labels *bbolt.Bucket, id []byte) (keys [][]byte) {
	c := labels.Cursor()
	first := append(slices.Clone(id), 0) // the first byte of each row
	for key, _ := c.Seek(first); bytes.HasPrefix(key, first); key, _ = c.Next() {
		if len(key) == len(id)+4 { // else of another id
			keys = append(keys, key)
		}
	}
	return keys
}

// forget deletes the labels of a prediction that is replaced.
func forget(labels *bbolt.Bucket, id []byte) error {
	for _, key := range rowsOf(labels, id) {
		if err := labels.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// cell returns a cell to change. end writes it.
func (w *writing) cell(s *slice, model string, key cellKey) (*cell, error) {
	at := place{s, model, key}
	if c := w.cells[at]; c != nil {
		return c, nil
	}
	c := &cell{}
	if p := s.of(model); p != nil {
		if value := p.cells.Get(key.bytes()); value != nil {
			var err error
			if c, err = decodeCell(value); err != nil {
				return nil, err
			}
		}
	}
	w.cells[at] = c
	return c, nil
}

// formOf returns the form of a stored prediction.
func (w *writing) formOf(id uint64) (*Form, error) {
	f := w.forms[id]
	if f == nil {
		if f = formIn(w.tx, id); f == nil {
			return nil, fmt.Errorf("the form %x of a prediction is missing", id)
		}
		w.forms[id] = f
	}
	return f, nil
}

// end writes what was changed in memory.
func (w *writing) end() error {
	for at, c := range w.cells {
		p, err := at.slice.make(at.model)
		if err != nil {
			return err
		}
		if err := p.cells.Put(at.key.bytes(), c.encode()); err != nil {
			return err
		}
	}
	meta := w.tx.Bucket([]byte(metaBucket))
	for model, c := range w.counts {
		text, err := json.Marshal(c)
		if err != nil {
			return err
		}
		if err := meta.Put(countsKey(model), text); err != nil {
			return err
		}
	}
	if err := w.endLosses(); err != nil {
		return err
	}
	w.due = w.slices[0].start.Add(w.o.MaxAge / parts)
	if n := len(w.slices); n > 1 {
		if oldest := w.slices[n-2].start.Add(w.o.MaxAge); oldest.Before(w.due) {
			w.due = oldest
		}
	}
	return w.slices[0].bucket.Put([]byte(sizeKey), formKey(size(w.slices[0])+w.grown))
}
