package labels

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

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
	b.results, b.joined = b.results[:0], b.joined[:0]
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

// one joins one label with the prediction that was answered, and with those of shadows. The result
// is that of the answered one, if it is kept.
func (w *writing) one(b *batch, r *Row) (Result, error) {
	if r.Problem != "" {
		return Result{Status: api.LabelInvalid, Problem: r.Problem}, nil
	}
	result := Result{Status: api.LabelUnknown, NotSampled: !Sampled(r.RequestID, b.o.Sample)}
	found, id, record := w.find(b.model, r.RequestID)
	if found == nil {
		id = []byte(r.RequestID)
	} else {
		var err error
		result, err = w.label(b, r, &target{found, found.of(b.model).labels, id, id, record})
		if err != nil {
			return result, err
		}
		b.tell(&result, r, string(id), &record)
	}
	for _, t := range w.shadowsOf(b.model, id) {
		of, err := w.label(b, r, &t)
		if err != nil {
			return result, err
		}
		if found == nil {
			found, result = t.slice, of
		}
	}
	return result, nil
}

// tell notes a label that joined the prediction that was answered.
func (b *batch) tell(result *Result, r *Row, id string, record *prediction) {
	if b.o.Joined == nil || result.Status != api.LabelJoined && result.Status != api.LabelContradictory {
		return
	}
	b.joined = append(b.joined, Joined{id, r.Row, record.version, r.Label, record.time, result.at, result.Status == api.LabelContradictory})
}

// target is a stored prediction that a label is about.
type target struct {
	slice  *slice
	labels *bbolt.Bucket // with the labels of its rows
	id     []byte        // of the request
	key    []byte        // of its labels, without the row
	record prediction
}

// label joins a label with a prediction.
func (w *writing) label(b *batch, r *Row, t *target) (Result, error) {
	record := &t.record
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
	key := binary.BigEndian.AppendUint32(slices.Clone(t.key), uint32(r.Row)) //nolint:gosec // less than the rows of the prediction
	old := slices.Clone(t.labels.Get(key))
	if old != nil && string(old) == string(stored) {
		return Result{Status: api.LabelDuplicate}, nil
	}
	if record.segment, err = w.segment(b.model, record.segment); err != nil {
		return Result{}, err
	}
	c, err := w.cell(t.slice, b.model, cellKey{record.version, record.form, record.role, record.segment})
	if err != nil {
		return Result{}, err
	}
	result := Result{Status: api.LabelJoined, Before: at.Before(record.time), at: at}
	if old != nil {
		result.Status = api.LabelContradictory
		l, class := form.restore(old)
		c.add(form, x, l, class, -1)
		c.compare(form, record, r.Row, x, l, -1)
	} else {
		c.seen(record.time, at.Sub(record.time))
		w.lose(b.model, t.id, record, form, x, r.Label, class)
		w.grown += uint64(len(key) + len(stored)) //nolint:gosec // not negative
	}
	l, _ := form.restore(stored)
	c.add(form, x, l, class, 1)
	c.compare(form, record, r.Row, x, l, 1)
	return result, t.labels.Put(key, stored)
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
