package labels

import (
	"bytes"
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// LossStream identifies the labelled rows of a version in a role whose predictions are read in the
// same form. All segments are together.
type LossStream struct {
	Model   string
	Version int64
	Role    string
	Form    uint64
}

// The names of losses: whether the class is wrong, the Brier score from 0 to 1, and the absolute error
// of a value, which has no bound.
const (
	lossError    = "error"
	lossBrier    = "brier"
	lossAbsolute = "absolute_error"
)

// LossCounter counts the losses of the rows of a stream. Its state is written in the transaction of
// the labels, so that each label counts once. If that fails, the counter is dropped.
type LossCounter interface {
	// Count counts the first label of a row, in the order in which labels come. losses are those
	// that were named.
	Count(now time.Time, request string, losses []float64)
	// Judge judges what has ended at now.
	Judge(now time.Time)
	// Encode returns the state; nil if it is to be forgotten.
	Encode() []byte
}

// Losses makes counters. It is called by the goroutine of Store.Run.
type Losses interface {
	// Counter returns a counter that goes on from a state, nil for a new stream. It returns nil if
	// the losses of the stream are not counted.
	Counter(s LossStream, names []string, state []byte) LossCounter
}

// lossNames returns the names of the losses of a form.
func (f *Form) lossNames() []string {
	switch f.Kind {
	case kindValue:
		return []string{lossAbsolute}
	case kindClass:
		return []string{lossError}
	default:
		return []string{lossError, lossBrier}
	}
}

// losses returns the losses of a labelled row, in the order of their names. class is the index of
// the label's class, if the form has scores.
func (f *Form) losses(x row, l Label, class int) []float64 {
	wrong := func(is bool) float64 {
		if is {
			return 1
		}
		return 0
	}
	switch f.Kind {
	case kindValue:
		return []float64{math.Abs(x.value - l.Number)}
	case kindClass:
		return []float64{wrong(x.class != cut(l.Text, maxClassText))}
	}
	p := f.probabilities(x.scores)
	list := []float64{wrong(predicted(p) != class), 1}
	if valid(p) {
		if list[1] = f.brier(p, class); len(p) > 2 {
			list[1] /= 2
		}
	}
	return list
}

func (s *LossStream) key() []byte {
	k := cellKey{version: s.Version, form: s.Form, role: s.Role}
	return append(append([]byte(s.Model), 0), k.bytes()...)
}

func parseLossKey(b []byte) (s LossStream, ok bool) {
	model, rest, ok := bytes.Cut(b, []byte{0})
	if !ok {
		return s, false
	}
	k, ok := parseCellKey(rest)
	return LossStream{Model: string(model), Version: k.version, Role: k.role, Form: k.form}, ok
}

// onCounter calls f with the counter of a stream, if there is one.
func (w *writing) onCounter(s LossStream, form *Form, f func(LossCounter)) {
	c, known := w.counters[s]
	if !known {
		// A copy, since a counter may keep parts of it longer than the transaction.
		state := bytes.Clone(w.tx.Bucket([]byte(lossesBucket)).Get(s.key()))
		c = w.o.Losses.Counter(s, form.lossNames(), state)
		w.counters[s] = c
	}
	if c != nil {
		f(c)
	}
}

// lose counts the losses of a row that got its first label.
func (w *writing) lose(model string, id []byte, p *prediction, form *Form, x row, l Label, class int) {
	if w.o.Losses == nil {
		return
	}
	w.onCounter(LossStream{Model: model, Version: p.version, Role: p.role, Form: p.form}, form, func(c LossCounter) {
		c.Count(w.now, string(id), form.losses(x, l, class))
	})
}

// judge judges what has ended in the losses of streams.
func (w *writing) judge(list []LossStream) {
	for _, s := range list {
		form, err := w.formOf(s.Form)
		if err != nil || w.tx.Bucket([]byte(lossesBucket)).Get(s.key()) == nil {
			continue
		}
		w.onCounter(s, form, func(c LossCounter) { c.Judge(w.now) })
	}
}

// endLosses writes the states of the counters.
func (w *writing) endLosses() error {
	bucket := w.tx.Bucket([]byte(lossesBucket))
	for s, c := range w.counters {
		if c == nil {
			continue
		}
		state := c.Encode()
		w.losses[s] = state
		if state == nil {
			if err := bucket.Delete(s.key()); err != nil {
				return err
			}
			continue
		}
		w.grown += uint64(max(len(state)-len(bucket.Get(s.key())), 0))
		if err := bucket.Put(s.key(), state); err != nil {
			return err
		}
	}
	return nil
}

// lost notes the states that were written.
func (s *Store) lost(states map[LossStream][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.losses, states)
}

// StoredLosses returns the states of all streams. It is for the start: later ones come from
// ChangedLosses.
func (s *Store) StoredLosses() (map[LossStream][]byte, error) {
	all := map[LossStream][]byte{}
	f, err := s.open(false)
	if f == nil || err != nil {
		return all, readError(err)
	}
	err = f.view(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(lossesBucket)).ForEach(func(key, state []byte) error {
			if stream, ok := parseLossKey(key); ok {
				all[stream] = slices.Clone(state)
			}
			return nil
		})
	})
	return all, readError(err)
}

// ChangedLosses returns the states that were written since the last call, nil for one that was
// forgotten.
func (s *Store) ChangedLosses() map[LossStream][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.losses) == 0 {
		return nil
	}
	changed := s.losses
	s.losses = map[LossStream][]byte{}
	return changed
}

// JudgeLosses lets the counters of streams judge what has ended.
func (s *Store) JudgeLosses(ctx context.Context, streams []LossStream) error {
	b := &batch{judge: streams, done: make(chan struct{})}
	select {
	case s.batches <- b:
	case <-s.stopped:
		return writeError(errClosed)
	case <-ctx.Done():
		return ctx.Err()
	}
	<-b.done
	return b.err
}
