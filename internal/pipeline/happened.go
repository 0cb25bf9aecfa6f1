package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice.io/sluice/api"
)

// Happened is what the journal has about a model that decides about requests for retraining: detections, bad data, rollouts and
// requests. It is a fold over the journal.
type Happened struct {
	model     string
	episodes  []*episode // in the order of their begin
	open      map[place]*episode
	bad       periods[place] // of streams with bad data
	rollouts  periods[string]
	asked     []request // of people
	requests  []request // all that were made
	durations []time.Duration
	events    []api.Event // about requests of the model, without what is not needed
}

// place is a stream and a cause.
type place struct {
	version int64
	role    string
	cause   string
	segment string
}

// episode is a detection for as long as it lasts.
type episode struct {
	place

	from, until time.Time // until is zero if it lasts
	began       time.Time
	features    []string
	promised    time.Time // when it was within the promise of the detector, zero if never
}

// request is a request for retraining that was made.
type request struct {
	api.RetrainMade

	closed time.Time // zero if it is open
}

// NewHappened returns what happened to a model, without events.
func NewHappened(model string) *Happened {
	return &Happened{model: model, open: map[place]*episode{}, bad: periods[place]{}, rollouts: periods[string]{}}
}

// HappenedTypes returns the types of events that a Happened applies. It ignores others.
func HappenedTypes() []string {
	return []string{
		api.EventDriftState, api.EventLossState, "rollout.", api.EventRetrainRequested, api.EventRetrainDelivered, api.EventRetrainClosed,
		api.EventVersionRetired, api.EventVersionUnloaded,
	}
}

// Apply applies the next event.
func (h *Happened) Apply(e api.Event) (err error) {
	switch {
	case e.Type == api.EventDriftState:
		err = h.drift(e)
	case e.Type == api.EventLossState:
		err = h.loss(e)
	case e.Type == api.EventVersionRetired, e.Type == api.EventVersionUnloaded:
		err = h.gone(e)
	case strings.HasPrefix(e.Type, "rollout."):
		err = h.rollout(e)
	case e.Type == api.EventRetrainRequested:
		err = h.request(e)
	case e.Type == api.EventRetrainDelivered, e.Type == api.EventRetrainClosed:
		h.progress(e)
	}
	if err != nil {
		return fmt.Errorf("event %d of the journal, %s of %.300q: %w", e.Seq, e.Type, e.Subject, err)
	}
	return nil
}

func (h *Happened) drift(e api.Event) error {
	var d struct {
		Model   string           `json:"model"`
		Version int64            `json:"version"`
		Role    string           `json:"role"`
		Segment string           `json:"segment"`
		Verdict api.DriftVerdict `json:"verdict"`
	}
	if err := json.Unmarshal(e.After, &d); err != nil || d.Model != h.model {
		return err
	}
	at := place{d.Version, d.Role, api.CauseDrift, d.Segment}
	bad := slices.ContainsFunc(d.Verdict.Quality, func(f api.DriftFinding) bool {
		return api.DriftLasts(f.State) && api.DriftFlaws(f.Statistic)
	})
	h.bad.mark(at, e.Time, bad)
	began, features, promised := time.Time{}, []string{}, false
	for _, f := range d.Verdict.Features {
		if !api.DriftLasts(f.State) {
			continue
		}
		if f.Began != nil && (began.IsZero() || f.Began.Before(began)) {
			began = *f.Began
		}
		features, promised = append(features, api.FeatureName(f.Kind, f.Feature)), promised || !f.Unpromised
	}
	if began.IsZero() {
		began = d.Verdict.Window.Start
	}
	h.mark(at, e.Time, began, features, promised)
	return nil
}

func (h *Happened) loss(e api.Event) error {
	var d api.LossEvidence
	if err := json.Unmarshal(e.After, &d); err != nil || d.Model != h.model {
		return err
	}
	features := []string{}
	if api.DriftLasts(d.State) {
		features = append(features, "loss")
		for i := range d.Findings {
			if f := &d.Findings[i]; api.DriftLasts(f.State) {
				features = append(features, f.Loss)
			}
		}
	}
	h.mark(place{version: d.Version, role: d.Role, cause: api.CausePerformance}, e.Time, d.Window.Start, features, true)
	return nil
}

