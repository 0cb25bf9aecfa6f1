package watch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Viewer is who gets the messages of a stream. Its methods are called from one goroutine.
type Viewer interface {
	// Check returns an error if the viewer may not watch any more, and whether it may see other things than
	// at the last call.
	Check() (changed bool, err error)
	// May reports whether the viewer may see the document of a model or route in a collection.
	May(collection, name string) bool
	// Send sends a message. It waits for a slow viewer only as long as that may take.
	Send(m api.WatchMessage) error
}

// watcher is one stream.
type watcher struct {
	hub    *Hub
	number int64
	query  api.WatchQuery
	names  map[string]names // by collection, of those that are watched
	filter Filter
	to     Viewer

	cursor int64     // the last event that the stream is past
	seen   int64     // the number of the last look whose states were sent; 0: none
	due    time.Time // of the next message of states
	sent   time.Time // when the last message was sent
}

// Watch sends what a query selects to a viewer, until ctx ends or the viewer has an error. If the gateway stops, it
// fails with Unavailable.
func (h *Hub) Watch(ctx context.Context, q api.WatchQuery, to Viewer) error {
	w := &watcher{hub: h, query: q, names: map[string]names{}, filter: Filter{q.Subject, q.Types}, to: to}
	for _, collection := range api.WatchCollections() {
		if list := *q.Names(collection); len(list) > 0 {
			w.names[collection] = newNames(list)
		}
	}
	if w.query.Every == 0 {
		w.query.Every = api.WatchEvery
	}
	if err := h.add(w); err != nil {
		return err
	}
	defer h.remove(w)
	if err := w.start(); err != nil {
		return err
	}
	timer := time.NewTimer(heartbeat)
	defer timer.Stop()
	for {
		s := h.now.Load()
		if w.hasNews(s) {
			if err := h.turns.Wait(ctx); err != nil {
				return cmp.Or(ctx.Err(), context.DeadlineExceeded) // it does not wait for a turn after the deadline
			}
			s = h.now.Load()
		}
		if err := w.pass(ctx, s); err != nil {
			return err
		}
		timer.Reset(time.Until(w.wakeAt(s)))
		select {
		case <-s.next:
		case <-timer.C:
			if time.Since(w.sent) < heartbeat {
				continue
			}
			if err := w.send(api.WatchAlive, nil); err != nil {
				return err
			}
		case <-h.stopped:
			return infer.Errorf(infer.Unavailable, "the gateway is stopping")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// start sends the first message.
func (w *watcher) start() error {
	last := w.hub.opts.Journal.Last()
	if !w.query.Journal {
		return w.sendDoc(api.WatchStart, api.WatchStarted{Last: last})
	}
	w.cursor = w.query.After
	if w.cursor < 0 {
		w.cursor = last
	}
	if w.cursor <= last {
		return w.sendDoc(api.WatchStart, api.WatchStarted{After: w.cursor, Last: last})
	}
	missing := api.WatchMissing{
		After: w.cursor,
		Why:   fmt.Sprintf("the journal ends with event %d, so event %d is from another journal; the events of this one follow from the first", last, w.cursor),
	}
	w.cursor = 0
	if err := w.sendDoc(api.WatchStart, api.WatchStarted{Last: last}); err != nil {
		return err
	}
	return w.sendDoc(api.WatchGap, missing)
}

// pass sends what a snapshot has that was not sent yet.
func (w *watcher) pass(ctx context.Context, s *snapshot) error {
	changed, err := w.to.Check()
	if err != nil {
		return err
	}
	if changed {
		w.seen = 0
	}
	if w.query.Journal {
		if err := w.events(ctx, s); err != nil {
			return err
		}
	}
	return w.states(s)
}

// events sends new events. It reads those that are older than the snapshot's from the journal.
func (w *watcher) events(ctx context.Context, s *snapshot) error {
	for s.ring != nil && w.cursor < s.ring.after {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.older(s.ring.after); err != nil {
			return err
		}
	}
	if s.ring == nil || w.cursor >= s.ring.end() {
		return nil
	}
	for _, r := range s.ring.from(w.cursor) {
		if err := w.event(r); err != nil {
			return err
		}
	}
	return nil
}

// event sends an event that the filter selects.
func (w *watcher) event(r *record) error {
	w.cursor = r.seq
	if !w.filter.fits(r) {
		return nil
	}
	return w.send(api.WatchJournal, r.text)
}

// older sends events up to a number, from a page of the journal.
func (w *watcher) older(upto int64) error {
	events, err := w.hub.opts.Journal.Read(w.cursor, page, w.filter)
	if err != nil { // an archive may not be there
		missing := api.WatchMissing{After: w.cursor, Next: upto, Why: infer.Message(err)}
		w.cursor = upto
		return w.sendDoc(api.WatchGap, missing)
	}
	for i := range events {
		if events[i].Seq > upto {
			break
		}
		r, err := recordOf(&events[i])
		if err != nil {
			return err
		}
		if err := w.event(r); err != nil {
			return err
		}
	}
	if len(events) == 0 || events[len(events)-1].Seq >= upto {
		w.cursor = upto
	}
	return nil
}

// hasNews reports whether a snapshot has something to look through for the viewer now.
func (w *watcher) hasNews(s *snapshot) bool {
	return w.query.Journal && s.ring != nil && w.cursor < s.ring.end() || w.isDue(s, time.Now())
}

// wakeAt returns when there is something to do without another snapshot: what this one has is due, or a heartbeat.
func (w *watcher) wakeAt(s *snapshot) time.Time {
	at := w.sent.Add(heartbeat)
	if w.waits(s) && w.due.Before(at) {
		return w.due
	}
	return at
}

// waits reports whether a snapshot has a look at states that was not sent.
func (w *watcher) waits(s *snapshot) bool {
	return len(w.names) > 0 && s.upto >= w.number && w.seen != s.number
}

// slack is how much earlier than its time a message may be sent: looks are not exactly as far apart as they should be.
const slack = api.MinWatchEvery / 2

// isDue reports whether it is time for the states of a snapshot.
func (w *watcher) isDue(s *snapshot, now time.Time) bool {
	return w.waits(s) && (w.seen == 0 || !now.Add(slack).Before(w.due))
}

// states sends what has changed, if it is time.
func (w *watcher) states(s *snapshot) error {
	now := time.Now()
	if !w.isDue(s, now) {
		return nil
	}
	text := w.message(s)
	w.seen, w.due = s.number, now.Add(w.query.Every)
	if text == nil {
		return nil
	}
	return w.send(api.WatchState, text)
}

// message returns what has changed since the last message, nil if nothing has.
func (w *watcher) message(s *snapshot) []byte {
	whole := w.seen == 0
	for collection := range w.names {
		whole = whole || w.seen < s.topics[collection].forgotten
	}
	var b bytes.Buffer
	at, _ := s.at.MarshalJSON() // a time of this century has a JSON form
	b.WriteString(`{"at":`)
	b.Write(at)
	if whole {
		b.WriteString(`,"whole":true`)
	}
	before := b.Len()
	gone := map[string][]string{}
	for _, collection := range api.WatchCollections() {
		if w.names[collection] == nil {
			continue
		}
		separator := `,"` + collection + `":[`
		for _, d := range s.topics[collection].docs {
			switch {
			case !whole && d.changed <= w.seen || !w.names[collection].has(d.name) || !w.to.May(collection, d.name):
			case d.text != nil:
				b.WriteString(separator)
				b.Write(d.text)
				separator = ","
			case !whole:
				gone[collection] = append(gone[collection], d.key)
			}
		}
		if separator == "," {
			b.WriteByte(']')
		}
	}
	if len(gone) > 0 {
		text, _ := json.Marshal(gone) // texts have a JSON form
		b.WriteString(`,"gone":`)
		b.Write(text)
	}
	if b.Len() == before && !whole {
		return nil
	}
	b.WriteByte('}')
	return b.Bytes()
}

func (w *watcher) sendDoc(kind string, doc any) error {
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return w.send(kind, text)
}

func (w *watcher) send(kind string, text []byte) error {
	w.sent = time.Now()
	return w.to.Send(api.WatchMessage{Kind: kind, ID: w.cursor, Data: text})
}
