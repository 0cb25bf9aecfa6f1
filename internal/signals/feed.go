package signals

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
)

// FeedJournal is the journal whose events a Feed posts.
type FeedJournal interface {
	// Read returns up to limit events after a number, of some types. A type that ends in a dot is a prefix.
	Read(after int64, limit int, types []string) ([]api.Event, error)
	// Appended returns a channel that is closed when the next event has been appended.
	Appended() <-chan struct{}
	// Last returns the number of the last event.
	Last() int64
	Append(e api.Event) (api.Event, error)
}

// EventSink is a receiver of events. An error means that it may not have the event; wait is how long it wants to be
// left alone, or 0.
type EventSink interface {
	DeliverEvent(ctx context.Context, e api.Event) (wait time.Duration, err error)
}

// FeedOptions configure a Feed. Without a Sink or Types it posts nothing.
type FeedOptions struct {
	Journal      FeedJournal
	Sink         EventSink
	Types        []string
	State        *FeedState
	Initial, Max time.Duration // between attempts, see Options
	Timeout      time.Duration // of an attempt
	Observer     FeedObserver
	Logger       *zap.Logger
}

// FeedObserver counts events that are posted.
type FeedObserver interface {
	// EventPosted is called after each attempt to post an event.
	EventPosted(kind string, err error)
	// EventsWaiting is called when the number of events may have changed that the receiver does not have, by their type.
	EventsWaiting(waiting map[string]int)
}

// Feed posts events of the journal to a receiver, in their order and each at least once. An event that the receiver does not take
// holds back those after it. What was posted is written to the journal at most once a minute and at a stop, so after a
// crash some events are posted again, with the same ids.
type Feed struct {
	opts    FeedOptions
	log     *zap.Logger
	at      int64 // the number of the last event that the receiver has
	read    int64 // up to which event the journal was read
	written int64 // at, as the journal has it
	since   time.Time
}

// NewFeed returns a feed that goes on where the state says.
func NewFeed(o FeedOptions) *Feed {
	return &Feed{opts: o, log: o.Logger.Named("events"), at: o.State.Seq, written: o.State.Seq}
}

// FeedState is a fold: up to which event the receiver has all.
type FeedState struct {
	Seq int64 `json:"seq"`
	On  bool  `json:"on"` // events are posted. Those from before that are not
}

// feedSubject is the subject of the events about a feed.
const feedSubject = "feed"

// Apply implements journal.Fold.
func (s *FeedState) Apply(e api.Event) error {
	if e.Type != api.EventFeedMoved {
		return nil
	}
	var next FeedState
	if err := json.Unmarshal(e.After, &next); err != nil {
		return fmt.Errorf("event %d: %w", e.Seq, err)
	}
	*s = next
	return nil
}

// Snapshot implements journal.Fold.
func (s *FeedState) Snapshot() ([]byte, error) { return json.Marshal(s) }

// Restore implements journal.Fold.
func (s *FeedState) Restore(state []byte) error { return json.Unmarshal(state, s) }

// The pace of a feed.
const (
	feedBatch   = 100 // events that are read at a time
	recordFeeds = time.Minute
)

// Run posts events until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	on := f.opts.Sink != nil && len(f.opts.Types) > 0
	switch {
	case !on && f.opts.State.On: // events from now on are not posted if it is switched on again
		f.record(false)
	case on && !f.opts.State.On:
		f.at = f.opts.Journal.Last()
		f.record(true)
	}
	if !on {
		return nil
	}
	f.since, f.read = time.Now(), f.at
	defer func() {
		if f.at != f.written {
			f.record(true)
		}
	}()
	for ctx.Err() == nil {
		appended, last := f.opts.Journal.Appended(), f.opts.Journal.Last()
		events, err := f.opts.Journal.Read(f.read, feedBatch, f.opts.Types)
		if err != nil {
			f.log.Warn("the journal cannot be read", zap.Error(err))
		}
		for i := range events {
			f.tell(events[i:])
			if !f.post(ctx, events[i]) {
				return nil
			}
		}
		f.tell(nil)
		if len(events) > 0 {
			continue
		}
		if err == nil {
			f.read = last // others are not read again
		}
		f.wait(ctx, appended)
	}
	return nil
}

// tell tells how many of the events that were read wait. Of more than feedBatch, the others are counted when they are read.
func (f *Feed) tell(events []api.Event) {
	waiting := map[string]int{}
	for i := range events {
		waiting[events[i].Type]++
	}
	f.opts.Observer.EventsWaiting(waiting)
}

// wait waits for the next event, or until what was posted is to be written.
func (f *Feed) wait(ctx context.Context, appended <-chan struct{}) {
	timer := time.NewTimer(recordFeeds)
	defer timer.Stop()
	if f.at != f.written && time.Since(f.since) >= recordFeeds {
		f.record(true)
	}
	select {
	case <-ctx.Done():
	case <-appended:
	case <-timer.C:
	}
}

// post posts an event until the receiver takes it. It is false if ctx has ended before.
func (f *Feed) post(ctx context.Context, e api.Event) bool {
	for failures := 1; ; failures++ {
		attempt, cancel := context.WithTimeout(ctx, f.opts.Timeout)
		wait, err := f.opts.Sink.DeliverEvent(attempt, e)
		cancel()
		if err == nil || ctx.Err() == nil {
			f.opts.Observer.EventPosted(e.Type, err)
		}
		if err == nil {
			f.at, f.read = e.Seq, e.Seq
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		after := min(max(backoff(failures, f.opts.Initial, f.opts.Max), wait), f.opts.Max)
		if failures&(failures-1) == 0 {
			f.log.Warn("an event could not be delivered", zap.Int64("seq", e.Seq), zap.String("type", e.Type), zap.Int("attempts", failures), zap.Duration("next_in_seconds", after), zap.Error(err))
		}
		timer := time.NewTimer(after)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
	}
}

// record writes what was posted to the journal. If that fails, it is written the next time.
func (f *Feed) record(on bool) {
	f.since = time.Now()
	after, err := json.Marshal(FeedState{Seq: f.at, On: on})
	if err == nil {
		_, err = f.opts.Journal.Append(api.Event{
			Type: api.EventFeedMoved, Subject: feedSubject, Origin: api.OriginGateway, Actor: api.Actor{Actor: "gateway", Verified: true}, After: after,
		})
	}
	if err != nil {
		f.log.Warn("which events were delivered cannot be written", zap.Error(err))
		return
	}
	f.written = f.at
}
