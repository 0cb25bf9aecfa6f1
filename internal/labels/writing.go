package labels

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
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
		if p.predictions.Get(e.id) != nil {
			repeated++
			if err := forget(p.labels, e.id); err != nil {
				return 0, err
			}
		}
		if err := p.predictions.Put(e.id, e.record); err != nil {
			return 0, err
		}
		w.grown += uint64(len(e.id) + len(e.record))
		if len(e.alias) > 0 {
			if err := p.predictions.Put(e.alias, append([]byte{recordAlias}, e.id...)); err != nil {
				return 0, err
			}
			w.grown += uint64(len(e.id) + len(e.alias))
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
	}
	return repeated, nil
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

// forget deletes the labels of an id whose prediction is replaced.
func forget(labels *bbolt.Bucket, id []byte) error {
	c := labels.Cursor()
	for key, _ := c.Seek(id); len(key) == len(id)+4 && string(key[:len(id)]) == string(id); key, _ = c.Next() {
		if err := c.Delete(); err != nil {
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

// join joins the labels of a batch with their predictions.
func (w *writing) join(b *batch) error {
	if len(b.judge) > 0 {
		w.judge(b.judge)
		return nil
	}
	counts := w.counts[b.model]
	if counts == nil {
		c, err := countsIn(w.tx, b.model)
		if err != nil {
			return err
		}
		counts = &c
		w.counts[b.model] = counts
	}
	b.results = b.results[:0]
	for i := range b.rows {
		r, err := w.one(b, &b.rows[i])
		if err != nil {
			return err
		}
		r.Count(counts)
		b.results = append(b.results, r)
	}
	return nil
}

// maxAhead is the time by which a label's time may be ahead of this clock.
const maxAhead = 24 * time.Hour

// one joins one label.
func (w *writing) one(b *batch, r *Row) (Result, error) {
	if r.Problem != "" {
		return Result{Status: api.LabelInvalid, Problem: r.Problem}, nil
	}
	found, id, record := w.find(b.model, r.RequestID)
	if found == nil {
		if !Sampled(r.RequestID, b.o.Sample) {
			return Result{Status: api.LabelUnknown, NotSampled: true}, nil
		}
		return Result{Status: api.LabelUnknown}, nil
	}
	form, err := w.formOf(record.form)
	if err != nil {
		return Result{}, err
	}
	x, ok := record.at(form, r.Row)
	if !ok {
		return Result{Status: api.LabelUnknown, Problem: missingRow(r.Row, record.rows)}, nil
	}
	stored, class, err := form.check(r.Label)
	if err != nil {
		return Result{Status: api.LabelInvalid, Problem: infer.Message(err)}, nil
	}
	at := r.Time
	switch {
	case at.Sub(w.now) > maxAhead:
		return Result{Status: api.LabelInvalid, Problem: "the time of the label is more than a day in the future"}, nil
	case at.IsZero(), at.After(w.now):
		at = w.now
	}
	if w.now.Sub(record.time) > b.o.Watermark || at.Sub(record.time) > b.o.Watermark {
		return Result{Status: api.LabelLate}, nil
	}
	labels := found.of(b.model).labels
	key := binary.BigEndian.AppendUint32(slices.Clone(id), uint32(r.Row)) //nolint:gosec // less than the rows of the prediction
	old := slices.Clone(labels.Get(key))
	if old != nil && string(old) == string(stored) {
		return Result{Status: api.LabelDuplicate}, nil
	}
	if record.segment, err = w.segment(b.model, record.segment); err != nil {
		return Result{}, err
	}
	c, err := w.cell(found, b.model, cellKey{record.version, record.form, record.role, record.segment})
	if err != nil {
		return Result{}, err
	}
	result := Result{Status: api.LabelJoined, Before: at.Before(record.time)}
	if old != nil {
		result.Status = api.LabelContradictory
		l, class := form.restore(old)
		c.add(form, x, l, class, -1)
	} else {
		c.seen(record.time, at.Sub(record.time))
		w.lose(b.model, id, &record, form, x, r.Label, class)
		w.grown += uint64(len(key) + len(stored)) //nolint:gosec // not negative
	}
	l, _ := form.restore(stored)
	c.add(form, x, l, class, 1)
	return result, labels.Put(key, stored)
}

// find returns the newest prediction of an id, which may also be an alias, with its slice and its
// request id.
func (w *writing) find(model, id string) (*slice, []byte, prediction) {
	key := []byte(id)
	if len(key) == 0 {
		return nil, nil, prediction{}
	}
	for _, s := range w.slices {
		p := s.of(model)
		if p == nil {
			continue
		}
		value, at := p.predictions.Get(key), key
		if len(value) > 1 && value[0] == recordAlias {
			at = value[1:]
			value = p.predictions.Get(at)
		}
		if record, ok := parsePrediction(value); ok {
			return s, at, record
		}
	}
	return nil, nil, prediction{}
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

func missingRow(row, rows int) string {
	return fmt.Sprintf("row %d is not kept: %d rows of this request are, from 0 on", row, rows)
}

// Count adds the result to counts.
func (r *Result) Count(c *api.LabelCounts) {
	c.Rows++
	switch r.Status {
	case api.LabelJoined:
		c.Joined++
	case api.LabelUnknown:
		c.Unknown++
	case api.LabelLate:
		c.Late++
	case api.LabelDuplicate:
		c.Duplicate++
	case api.LabelContradictory:
		c.Contradictory++
	default:
		c.Invalid++
	}
	if r.NotSampled {
		c.NotSampled++
	}
	if r.Before {
		c.BeforePrediction++
	}
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
