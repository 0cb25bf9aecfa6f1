package driftwatch

import (
	"fmt"
	"net/url"

	"sluice.io/sluice/internal/drift"
)

// of returns the part of the reference's profile for a stream.
func (r *Reference) of(s drift.Stream) *drift.Profile {
	p := r.profile
	if s.Segment != "" {
		p = p.Of(s.Segment)
	}
	return p.For(s.Version.Number)
}

// stopped is a segment whose watch was stopped.
type stopped struct {
	watch watch
	past  *drift.Past
}

// startSegments starts the watches of the segments of a stream that was started.
func (w *Watcher) startSegments(s drift.Stream, whole *watch, past map[string]stopped) {
	if whole.tap == nil {
		return
	}
	if parameter := whole.Reference.SegmentParameter(); parameter != "" && parameter != whole.Parameter {
		return // another parameter is read
	}
	for _, s.Segment = range whole.Reference.Segments(whole.Settings.MaxSegments) {
		next := watch{Watch: whole.Watch, of: whole.tap}
		was := past[s.Segment]
		if was.watch.Reference == whole.Reference {
			next.profile = was.watch.profile // the same one, so that the window goes on
		}
		w.start(s, &next, was.past)
	}
}

// stopSegments stops the watches of the segments of a stream, and returns them.
func (w *Watcher) stopSegments(s drift.Stream) map[string]stopped {
	list := map[string]stopped{}
	w.mu.Lock()
	for part, old := range w.watches {
		if part.Segment != "" && part.Whole() == s {
			list[part.Segment] = stopped{watch: old}
			delete(w.watches, part)
		}
	}
	w.mu.Unlock()
	for segment, x := range list {
		s.Segment = segment
		x.past = w.stop(s, x.watch)
		list[segment] = x
	}
	return list
}

// Subject returns the subject of the events of a stream.
func Subject(s drift.Stream) string {
	subject := fmt.Sprintf("drift/%s/%d/%s", s.Version.Model, s.Version.Number, s.Role)
	if s.Segment != "" {
		subject += "/" + url.PathEscape(s.Segment)
	}
	return subject
}
