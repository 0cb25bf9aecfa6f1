package watch

import (
	"encoding/json"
	"strings"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
)

// The bounds of the events in a snapshot, and the number of events in one read of the journal.
const (
	maxRing      = 512
	maxRingBytes = 8 << 20
	page         = 64
)

// Filter selects events. The zero value selects all.
type Filter struct {
	Subject string   // one that ends in "/" is a prefix
	Types   []string // any of these; one that ends in "." is a prefix
}

// fits reports whether the filter selects an event.
func (f *Filter) fits(r *record) bool {
	return (f.Subject == "" || matches(r.subject, f.Subject, "/")) && f.anyType(r.kind)
}

func (f *Filter) anyType(kind string) bool {
	for _, t := range f.Types {
		if matches(kind, t, ".") {
			return true
		}
	}
	return len(f.Types) == 0
}

func matches(text, pattern, prefix string) bool {
	return text == pattern || strings.HasSuffix(pattern, prefix) && strings.HasPrefix(text, pattern)
}

// record is an encoded event.
type record struct {
	seq           int64
	kind, subject string
	text          []byte
}

func recordOf(e *api.Event) (*record, error) {
	text, err := json.Marshal(e)
	return &record{seq: e.Seq, kind: e.Type, subject: e.Subject, text: text}, err
}

// ring has the last events. It never changes.
type ring struct {
	after int64 // the number before the first one
	list  []*record
	bytes int
}

// end returns the number of the last event.
func (r *ring) end() int64 { return r.after + int64(len(r.list)) }

// from returns the events after a number, which is not before the ring.
func (r *ring) from(after int64) []*record { return r.list[min(after-r.after, int64(len(r.list))):] }

// with returns a ring with more events, without the first ones if they are too many.
func (r *ring) with(more []*record) *ring {
	next := &ring{after: r.after, bytes: r.bytes, list: make([]*record, 0, len(r.list)+len(more))}
	next.list = append(append(next.list, r.list...), more...)
	for _, m := range more {
		next.bytes += len(m.text)
	}
	for len(next.list) > maxRing || next.bytes > maxRingBytes {
		next.bytes -= len(next.list[0].text)
		next.list = next.list[1:]
		next.after++
	}
	return next
}

// readEvents brings the events of a snapshot to the end of the journal, if anybody wants them. It reports whether there
// are new ones.
func (h *Hub) readEvents(s *snapshot, wanted bool) (changed bool) {
	if !wanted {
		changed = s.ring != nil
		s.ring = nil
		return changed
	}
	if s.ring == nil {
		s.ring, changed = &ring{after: h.opts.Journal.Last()}, true
	}
	for {
		events, err := h.opts.Journal.Read(s.ring.end(), page, Filter{})
		if err == nil && len(events) == 0 {
			return changed
		}
		more := make([]*record, 0, len(events))
		for i := range events {
			var r *record
			if r, err = recordOf(&events[i]); err != nil {
				break
			}
			more = append(more, r)
		}
		if err != nil { // again with the next event
			h.opts.Logger.Warn("new events cannot be read for watchers", zap.Error(err))
			return changed
		}
		s.ring, changed = s.ring.with(more), true
	}
}
