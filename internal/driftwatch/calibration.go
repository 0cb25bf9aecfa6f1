package driftwatch

import (
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/drift"
)

// learned is what a stream has learned of clean windows.
type learned struct {
	Model   string         `json:"model"`
	Version int64          `json:"version"`
	Role    string         `json:"role"`
	Segment string         `json:"segment,omitempty"`
	Digest  string         `json:"digest"` // of the reference
	At      time.Time      `json:"at"`     // the end of the last window
	What    *drift.Learned `json:"learned"`

	stored time.Time // when it was written last
}

// storeEvery is the min time between two writes of what a stream has learned. The windows since the last
// write are lost if the gateway is killed.
const storeEvery = 5 * time.Minute

// learn keeps what a stream has learned after a window, and writes it if the last write is long ago or a
// round has ended.
func (w *Watcher) learn(c *drift.Closed, digest string) {
	what := drift.LearnedOf(c.Profile, &c.After)
	if what == nil {
		return
	}
	v := c.Stream.Version
	now := &learned{Model: v.Model, Version: v.Number, Role: c.Stream.Role, Segment: c.Stream.Segment, Digest: digest, At: c.Window.End, What: what}
	w.mu.Lock()
	if old := w.learned[c.Stream]; old != nil {
		now.stored = old.stored
	}
	w.learned[c.Stream] = now
	w.mu.Unlock()
	if what.Round.Windows == 0 || time.Since(now.stored) >= storeEvery {
		w.store(now)
	}
}

// store has what a stream has learned written.
func (w *Watcher) store(l *learned) {
	l.stored = time.Now()
	if w.shelf != nil {
		w.shelf.put(l)
	}
}

// storeAll has what was learned since the last write written. It is called when no window is judged any more.
func (w *Watcher) storeAll() {
	w.mu.Lock()
	var list []*learned
	for _, l := range w.learned {
		if l.At.After(l.stored) {
			list = append(list, l)
		}
	}
	w.mu.Unlock()
	for _, l := range list {
		w.store(l)
	}
}

// Remember keeps what streams learn in a folder, and continues with what is there. It must be called before
// Run and Tap.
func (w *Watcher) Remember(dir string) error {
	shelf, list, err := openShelf(dir, w.log)
	if err != nil {
		return err
	}
	w.shelf = shelf
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range list {
		w.learned[l.stream()] = l
	}
	return nil
}

// recall completes the state with which a stream starts with what was learned: by the stream itself, or else by another version of the
// model.
func (w *Watcher) recall(s drift.Stream, next *watch, state *drift.Snapshot, at time.Time) {
	w.mu.Lock()
	own, parent := w.learned[s], w.parent(s)
	w.mu.Unlock()
	if own != nil && own.Digest == next.Reference.digest {
		if len(state.Learned) > 0 && !own.At.After(at) {
			return
		}
		if err := own.What.Resume(state, next.profile); err == nil {
			return
		}
	}
	if len(state.Learned) > 0 {
		return
	}
	if own != nil && own.What.Inherit(state, next.profile, own.Version) > 0 { // the profile is another one
		return
	}
	if parent == nil {
		return
	}
	if n := parent.What.Inherit(state, next.profile, parent.Version); n > 0 {
		w.log.Info("a version starts with what another one has learned of clean windows", zap.String("model", s.Version.Model),
			zap.Int64("version", s.Version.Number), zap.String("role", s.Role), zap.Int64("from", parent.Version), zap.Int("features", n))
	}
}

// parent returns what the stream from which another one inherits has learned, nil if there is none. It is of the same segment: the same
// version in another role, else a version that is or was stable, and the one that was judged last. w.mu is locked.
func (w *Watcher) parent(s drift.Stream) (best *learned) {
	rank := func(l *learned) int {
		switch {
		case l.Version == s.Version.Number:
			return 2
		case l.Role == api.RoleStable || l.Role == api.RoleDefault:
			return 1
		default:
			return 0
		}
	}
	for other, l := range w.learned {
		if other == s || l.Model != s.Version.Model || l.Segment != s.Segment {
			continue
		}
		if best == nil || rank(l) > rank(best) || rank(l) == rank(best) && later(l, best) {
			best = l
		}
	}
	return best
}

// later reports whether a was judged after b, or is of a newer version.
func later(a, b *learned) bool {
	if !a.At.Equal(b.At) {
		return a.At.After(b.At)
	}
	return a.Version > b.Version || a.Version == b.Version && a.Role < b.Role
}
