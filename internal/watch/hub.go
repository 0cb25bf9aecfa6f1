package watch

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Journal is the log of events.
type Journal interface {
	// Appended returns a channel that is closed with the next event.
	Appended() <-chan struct{}
	Last() int64
	// Read returns at most limit events after a number that a filter selects, and none only if there
	// are no more.
	Read(after int64, limit int, f Filter) ([]api.Event, error)
}

// Sources return the present states. They are called from one goroutine, and what they return must not
// change afterwards.
type Sources struct {
	Models   func() []api.ModelStatus // of all versions, without details
	Routes   func() []api.Route
	Rollouts func() []api.Rollout
	Signals  func() []api.Signal
	Drift    func() []api.DriftStatus
	Counters func(route string) (api.RouteStats, error)
}

// Options configure a Hub. All are required.
type Options struct {
	Journal Journal
	Sources Sources
	Logger  *zap.Logger
}

// The pace of a Hub.
const (
	minLook   = 100 * time.Millisecond // between two looks at states, however many watchers come
	heartbeat = 15 * time.Second       // the max time without a message

	// A look wakes all watchers. If all of them encoded and wrote at once, they would hold every core for milliseconds, and
	// requests would wait. So a few go ahead, and the others follow in turn: the last of 200 after 0.2 s.
	turnsPerSecond = 1000
	turnsAtOnce    = 8
)

// Hub looks at what watchers want. Its methods may be called from any goroutine.
type Hub struct {
	opts    Options
	woken   chan struct{} // watchers came or went
	stopped chan struct{} // closed when Run has ended
	now     atomic.Pointer[snapshot]
	turns   *rate.Limiter // of watchers that have something to send

	mu       sync.Mutex
	watchers map[*watcher]struct{}
	last     int64 // the number of the last watcher
}

// snapshot is what a look has found. It never changes.
type snapshot struct {
	number int64 // of the look
	upto   int64 // the number of the last watcher whose states it has
	at     time.Time
	ring   *ring             // nil if nobody watches the journal
	topics map[string]*topic // by collection
	next   chan struct{}     // closed when there is another one
}

// New returns a hub without watchers.
func New(o Options) *Hub {
	if o.Journal == nil || o.Sources.Models == nil || o.Sources.Routes == nil || o.Sources.Rollouts == nil || o.Sources.Signals == nil ||
		o.Sources.Drift == nil || o.Sources.Counters == nil || o.Logger == nil {
		panic("BUG: watch.New needs a journal, all sources and a logger")
	}
	h := &Hub{opts: o, woken: make(chan struct{}, 1), stopped: make(chan struct{}), watchers: map[*watcher]struct{}{}, turns: rate.NewLimiter(turnsPerSecond, turnsAtOnce)}
	h.now.Store(&snapshot{next: make(chan struct{})})
	return h
}

// Run looks until ctx ends, which ends all watchers.
func (h *Hub) Run(ctx context.Context) error {
	defer close(h.stopped)
	var looked time.Time // when states were looked at last
	timer := time.NewTimer(0)
	defer timer.Stop()
	w := h.wants()
	for {
		appended := h.opts.Journal.Appended() // before reading
		s, now := h.now.Load(), time.Now()
		next := &snapshot{number: s.number, upto: s.upto, at: s.at, ring: s.ring, topics: s.topics}
		changed := h.readEvents(next, w.journal)
		due := looked.Add(w.every)
		if w.upto > s.upto {
			due = looked.Add(minLook)
		}
		switch {
		case w.every == 0:
			next.topics, next.upto = nil, w.upto
			changed = changed || next.upto != s.upto
		case !now.Before(due):
			looked, due = now, now.Add(w.every)
			changed = h.look(next, &w, now) || next.upto != s.upto || changed
		}
		if changed {
			next.next = make(chan struct{})
			h.now.Store(next)
			close(s.next)
		}
		var tick <-chan time.Time
		if w.every > 0 {
			timer.Reset(due.Sub(now))
			tick = timer.C
		}
		if !w.journal {
			appended = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-h.woken:
			w = h.wants()
		case <-appended:
		case <-tick:
		}
	}
}

// wants is what all watchers want together.
type wants struct {
	upto    int64 // the number of the last watcher
	journal bool
	every   time.Duration // the shortest time between two messages of states; 0: nobody wants states
	names   map[string]names
}

func (h *Hub) wants() wants {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := wants{upto: h.last, names: map[string]names{}}
	for w := range h.watchers {
		all.journal = all.journal || w.query.Journal
		if len(w.names) > 0 && (all.every == 0 || w.query.Every < all.every) {
			all.every = w.query.Every
		}
		for collection, n := range w.names {
			if _, ok := all.names[collection]; !ok {
				all.names[collection] = names{}
			}
			all.names[collection].add(n)
		}
	}
	return all
}

// look looks at the states, and reports whether they have changed.
func (h *Hub) look(next *snapshot, w *wants, now time.Time) (changed bool) {
	before := next.topics
	next.number++
	next.upto, next.at, next.topics = w.upto, now, make(map[string]*topic, len(w.names))
	for collection, wanted := range w.names {
		was := before[collection]
		if was == nil {
			was = &topic{}
		}
		t, fresh := was.update(h.opts.Sources.items(collection, wanted), next.number)
		next.topics[collection] = t
		changed = changed || fresh
	}
	return changed || len(before) != len(next.topics)
}

// add adds a watcher. It fails with Unavailable if the hub has ended.
func (h *Hub) add(w *watcher) error {
	select {
	case <-h.stopped:
		return infer.Errorf(infer.Unavailable, "the gateway is stopping")
	default:
	}
	h.mu.Lock()
	h.last++
	w.number = h.last
	h.watchers[w] = struct{}{}
	h.mu.Unlock()
	h.wake()
	return nil
}

func (h *Hub) remove(w *watcher) {
	h.mu.Lock()
	delete(h.watchers, w)
	h.mu.Unlock()
	h.wake()
}

func (h *Hub) wake() {
	select {
	case h.woken <- struct{}{}:
	default: // it will look anyway
	}
}
