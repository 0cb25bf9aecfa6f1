package journal

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// replayEvents is how many events Replay holds in memory at once, and readBytes the
// size at which a Read ends before its limit.
const (
	replayEvents = 256
	readBytes    = 16 << 20
)

// Log is an append-only list of events. All methods may be called at any time
// from any goroutine.
type Log struct {
	store store

	// write is held over the whole of an Append. What only looks at the end of the
	// log takes head instead, so that it never waits for the disk.
	write  sync.Mutex
	cut    sync.Mutex    // held over a cut; taken before write
	grown  chan struct{} // an event was appended
	head   atomic.Pointer[head]
	bytes  atomic.Int64
	alive  atomic.Pointer[time.Time] // the last beat
	closed atomic.Bool
}

// store keeps the records. The Log sees to it that only one put runs at a time.
type store interface {
	// put adds the records of the events up to h.seq together with the new head. All
	// of it is on disk when it returns, or nothing is.
	put(h head, records [][]byte) error
	// beat keeps one value in place of the last one, apart from the events.
	beat(value []byte) error
	// each passes on the records of a span, oldest first, until f says that it has had
	// enough, and others besides. A record is f's only until it returns.
	each(r span, f func(seq int64, record []byte) (more bool, err error)) error
	// segments are where the older records are.
	segments() []segment
	// snapshots are what is kept of folds, by their names.
	snapshots() (map[string]snapshot, error)
	bytes() int64
	close() error
}

// span is which records are asked for: those after a number, and of a time. Zero times
// are no bounds.
type span struct {
	after        int64
	since, until time.Time
}

var (
	errClosed = errors.New("the journal is closed")
	errBroken = errors.New("an earlier write failed in its last step")
)

func newLog(s store, h head) *Log {
	l := &Log{store: s, grown: make(chan struct{}, 1)}
	l.head.Store(&h)
	l.bytes.Store(s.bytes())
	return l
}

// Any is what Append takes for "whatever the last event is": for events that do
// not depend on those before them.
const Any = -1

// Append adds an event if expected is still the number of the last one, else it
// is Conflict. It sets the number, and the time if there is none, and returns
// the event as Read will. Once it has returned the event survives a
// crash. Unavailable means that it could not be written.
func (l *Log) Append(expected int64, e api.Event) (api.Event, error) {
	events, err := l.AppendAll(expected, []api.Event{e})
	if err != nil {
		return api.Event{}, err
	}
	return events[0], nil
}

// AppendAll is Append for several events, all or none.
func (l *Log) AppendAll(expected int64, events []api.Event) ([]api.Event, error) {
	l.write.Lock()
	defer l.write.Unlock()
	last := *l.head.Load()
	if l.closed.Load() {
		return nil, readError(errClosed)
	}
	if expected != Any && expected != last.seq {
		return nil, infer.Errorf(infer.Conflict, "the journal's last event is %d, expected %d: something else has changed", last.seq, expected)
	}
	added, records := make([]api.Event, len(events)), make([][]byte, len(events))
	for i, e := range events {
		var err error
		if last, added[i], records[i], err = last.add(e); err != nil {
			return nil, err
		}
	}
	if len(records) == 0 {
		return added, nil
	}
	if err := l.store.put(last, records); err != nil {
		return nil, writeError(err)
	}
	l.head.Store(&last)
	l.bytes.Store(l.store.bytes())
	select {
	case l.grown <- struct{}{}:
	default: // it is known already
	}
	return added, nil
}

// Last returns the number of the last event, 0 if there is none.
func (l *Log) Last() int64 { return l.head.Load().seq }

// Size returns how many events there are and how many bytes their files have, which
// grow in steps. In memory the bytes are 0.
func (l *Log) Size() (events, fileBytes int64) { return l.Last(), l.bytes.Load() }

