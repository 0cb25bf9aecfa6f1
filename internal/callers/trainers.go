package callers

import (
	"bytes"
	"sync/atomic"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Trainer is the caller of one retraining: it may do only what a training needs, see Need.ForTrainers.
type Trainer struct {
	Retraining string // its id
	Model      string
	Token      Key
	Until      time.Time // zero: as long as it is one of the Trainers
	// From Over on, the token may only repeat calls, see Need.AndRepeats; zero: never.
	Over  time.Time
	Ended bool // Over has passed, whatever the clock says
}

// Trainers are callers that come and go while the gateway runs. All books share them.
type Trainers struct {
	counters *Counters
	byKey    atomic.Pointer[map[Key]*trainer]
}

type trainer struct {
	*Caller

	repeating   *Caller // the same one after over
	over, until time.Time
	ended       bool
}

// now returns who the trainer is at a time, nil if it is nobody any more.
func (t *trainer) now(at time.Time) *Caller {
	switch {
	case !t.until.IsZero() && !at.Before(t.until):
		return nil
	case t.ended || !t.over.IsZero() && !at.Before(t.over):
		return t.repeating
	}
	return t.Caller
}

// NewTrainers returns Trainers without one. Their requests are counted together for each model. counters may be nil.
func NewTrainers(counters *Counters) *Trainers {
	t := &Trainers{counters: counters}
	t.byKey.Store(&map[Key]*trainer{})
	return t
}

// Replace replaces all trainers. A token that is not in the list is not accepted any more when it returns.
func (t *Trainers) Replace(list []Trainer) {
	const prefix = "retrain:"
	next := make(map[Key]*trainer, len(list))
	for _, x := range list {
		c := &Caller{
			name: prefix + x.Retraining, retraining: x.Retraining, has: Credited{Tokens: 1}, counts: t.counters.of(prefix + x.Model),
			listed: []Rule{{Models: []string{x.Model}, Actions: Register | Signal | Statistics | Capture}},
		}
		c.rules = rules{somewhere: c.listed[0].Actions, exact: map[string]Action{x.Model: c.listed[0].Actions}} // a * in the name is not a pattern
		repeating := *c
		repeating.repeats = true
		next[x.Token] = &trainer{c, &repeating, x.Over, x.Until, x.Ended}
	}
	t.byKey.Store(&next)
}

// of returns the trainer of a header, nil if it is not that of one. The prefix keeps other keys from being hashed here.
func (t *Trainers) of(authorization []byte) *Caller {
	if t == nil {
		return nil
	}
	scheme, shown, _ := bytes.Cut(authorization, []byte{' '})
	if shown = bytes.TrimSpace(shown); !bytes.HasPrefix(shown, []byte(api.TrainerTokenPrefix)) || !bytes.EqualFold(scheme, []byte("Bearer")) {
		return nil
	}
	x := (*t.byKey.Load())[KeyOf(shown)]
	if x == nil {
		return nil
	}
	return x.now(time.Now())
}

// list returns the callers, one for each retraining that has not ended.
func (t *Trainers) list() (list []*Caller) {
	if t == nil {
		return nil
	}
	seen := map[string]bool{}
	for _, x := range *t.byKey.Load() {
		if !x.ended && !seen[x.name] {
			seen[x.name], list = true, append(list, x.Caller)
		}
	}
	return list
}

// Retraining returns the id of the retraining whose trainer the caller is, "" if it is another caller.
func (c *Caller) Retraining() string { return c.retraining }

// MayTrain returns Forbidden if the caller is the trainer of another retraining.
func (c *Caller) MayTrain(id string) error {
	if c.retraining == "" || c.retraining == id {
		return nil
	}
	return infer.Errorf(infer.Forbidden, "the token is that of retraining %s alone", c.retraining)
}