// mark begins, goes on with, or ends a detection. One without features is over. promised says whether it is within the promise of
// the detector, as it then stays.
func (h *Happened) mark(at place, now, began time.Time, features []string, promised bool) {
	x := h.open[at]
	switch {
	case len(features) == 0 && x != nil:
		x.until = now
		delete(h.open, at)
	case len(features) > 0 && x == nil:
		x = &episode{place: at, from: now, began: began, features: features}
		h.open[at], h.episodes = x, append(h.episodes, x)
	case x != nil:
		for _, f := range features {
			if !slices.Contains(x.features, f) {
				x.features = append(x.features, f)
			}
		}
	}
	if x = h.open[at]; x != nil && promised && x.promised.IsZero() {
		x.promised = now
	}
}

// gone ends what is detected of a version that does not serve any more, or is not a shadow any more.
func (h *Happened) gone(e api.Event) error {
	var v api.VersionChange
	if err := json.Unmarshal(e.After, &v); err != nil || v.Model != h.model {
		return err
	}
	same := func(version int64, role string) bool {
		return version == v.Version && (role == api.RoleShadow) == (v.Role == api.RoleShadow)
	}
	for at := range h.open {
		if same(at.version, at.role) {
			h.mark(at, e.Time, time.Time{}, nil, false)
		}
	}
	for at := range h.bad {
		if same(at.version, at.role) {
			h.bad.mark(at, e.Time, false)
		}
	}
	return nil
}

func (h *Happened) rollout(e api.Event) error {
	var r struct {
		ID    string `json:"id"`
		Model string `json:"model"`
		State string `json:"state"`
	}
	if err := json.Unmarshal(e.After, &r); err != nil || r.Model != h.model || r.ID == "" {
		return err
	}
	final := api.Rollout{State: r.State}
	h.rollouts.mark(r.ID, e.Time, !final.Final())
	return nil
}

func (h *Happened) request(e api.Event) error {
	var s api.SignalData
	if err := json.Unmarshal(e.After, &s); err != nil || s.Model != h.model {
		return err
	}
	made := request{RetrainMade: api.RetrainMade{ID: s.ID, At: e.Time, Cause: s.Cause, Version: s.Version}}
	h.requests = append(h.requests, made)
	if x := h.open[place{s.Version, s.Role, s.Cause, s.Segment}]; x != nil && x.promised.IsZero() {
		x.promised = e.Time // else the gateway would have held it back. Earlier releases did not write that a detection became promised
	}
	if s.Cause == api.CauseManual {
		h.asked = append(h.asked, made)
	}
	h.events = append(h.events, requested(made.RetrainMade, h.model))
	return nil
}

// progress notes a delivery or an end.
func (h *Happened) progress(e api.Event) {
	id := strings.TrimPrefix(e.Subject, subject)
	at := slices.IndexFunc(h.requests, func(r request) bool { return r.ID == id })
	if at < 0 {
		return // of another model, or a report of bad data
	}
	if r := &h.requests[at]; e.Type == api.EventRetrainClosed && r.closed.IsZero() {
		r.closed = e.Time
		h.durations = append(h.durations, e.Time.Sub(r.At))
	}
	h.events = append(h.events, e)
}

// Training returns the median time that a retraining of the model took, 0 if none has ended.
func (h *Happened) Training() time.Duration {
	if len(h.durations) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(h.durations))
	return sorted[len(sorted)/2]
}

// requested returns the event of a request.
func requested(made api.RetrainMade, model string) api.Event {
	s := api.Signal{
		SignalData:     api.SignalData{ID: made.ID, Type: api.TypeRetrainRequested, Model: model, Version: made.Version, Cause: made.Cause, CreatedAt: made.At},
		SignalProgress: api.SignalProgress{State: api.SignalOpen},
	}
	after, _ := json.Marshal(s) // texts, numbers and times
	return api.Event{Type: api.EventRetrainRequested, Subject: subject + made.ID, Time: made.At, After: after}
}

// periods are the times in which something held.
type periods[K comparable] map[K][]api.Span

// mark notes whether something holds from now on.
func (p periods[K]) mark(name K, now time.Time, holds bool) {
	list := p[name]
	last := len(list) - 1
	open := last >= 0 && list[last].End.IsZero()
	switch {
	case holds && !open:
		p[name] = append(list, api.Span{Start: now})
	case !holds && open:
		list[last].End = now
	}
}

// of returns the periods of one name alone.
func (p periods[K]) of(name K) periods[K] { return periods[K]{name: p[name]} }

// during reports whether anything held at a time, and when the last of it was over, zero if it lasts.
func (p periods[K]) during(at time.Time) (end time.Time, holds bool) {
	for _, list := range p {
		for _, s := range list {
			if at.Before(s.Start) || !s.End.IsZero() && !at.Before(s.End) {
				continue
			}
			if s.End.IsZero() {
				return time.Time{}, true
			}
			if holds = true; s.End.After(end) {
				end = s.End
			}
		}
	}
	return end, holds
}
