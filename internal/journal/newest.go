package journal

import (
	"slices"

	"sluice.io/sluice/api"
)

// firstLook is how many of the newest events Newest looks at first. If it needs more, each further look is lookFactor times as far back,
// since the beginning of an archived segment has to be read again for each.
const (
	firstLook  = 1_000
	lookFactor = 8
)

// Newest is Read from the end: it returns the last events that a filter selects, the newest first and at most limit.
func (l *Log) Newest(after int64, limit int, filter Filter) ([]api.Event, error) {
	m, err := newMatcher(filter)
	if err != nil {
		return nil, err
	}
	last := l.Last()
	if filter.Last > 0 {
		last = min(last, filter.Last)
	}
	list := newestFirst{limit: limit, events: []api.Event{}}
	for look := int64(firstLook); last > after && !list.full; look *= lookFactor {
		from := max(after, last-look)
		err := l.each(span{from, filter.Since, filter.Until}, last, func(seq int64, record []byte) (bool, error) {
			if fits, err := m.fits(seq, record); err != nil || !fits {
				return true, err
			}
			e, err := decode(seq, record)
			if err == nil {
				list.add(sized{e, len(record)})
			}
			return true, err
		})
		if err != nil {
			return nil, err
		}
		list.end()
		last = from
	}
	return list.events, nil
}

// sized is an event with the size of its record.
type sized struct {
	event api.Event
	bytes int
}

// newestFirst has the newest events so far.
type newestFirst struct {
	limit  int
	events []api.Event // of the earlier looks, the newest first
	found  []sized     // of the present look, which are older, the oldest first
	bytes  int         // of both
	full   bool        // there are older ones, or there is no room for more
}

// add adds an event of the present look. If there is no room, the oldest ones are dropped, but at least one event stays.
func (n *newestFirst) add(e sized) {
	n.found = append(n.found, e)
	n.bytes += e.bytes
	for len(n.found) > 0 && len(n.events)+len(n.found) > 1 && (len(n.events)+len(n.found) > n.limit || n.bytes > readBytes) {
		n.bytes -= n.found[0].bytes
		n.found, n.full = n.found[1:], true
	}
}

// end ends the present look.
func (n *newestFirst) end() {
	for _, f := range slices.Backward(n.found) {
		n.events = append(n.events, f.event)
	}
	n.found = n.found[:0]
	n.full = n.full || len(n.events) >= n.limit
}
