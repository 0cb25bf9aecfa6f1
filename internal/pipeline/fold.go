package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice.io/sluice/api"
)

// subject is the prefix of the subjects of events about retrainings and their signals.
const subject = "retrain/"

// maxEnded is the max number of ended retrainings that a Fold keeps.
const maxEnded = 1000

// Fold has the retrainings in progress, and the last ones that have ended. It is a fold over the journal.
type Fold struct {
	list []*api.Retraining // the oldest first
	byID map[string]*api.Retraining
	open map[string]bool // ids whose signal is not closed
	// tokens are the digests of the tokens of a retraining that has not ended, by its id, as the journal has them.
	tokens map[string][]string
	// ended are those of retrainings that have ended. They are for calls that are repeated.
	ended map[string][]string
}

// NewFold returns a Fold without events.
func NewFold() *Fold {
	return &Fold{byID: map[string]*api.Retraining{}, open: map[string]bool{}, tokens: map[string][]string{}, ended: map[string][]string{}}
}

// Types returns the types of events that a Fold applies. It ignores others.
func Types() []string {
	return []string{
		api.EventRetrainRequested, api.EventRetrainDelivered, api.EventRetrainClosed, api.EventRetrainAccepted, api.EventRetrainRunning,
		api.EventRetrainJudged, api.EventRetrainFinished, api.EventRetrainFailed, api.EventRetrainExpired, api.EventRetrainRejected,
		api.EventVersionRegistered, api.EventRetrainToken,
	}
}

// Apply applies the next event. An event that the state of its retraining does not allow changes nothing: another one was first.
func (f *Fold) Apply(e api.Event) error {
	var err error
	switch e.Type {
	case api.EventRetrainRequested:
		err = f.request(e)
	case api.EventVersionRegistered:
		err = f.register(e)
	case api.EventRetrainToken:
		err = f.issue(e)
	case api.EventRetrainDelivered, api.EventRetrainClosed, api.EventRetrainAccepted, api.EventRetrainRunning, api.EventRetrainJudged,
		api.EventRetrainFinished, api.EventRetrainFailed, api.EventRetrainExpired, api.EventRetrainRejected:
		err = f.change(e)
	}
	if err != nil {
		return fmt.Errorf("event %d of the journal, %s of %.300q: %w", e.Seq, e.Type, e.Subject, err)
	}
	return nil
}

func (f *Fold) request(e api.Event) error {
	var s api.SignalData
	if err := json.Unmarshal(e.After, &s); err != nil {
		return err
	}
	if f.byID[s.ID] != nil {
		return nil
	}
	r := &api.Retraining{ID: s.ID, Model: s.Model, Parent: s.Version, Cause: s.Cause, State: api.RetrainRequested, RequestedAt: e.Time, ChangedAt: e.Time}
	f.list, f.byID[s.ID] = append(f.list, r), r
	f.open[s.ID] = true
	return nil
}

// register makes a version the candidate of the retraining that its lineage names.
func (f *Fold) register(e api.Event) error {
	var rec struct {
		Model   string      `json:"model"`
		Version int64       `json:"version"`
		Digest  string      `json:"digest"`
		Lineage api.Lineage `json:"lineage"`
	}
	if err := json.Unmarshal(e.After, &rec); err != nil {
		return err
	}
	r := f.byID[rec.Lineage.Retrain]
	if r == nil || r.Model != rec.Model || !waits(r) {
		return nil
	}
	r.State, r.ChangedAt, r.Candidate, r.Digest, r.Why = api.RetrainRegistered, e.Time, rec.Version, rec.Digest, ""
	return nil
}

// waits reports whether a retraining waits for a version.
func waits(r *api.Retraining) bool {
	return r.State == api.RetrainRequested || r.State == api.RetrainAccepted || r.State == api.RetrainRunning
}

// change applies an event about a retraining.
func (f *Fold) change(e api.Event) error {
	id := strings.TrimPrefix(e.Subject, subject)
	if e.Type == api.EventRetrainClosed {
		delete(f.open, id)
	}
	r := f.byID[id]
	if r == nil {
		return nil // it is about bad data, or not kept any more
	}
	var c api.RetrainChange
	if err := json.Unmarshal(e.After, &c); err != nil {
		return err
	}
	if !move(r, e, &c) {
		return nil
	}
	r.ChangedAt = e.Time
	if r.Final() {
		f.endTokens(r, e.Time)
	}
	f.forget()
	return nil
}

