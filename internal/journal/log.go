package journal

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// replayEvents is the max number of events that Replay holds in memory. readBytes is the
// size of events at which a Read ends before its limit.
const (
	replayEvents = 256
	readBytes    = 16 << 20
)

// Log is an append-only list of events. All methods may be called at any time
// from any goroutine.
type Log struct {
	store store

	// write is held during an Append. Readers of the log's end use head instead, so that
	// they never wait for the disk.
	write  sync.Mutex
	cut    sync.Mutex                    // held during a cut; locked before write
	grown  chan struct{}                 // signals that an event was appended
	next   atomic.Pointer[chan struct{}] // closed with the next event
	head   atomic.Pointer[head]
	bytes  atomic.Int64
	alive  atomic.Pointer[time.Time] // the last beat
	closed atomic.Bool
}

// store keeps the records. The Log makes sure that only one put runs at a time.
type store interface {
	// put adds the records of the events up to h.seq together with the new head. When it
	// returns, all of it is on disk or none.
	put(h head, records [][]byte) error
	// beat replaces the value of the last heartbeat.
	beat(value []byte) error
	// each calls f with the records of a span, the oldest first, until f returns false. It
	// may pass records outside of the span too. A record is valid until f returns.
	each(r span, f func(seq int64, record []byte) (more bool, err error)) error
	// segments returns the segments with the older records.
	segments() []segment
	// snapshots returns the snapshots of folds by name.
	snapshots() (map[string]snapshot, error)
	bytes() int64
	close() error
}

// span selects records by number and time. A zero time is not a bound.
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
	next := make(chan struct{})
	l.next.Store(&next)
	return l
}

// Any lets Append accept any last event. It is for events that do not depend on those
// before them.
const Any = -1

// Append adds an event if expected is the number of the last one. It sets the number, and
// the time if there is none, and returns the event as Read will. When it has returned, the
// event survives a crash. Errors: Conflict if there are later events, Unavailable if the
// event cannot be written, Invalid or TooLarge if it cannot be stored.
func (l *Log) Append(expected int64, e api.Event) (api.Event, error) {
	events, err := l.AppendAll(expected, []api.Event{e})
	if err != nil {
		return api.Event{}, err
	}
	return events[0], nil
}

// AppendAll is Append for several events. It adds all of them or none.
func (l *Log) AppendAll(expected int64, events []api.Event) ([]api.Event, error) {
	l.write.Lock()
	defer l.write.Unlock()
	last := *l.head.Load()
	if l.closed.Load() {
		return nil, readError(errClosed)
	}
	if expected != Any && expected != last.seq {
		return nil, infer.Errorf(infer.Conflict, "the journal's last event is %d, expected %d: there was another change; read the state again and retry", last.seq, expected)
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
	default: // the Cutter has not seen the last one yet
	}
	next := make(chan struct{})
	close(*l.next.Swap(&next))
	return added, nil
}

// Appended returns a channel that is closed when the next event has been appended. Take it before
// reading, so that no event is missed.
func (l *Log) Appended() <-chan struct{} { return *l.next.Load() }

// Last returns the number of the last event, 0 if there is none.
func (l *Log) Last() int64 { return l.head.Load().seq }

// Size returns the number of events and the size of their files in bytes. The files grow
// in steps. In memory the size is 0.
func (l *Log) Size() (events, fileBytes int64) { return l.Last(), l.bytes.Load() }

// Read returns the events after a number that a filter selects, the oldest first and at
// most limit. If events are large it returns fewer. It returns none only if there are no
// more.
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
// is none. If the clock was set back, events before it can have later times than t.
func (l *Log) LastAt(t time.Time) (last int64, err error) {
	r := span{until: t}
	for _, s := range l.store.segments() { // if a whole segment is not after t, the segments before it do not matter
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

// each calls f with the records of a span up to last, or up to the end of the log if last
// is 0. It may pass records with times outside of the span. It leaves out events that are
// being appended, since they are not acknowledged yet.
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

// Replay calls f with the events after a number that a filter selects, the oldest first.
// If f fails, Replay stops and returns the error. f may call the log.
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

// Close waits for calls in progress and releases the file. Later calls return
// Unavailable. A second Close does nothing.
func (l *Log) Close() error {
	l.write.Lock()
	defer l.write.Unlock()
	if l.closed.Swap(true) {
		return nil
	}
	if err := l.store.close(); err != nil {
		return &infer.Error{Code: infer.Internal, Op: "journal: close", Msg: "the journal's file cannot be closed", Err: err}
	}
	return nil
}

func writeError(err error) error {
	e := &infer.Error{Code: infer.Unavailable, Op: "journal: append", Err: err}
	switch {
	case errors.Is(err, errClosed):
		e.Msg, e.Err = err.Error(), nil
	case errors.Is(err, errBroken):
		e.Msg = "the journal cannot be written after an earlier write failed; restart the gateway"
	case errors.Is(err, errMoved):
		e.Msg = "the journal cannot be written while its file is not in the data directory; move it back, or restart the gateway to start a new journal"
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
		e.Code = infer.Unavailable // until the file is restored; the caller may see its name
		e.Msg += ": " + s.what()
	}
	return e
}
