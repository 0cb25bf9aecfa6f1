package signals

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// subject is the prefix of the subjects of events about signals.
const subject = "retrain/"

// maxSettled is the max number of delivered or closed signals that a Store keeps, apart from
// the last request of each model. It keeps only the ids of older ones.
const maxSettled = 1000

// Store has the open signals, the last ones that are not open, and all ids that were used.
// It is a fold over the journal. It belongs to one goroutine until it is given to New.
type Store struct {
	signals []*api.Signal // the oldest first
	byID    map[string]*api.Signal
	settled int // the number of signals that are not open
	used    map[string]struct{}
	models  map[string]*model
	// blocked are the requests that were held back without an earlier one, with the reason. It has the last one of each model.
	blocked map[string]string
	blocks  map[string]string // the id of that request by model
}

// model decides whether there may be another request for a model.
type model struct {
	last *api.Signal // the last request for retraining
	// suppressed are the requests that last held back and that are in the journal. The
	// number of versions of the model limits them.
	suppressed map[suppressed]struct{}
}

type suppressed struct {
	version int64
	cause   string
	role    string
	segment string
}

// NewStore returns a Store without events.
func NewStore() *Store {
	return &Store{byID: map[string]*api.Signal{}, used: map[string]struct{}{}, models: map[string]*model{}, blocked: map[string]string{}, blocks: map[string]string{}}
}

// Apply applies the next event. It ignores events that are not about signals, and events
// with a change that it has already. It fails with Internal, and changes nothing, if the
// event does not follow the ones before it or cannot be read.
func (s *Store) Apply(e api.Event) error {
	var err error
	switch e.Type {
	case api.EventRetrainRequested:
		err = s.add(e, api.TypeRetrainRequested)
	case api.EventQualityViolated:
		err = s.add(e, api.TypeDataQualityViolated)
	case api.EventRetrainDelivered:
		err = s.change(e, s.delivered)
	case api.EventRetrainClosed:
		err = s.change(e, s.closed)
	case api.EventRetrainSuppressed:
		err = s.suppressed(e)
	}
	if err != nil {
		return &infer.Error{Code: infer.Internal, Op: "signal", Msg: fmt.Sprintf("event %d of the journal, %s of %.300q", e.Seq, e.Type, e.Subject), Err: err}
	}
	return nil
}

func (s *Store) add(e api.Event, kind string) error {
	r := &api.Signal{}
	if err := json.Unmarshal(e.After, r); err != nil {
		return fmt.Errorf("after is not a signal: %w", err)
	}
	switch {
	case r.ID == "" || e.Subject != subject+r.ID:
		return fmt.Errorf("after is another signal: %.100q", r.ID)
	case r.Type != kind:
		return fmt.Errorf("after is of type %.100q, expected %s", r.Type, kind)
	case s.Known(r.ID):
		return nil
	}
	r.SignalProgress = api.SignalProgress{State: api.SignalOpen}
	s.signals = append(s.signals, r)
	s.byID[r.ID] = r
	s.used[r.ID] = struct{}{}
	if kind == api.TypeRetrainRequested {
		s.models[r.Model] = &model{last: r, suppressed: map[suppressed]struct{}{}}
	}
	return nil
}

// change applies an event to its signal, unless the store does not keep the signal any more.
func (s *Store) change(e api.Event, f func(r *api.Signal, e api.Event) error) error {
	id := strings.TrimPrefix(e.Subject, subject)
	r := s.byID[id]
	switch {
	case r == nil && s.Known(id):
		return nil
	case r == nil:
		return errors.New("the signal does not exist")
	}
	was := r.State
	if err := f(r, e); err != nil {
		return err
	}
	if was == api.SignalOpen {
		s.settled++
		s.forget()
	}
	return nil
}

// delivered records a delivery, also one that was in progress when the signal was closed.
func (s *Store) delivered(r *api.Signal, e api.Event) error {
	var after api.SignalProgress
	if err := json.Unmarshal(e.After, &after); err != nil {
		return fmt.Errorf("after is not a signal's progress: %w", err)
	}
	if r.DeliveredAt != nil {
		return nil
	}
	r.DeliveredAt, r.Attempts = &e.Time, after.Attempts
	if r.State == api.SignalOpen {
		r.State = api.SignalDelivered
	}
	return nil
}

func (s *Store) closed(r *api.Signal, e api.Event) error {
	if r.State != api.SignalClosed {
		r.State, r.ClosedAt, r.ClosedBy, r.Reason = api.SignalClosed, &e.Time, e.Actor.Actor, e.Reason
	}
	return nil
}