// Read returns events after a number that a filter chooses, oldest first and at most
// limit. Of large ones there are fewer; none means that there are no more.
func (l *Log) Read(after int64, limit int, filter Filter) ([]api.Event, error) {
	events := []api.Event{}
	m, err := newMatcher(filter)
	if err != nil {
		return nil, err
	}
	size := 0
	err = l.each(span{after, filter.Since, filter.Until}, filter.Last, func(seq int64, record []byte) (bool, error) {
		if len(events) >= limit {
			return false, nil
		}
		if fits, err := m.fits(seq, record); err != nil || !fits {
			return true, err
		}
		e, err := decode(seq, record)
		if err != nil {
			return false, err
		}
		events = append(events, e)
		size += len(record)
		return len(events) < limit && size < readBytes, nil
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

// LastAt returns the number of the last event whose time is not after t, 0 if there
// is none. A clock that was set back can make events before it that are later than t.
func (l *Log) LastAt(t time.Time) (last int64, err error) {
	r := span{until: t}
	for _, s := range l.store.segments() { // nothing before a segment that is not after t changes the answer
		if !s.Latest.After(t) {
			last, r.after = s.Last, s.Last
		}
	}
	err = l.each(r, 0, func(seq int64, record []byte) (bool, error) {
		h, err := headerOf(seq, record)
		if err != nil {
			return false, err
		}
		at, err := h.when(seq)
		if err == nil && !at.After(t) {
			last = seq
		}
		return true, err
	})
	return last, err
}

// each passes on the records of a span up to last, which is the last one of the log if
// it is 0, and others besides whose time is another. What is being appended right now is not acknowledged yet, and is
// left out.
func (l *Log) each(r span, last int64, f func(seq int64, record []byte) (more bool, err error)) error {
	if l.closed.Load() {
		return readError(errClosed)
	}
	if end := l.Last(); last <= 0 || last > end {
		last = end
	}
	if r.after = max(r.after, 0); r.after >= last {
		return nil
	}
	err := l.store.each(r, func(seq int64, record []byte) (bool, error) {
		if seq > last {
			return false, nil
		}
		more, err := f(seq, record)
		return more && seq < last, err
	})
	if err != nil {
		return readError(err)
	}
	return nil
}

// Replay calls f with the events after a number that a filter chooses, oldest first,
// until f fails, and returns that error. f may call the log.
func (l *Log) Replay(after int64, filter Filter, f func(e api.Event) error) error {
	for {
		events, err := l.Read(after, replayEvents, filter)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, e := range events {
			if err := f(e); err != nil {
				return err
			}
		}
		after = events[len(events)-1].Seq
	}
}

// Close waits for calls that have begun and releases the file. Later calls are
// Unavailable; a second Close does nothing.
func (l *Log) Close() error {
	l.write.Lock()
	defer l.write.Unlock()
	if l.closed.Swap(true) {
		return nil
	}
	if err := l.store.close(); err != nil {
		return &infer.Error{Code: infer.Internal, Op: "journal: close", Msg: "the journal's file was not closed", Err: err}
	}
	return nil
}

func writeError(err error) error {
	e := &infer.Error{Code: infer.Unavailable, Op: "journal: append", Err: err}
	switch {
	case errors.Is(err, errClosed):
		e.Msg, e.Err = err.Error(), nil
	case errors.Is(err, errBroken):
		e.Msg = "the journal takes no more changes, since an earlier write failed; restart the gateway"
	case errors.Is(err, errMoved):
		e.Msg = "the journal takes no changes while its file is not in the data directory; put it back, or restart the gateway to begin a new one"
	default:
		e.Msg = "the journal cannot be written; its disk may be full"
	}
	return e
}

func readError(err error) error {
	if errors.Is(err, errClosed) {
		return infer.Errorf(infer.Unavailable, "%v", errClosed)
	}
	e := &infer.Error{Code: infer.Internal, Op: "journal: read", Msg: "the journal cannot be read", Err: err}
	if s, ok := errors.AsType[*segmentError](err); ok {
		e.Code = infer.Unavailable // until the file is back; the caller may know which it is
		e.Msg += ": " + s.what()
	}
	return e
}
