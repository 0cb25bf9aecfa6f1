package journal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"

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
	head   atomic.Pointer[head]
	bytes  atomic.Int64
	closed atomic.Bool
}

// store keeps the records. The Log sees to it that only one put runs at a time.
type store interface {
	// put adds the records of the events up to h.seq together with the new head. All
	// of it is on disk when it returns, or nothing is.
	put(h head, records [][]byte) error
	// each passes on the records after a number, oldest first, until f says that it
	// has had enough. A record is f's only until it returns.
	each(after int64, f func(seq int64, record []byte) (more bool, err error)) error
	bytes() int64
	close() error
}

var (
	errClosed = errors.New("the journal is closed")
	errBroken = errors.New("an earlier write failed in its last step")
)

func newLog(s store, h head) *Log {
	l := &Log{store: s}
	l.head.Store(&h)
	l.bytes.Store(s.bytes())
	return l
}

// Any is what Append takes for "whatever the last event is": for events that do
// not depend on those before them.
const Any = -1

// Append adds an event if expected is still the number of the last one, else it
// is Conflict. It sets the number, and the time where there is none, and returns
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
	return added, nil
}

// Last returns the number of the last event, 0 where there is none.
func (l *Log) Last() int64 { return l.head.Load().seq }

// Size returns how many events there are and how many bytes their file has, which
// grows in steps. In memory the bytes are 0.
func (l *Log) Size() (events, fileBytes int64) { return l.Last(), l.bytes.Load() }

// Read returns events after a number, oldest first and at most limit, all of them
// or those of one subject. Of large ones there are fewer; none means that there are
// no more.
func (l *Log) Read(after int64, limit int, subject string) ([]api.Event, error) {
	if l.closed.Load() {
		return nil, readError(errClosed)
	}
	events := []api.Event{}
	last := l.Last() // what is being appended right now is not acknowledged yet
	if limit < 1 || after >= last {
		return events, nil
	}
	is, err := subjectIs(subject)
	if err != nil {
		return nil, err
	}
	if subject == "" {
		events = make([]api.Event, 0, min(int64(limit), last-max(after, 0)))
	}
	size := 0
	err = l.store.each(max(after, 0), func(seq int64, record []byte) (bool, error) {
		if seq > last {
			return false, nil
		}
		if !is(record) {
			return seq < last, nil
		}
		e, err := decode(seq, record)
		if err != nil {
			return false, err
		}
		events = append(events, e)
		size += len(record)
		return len(events) < limit && size < readBytes && seq < last, nil
	})
	if err != nil {
		return nil, readError(err)
	}
	return events, nil
}

// subjectIs returns a function that tells the records of a subject without
// decoding them; "" is any. The first "subject": in our JSON is the event's own,
// since nothing but strings stands before it, and in those a quote is escaped.
// With that, 100,000 events are looked through in milliseconds, so there is
// no index that would have to be kept, checked and repaired.
func subjectIs(subject string) (func(record []byte) bool, error) {
	if subject == "" {
		return func([]byte) bool { return true }, nil
	}
	text, err := encode(subject)
	if err != nil {
		return nil, err
	}
	field := []byte(`"subject":`)
	text = append(text, ',')
	return func(record []byte) bool {
		_, rest, _ := bytes.Cut(record[min(sha256.Size, len(record)):], field)
		return bytes.HasPrefix(rest, text)
	}, nil
}

// Replay calls f with all events, oldest first, until f fails. f may call the log.
func (l *Log) Replay(f func(e api.Event) error) error {
	for after := int64(0); ; {
		events, err := l.Read(after, replayEvents, "")
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
	return &infer.Error{Code: infer.Internal, Op: "journal: read", Msg: "the journal cannot be read", Err: err}
}