// move changes a retraining, if its state allows that.
func move(r *api.Retraining, e api.Event, c *api.RetrainChange) bool {
	switch e.Type {
	case api.EventRetrainDelivered:
		if r.State != api.RetrainRequested {
			return false
		}
		r.State, r.Trainer, r.AcceptedAt = api.RetrainAccepted, api.TrainerWebhook, &e.Time
	case api.EventRetrainAccepted:
		if !waits(r) {
			return false
		}
		r.State, r.Trainer, r.Deadline = api.RetrainAccepted, c.Trainer, c.Deadline
		r.Document, r.Attempts = c.Document, max(r.Attempts, c.Attempt)
		if r.AcceptedAt == nil {
			r.AcceptedAt = &e.Time
		}
	case api.EventRetrainRunning:
		if !waits(r) {
			return false
		}
		r.State = api.RetrainRunning
		report(r, c)
	case api.EventRetrainJudged:
		if r.State != api.RetrainRegistered {
			return false
		}
		r.State, r.Judgement, r.Why = api.RetrainJudged, c.Judgement, c.Why
	case api.EventRetrainClosed:
		if r.Final() {
			return false
		}
		r.State, r.Why = api.RetrainRejected, "the signal was closed: "+orNoReason(e.Reason)
	default:
		return finish(r, e, c)
	}
	return true
}

// finish ends a retraining.
func finish(r *api.Retraining, e api.Event, c *api.RetrainChange) bool {
	final := map[string]string{
		api.EventRetrainFinished: api.RetrainFinished, api.EventRetrainFailed: api.RetrainFailed,
		api.EventRetrainExpired: api.RetrainExpired, api.EventRetrainRejected: api.RetrainRejected,
	}[e.Type]
	late := e.Type == api.EventRetrainFailed || e.Type == api.EventRetrainExpired
	if r.Final() || late && !waits(r) || e.Type == api.EventRetrainFinished && r.State != api.RetrainJudged {
		return false
	}
	r.State, r.Why, r.Rollout = final, c.Why, c.Rollout
	return true
}

// report takes what a trainer says of its progress.
func report(r *api.Retraining, c *api.RetrainChange) {
	if c.Progress != nil {
		r.Progress = c.Progress
	}
	if c.Message != "" {
		r.Message = c.Message
	}
	if c.Log != "" {
		r.Log = c.Log
	}
}

func orNoReason(reason string) string {
	if reason == "" {
		return "no reason given"
	}
	return reason
}

// forget limits the number of ended retrainings.
func (f *Fold) forget() {
	ended := 0
	for _, r := range f.list {
		if r.Final() {
			ended++
		}
	}
	for ; ended > maxEnded; ended-- {
		i := slices.IndexFunc(f.list, func(r *api.Retraining) bool { return r.Final() })
		delete(f.byID, f.list[i].ID)
		delete(f.open, f.list[i].ID)
		delete(f.ended, f.list[i].ID)
		f.list = slices.Delete(f.list, i, i+1)
	}
}

// busy returns the retraining of a model that is in progress, nil if there is none: the oldest one that has not ended.
func (f *Fold) busy(model string) *api.Retraining {
	for _, r := range f.list {
		if r.Model == model && !r.Final() {
			return r
		}
	}
	return nil
}

// since counts the retrainings of a model that were requested after a time and not by a person.
func (f *Fold) since(model string, t time.Time) (n int) {
	for _, r := range f.list {
		if r.Model == model && r.Cause != api.CauseManual && r.RequestedAt.After(t) {
			n++
		}
	}
	return n
}

// last returns when the last retraining of a model was requested, zero if there was none.
func (f *Fold) last(model string) (at time.Time) {
	for _, r := range f.list {
		if r.Model == model {
			at = r.RequestedAt
		}
	}
	return at
}

// saved is a snapshot of a Fold, as JSON.
type saved struct {
	Retrainings []*api.Retraining `json:"retrainings"`
	Open        []string          `json:"open"`

	Tokens map[string][]string `json:"tokens,omitempty"`       // digests
	Ended  map[string][]string `json:"ended_tokens,omitempty"` // apart, since an earlier release takes the others for valid
}

// Snapshot implements journal.Fold.
func (f *Fold) Snapshot() ([]byte, error) {
	s := saved{Retrainings: f.list, Tokens: f.tokens, Ended: f.ended}
	for _, r := range f.list {
		if f.open[r.ID] {
			s.Open = append(s.Open, r.ID)
		}
	}
	return json.Marshal(s)
}

// Restore implements journal.Fold.
func (f *Fold) Restore(state []byte) error {
	var s saved
	if err := json.Unmarshal(state, &s); err != nil {
		return err
	}
	next := NewFold()
	for _, r := range s.Retrainings {
		if r == nil || r.ID == "" || next.byID[r.ID] != nil {
			return errors.New("a retraining has no id, or one that another has")
		}
		next.list, next.byID[r.ID] = append(next.list, r), r
	}
	for _, id := range s.Open {
		next.open[id] = true
	}
	maps.Copy(next.tokens, s.Tokens)
	maps.Copy(next.ended, s.Ended)
	*f = *next
	return nil
}