func (s *Store) suppressed(e api.Event) error {
	var after api.SignalSuppression
	if err := json.Unmarshal(e.After, &after); err != nil {
		return fmt.Errorf("after is not a suppression: %w", err)
	}
	if after.HeldBackBy == "" {
		s.block(&after)
		return nil
	}
	m := s.models[after.Model]
	if m == nil || m.last.ID != after.HeldBackBy || e.Subject != subject+after.HeldBackBy {
		return fmt.Errorf("held_back_by is %.100q, which is not the model's last request", after.HeldBackBy)
	}
	if after.ID == after.HeldBackBy {
		m.joined(alsoOf(e, &after))
		return nil
	}
	key := suppressed{after.Version, after.Cause, after.Role, after.Segment}
	if _, ok := m.suppressed[key]; !ok {
		m.suppressed[key] = struct{}{}
		m.last.Suppressed++
		if len(m.last.Also) < api.MaxSignalAlso {
			m.last.Also = append(slices.Clip(m.last.Also), alsoOf(e, &after)) // callers may have the list
		}
	}
	return nil
}

// maxAlsoFeatures is the max number of features of an entry of also.
const maxAlsoFeatures = 20

// alsoOf describes a request that was held back.
func alsoOf(e api.Event, after *api.SignalSuppression) api.SignalAlso {
	x := api.SignalAlso{Cause: after.Cause, Version: after.Version, Role: after.Role, Segment: after.Segment, Began: after.Began, At: e.Time, Why: after.Why, Features: []string{}}
	for _, f := range after.Features[:min(len(after.Features), maxAlsoFeatures)] {
		x.Features = append(x.Features, api.FeatureName(f.Kind, f.Feature))
	}
	return x
}

// block notes a request that was held back without an earlier one.
func (s *Store) block(after *api.SignalSuppression) {
	delete(s.blocked, s.blocks[after.Model])
	s.blocks[after.Model], s.blocked[after.ID] = after.ID, after.Why
}

// forget limits the number of settled signals. A model's last request stays until it is
// closed, since it must be possible to close it.
func (s *Store) forget() {
	for s.settled > maxSettled {
		oldest := slices.IndexFunc(s.signals, func(r *api.Signal) bool {
			m := s.models[r.Model]
			return r.State == api.SignalClosed || r.State == api.SignalDelivered && (m == nil || m.last != r)
		})
		if oldest < 0 {
			return
		}
		delete(s.byID, s.signals[oldest].ID)
		s.signals = slices.Delete(s.signals, oldest, oldest+1)
		s.settled--
	}
}

// Known reports whether there has ever been a signal with the id.
func (s *Store) Known(id string) bool {
	_, ok := s.used[id]
	return ok
}

// Get returns a signal that the store keeps.
func (s *Store) Get(id string) (api.Signal, bool) {
	if r := s.byID[id]; r != nil {
		return *r, true
	}
	return api.Signal{}, false
}

// All returns the signals, the oldest first.
func (s *Store) All() []api.Signal {
	all := make([]api.Signal, len(s.signals))
	for i, r := range s.signals {
		all[i] = *r
	}
	return all
}

// HeldBack returns the id of the request for retraining that holds back another one for the
// model, and the reason, or empty strings. A request that is not closed does so until expire
// has passed since its delivery. A closed one does so for the cool-down.
func (s *Store) HeldBack(name string, now time.Time, coolDown, expire time.Duration) (by, why string) {
	m := s.models[name]
	switch {
	case m == nil:
	case m.last.ClosedAt != nil:
		if within(now, *m.last.ClosedAt, coolDown) {
			return m.last.ID, api.HeldBackCoolDown
		}
	case m.last.DeliveredAt == nil || within(now, *m.last.DeliveredAt, expire):
		return m.last.ID, api.HeldBackOpen
	}
	return "", ""
}

// within reports whether now is less than d away from a moment, in either direction. If the
// clock was ahead at the moment, now is before it; a limit prevents a wait of years.
func within(now, moment time.Time, d time.Duration) bool {
	since := now.Sub(moment)
	return since > -d && since < d
}

// noted reports whether the journal has a suppression of the same version, role and cause.
func (s *Store) noted(signal api.SignalData) bool {
	_, ok := s.models[signal.Model].suppressed[suppressed{signal.Version, signal.Cause, signal.Role, signal.Segment}]
	return ok
}
