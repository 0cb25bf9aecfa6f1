package api

import (
	"encoding/json"
	"time"
)

// The kinds of messages that GET /api/v1/watch sends: the field event of a server-sent event.
const (
	WatchStart   = "start"   // the first one; the data is a WatchStarted
	WatchJournal = "journal" // an event of the journal; the data is an Event
	WatchGap     = "gap"     // events cannot be sent; the data is a WatchMissing
	WatchState   = "state"   // what has changed; the data is a WatchStates
	WatchEnd     = "end"     // the gateway ends the stream; the data is an Error
	WatchAlive   = ""        // nothing new; a comment
)

// The collections of states that can be watched.
const (
	WatchModels   = "models"
	WatchRoutes   = "routes"
	WatchRollouts = "rollouts"
	WatchSignals  = "signals"
	WatchDrift    = "drift"
	WatchCounters = "counters"
)

// WatchAll stands for all names that the caller may see.
const WatchAll = "*"

// WatchFromNow is the After of a WatchQuery that wants only events from now on.
const WatchFromNow = -1

// The time between two messages of states: the default, the min and the max.
const (
	WatchEvery    = time.Second
	MinWatchEvery = 250 * time.Millisecond
	MaxWatchEvery = time.Minute
)

// WatchQuery says what a watcher wants to see.
type WatchQuery struct {
	Journal bool     // events of the journal
	After   int64    // only events after the one with this number; WatchFromNow: only new ones
	Subject string   // only events about this subject; one that ends in "/" is a prefix
	Types   []string // only events of these types; one that ends in "." is a prefix

	// Names of models or routes, or WatchAll. An empty list selects nothing.
	Models   []string // by name, all their versions, without details
	Routes   []string // by name
	Rollouts []string // by route, the last of each
	Signals  []string // by model
	Drift    []string // by model
	Counters []string // by route: their statistics

	Every time.Duration // between two messages of states; 0 means WatchEvery
}

// Names returns the names in a collection.
func (q *WatchQuery) Names(collection string) *[]string {
	switch collection {
	case WatchModels:
		return &q.Models
	case WatchRoutes:
		return &q.Routes
	case WatchRollouts:
		return &q.Rollouts
	case WatchSignals:
		return &q.Signals
	case WatchDrift:
		return &q.Drift
	default:
		return &q.Counters
	}
}

// WatchCollections returns the names of the collections, in the order in which messages have them.
func WatchCollections() []string {
	return []string{WatchModels, WatchRoutes, WatchRollouts, WatchSignals, WatchDrift, WatchCounters}
}

// WatchMessage is a message of a stream.
type WatchMessage struct {
	Kind string
	// ID is the number of the last event that the stream is past. After a reconnect, the stream goes on
	// after it. 0 if the stream does not have the journal.
	ID   int64
	Data json.RawMessage // one line; nil for WatchAlive
}

// WatchStarted is the first message of a stream.
type WatchStarted struct {
	After int64 `json:"after"` // the number of the event after which the stream begins; 0 if it does not have the journal
	Last  int64 `json:"last"`  // the number of the journal's last event
}

// WatchMissing says which events a stream cannot have.
type WatchMissing struct {
	After int64 `json:"after"` // the events after this one
	// Next is the number after which the stream goes on.
	Next int64  `json:"next"`
	Why  string `json:"why"`
}

// WatchStates has what has changed since the last message. A model has all its versions and a model's drift all its
// streams in the same message.
type WatchStates struct {
	At time.Time `json:"at"`
	// Whole means that the message has every document that was asked for. Others do not exist any more.
	Whole    bool          `json:"whole,omitempty"`
	Models   []ModelStatus `json:"models,omitempty"` // without details
	Routes   []Route       `json:"routes,omitempty"`
	Rollouts []Rollout     `json:"rollouts,omitempty"`
	Signals  []Signal      `json:"signals,omitempty"`
	Drift    []DriftStatus `json:"drift,omitempty"`
	Counters []RouteStats  `json:"counters,omitempty"`
	// Gone has what does not exist any more, by collection: names of models and routes, and ids of signals.
	Gone map[string][]string `json:"gone,omitempty"`
}
