package pipeline

import (
	"fmt"
	"time"

	"sluice.io/sluice/api"
)

// Holds decides whether an earlier request for retraining holds another one back, as signals.Store does.
type Holds interface {
	Apply(e api.Event) error
	HeldBack(model string, now time.Time, coolDown, expire time.Duration) (by, why string)
}

// Simulation says what a policy would have requested. All fields are required.
type Simulation struct {
	Since, Until time.Time
	Policy       api.RetrainPolicy
	Expire       time.Duration // as of the outbox
	Every        time.Duration // between two attempts while something is detected: a window
	Holds        Holds         // without events
	Labels       func(since, until time.Time) int64
}

// The times between attempts whose reason to be held back has no known end, and without a window.
const (
	labelsEvery = time.Hour
	lossEvery   = time.Minute
	week        = 7 * 24 * time.Hour
)

// Run returns the requests that the policy would have made, given what happened. Detections are those in the journal, although the
// simulated requests could have ended them earlier or later.
func (s *Simulation) Run(h *Happened) (api.RetrainSimulation, error) {
	r := &simulated{Simulation: s, h: h, out: api.RetrainSimulation{
		Model: h.model, Since: s.Since, Until: s.Until, Policy: s.Policy, Steps: []api.RetrainStep{}, Made: []api.RetrainMade{}, Notes: []string{},
	}}
	if err := r.before(); err != nil {
		return r.out, err
	}
	for _, e := range h.episodes {
		if e.until.IsZero() || e.until.After(s.Since) {
			r.attempts = append(r.attempts, &attempt{episode: *e, next: r.onGrid(e, s.Since)})
		}
	}
	for _, x := range h.asked {
		if !x.At.Before(s.Since) && !x.At.After(s.Until) {
			r.attempts = append(r.attempts, &attempt{episode: episode{place: place{version: x.Version, cause: api.CauseManual}, from: x.At, until: x.At, began: x.At}, next: x.At})
		}
	}
	for _, x := range h.requests {
		if !x.At.Before(s.Since) && !x.At.After(s.Until) {
			r.out.Made = append(r.out.Made, x.RetrainMade)
		}
	}
	for r.step() {
		if r.err != nil {
			return r.out, r.err
		}
	}
	return r.out, r.err
}

// attempt is a request that is tried until it is made or its cause is over.
type attempt struct {
	episode

	next  time.Time // zero: never again
	tried string    // why it was held back the last time
}

// simulated is the state of a simulation.
type simulated struct {
	*Simulation

	h        *Happened
	out      api.RetrainSimulation
	attempts []*attempt
	open     string    // the id of a request whose retraining has not ended
	closing  time.Time // when it ends; zero: it does not
	closed   time.Time // when the last one ended
	last     time.Time // of the last request
	spent    []time.Time
	retry    time.Time // when the schedule tries again
	tried    string    // why the schedule was held back the last time
	err      error
}

// before applies what the gateway had requested before the simulation begins.
func (r *simulated) before() error {
	for _, e := range r.h.events {
		if !e.Time.Before(r.Since) {
			break
		}
		if err := r.Holds.Apply(e); err != nil {
			return err
		}
	}
	for _, x := range r.h.requests {
		if !x.At.Before(r.Since) {
			break
		}
		r.last, r.open, r.closing = x.At, x.ID, x.closed
		if x.Cause != api.CauseManual {
			r.spent = append(r.spent, x.At)
		}
		if !x.closed.IsZero() && x.closed.Before(r.Since) {
			r.open, r.closed = "", x.closed
		}
	}
	return nil
}

// onGrid returns the first attempt at or after a time: something that is detected is reported with each window.
func (r *simulated) onGrid(e *episode, at time.Time) time.Time {
	every := r.Every
	if e.cause == api.CausePerformance {
		every = lossEvery
	}
	if !at.After(e.from) {
		return e.from
	}
	since := at.Sub(e.from) + every - 1
	return e.from.Add(since - since%every)
}

// step makes the next thing happen. It reports whether there was one.
func (r *simulated) step() bool {
	var next *attempt
	for _, a := range r.attempts {
		if !a.next.IsZero() && (next == nil || a.next.Before(next.next)) {
			next = a
		}
	}
	due := r.due()
	at := due
	if next != nil && (due.IsZero() || !next.next.After(due)) {
		at = next.next
	}
	if r.open != "" && !r.closing.IsZero() && (at.IsZero() || !r.closing.After(at)) {
		r.close()
		return true
	}
	switch {
	case at.IsZero(), at.After(r.Until):
		return false
	case len(r.out.Steps) >= api.MaxRetrainSteps:
		r.note("the simulation ended after %d steps", api.MaxRetrainSteps)
		return false
	case next != nil && at.Equal(next.next):
		r.try(next)
	default:
		a := &attempt{episode: episode{place: place{cause: api.CauseSchedule}, from: at, began: r.began()}, next: at, tried: r.tried}
		r.try(a)
		r.retry, r.tried = a.next, a.tried
	}
	return true
}

// due returns when the schedule makes its next request, zero if there is no schedule.
func (r *simulated) due() time.Time {
	if r.Policy.Schedule <= 0 {
		return time.Time{}
	}
	if !r.retry.IsZero() {
		return r.retry
	}
	return r.began()
}

// began returns when the schedule was due, at the earliest when the simulation begins.
func (r *simulated) began() time.Time {
	from := r.last
	if from.IsZero() {
		from = r.Since
	}
	if at := from.Add(time.Duration(r.Policy.Schedule)); at.After(r.Since) {
		return at
	}
	return r.Since
}

// close ends the retraining that is in progress.
func (r *simulated) close() {
	r.closed, r.err = r.closing, r.Holds.Apply(api.Event{Type: api.EventRetrainClosed, Subject: subject + r.open, Time: r.closing})
	r.open, r.closing = "", time.Time{}
}

// try requests a retraining, or holds it back.
func (r *simulated) try(a *attempt) {
	at := a.next
	step := api.RetrainStep{At: at, Cause: a.cause, Version: a.version, Role: a.role, Segment: a.segment, Began: a.began, Features: append([]string{}, a.features...)}
	why, end := r.held(&a.episode, at)
	if why == "" {
		r.request(&step)
		a.next, a.tried = time.Time{}, ""
		if a.cause == api.CauseSchedule {
			r.retry = time.Time{}
		}
		r.out.Steps = append(r.out.Steps, step)
		return
	}
	a.next = time.Time{}
	switch {
	case a.cause == api.CauseManual || end.IsZero():
	case a.cause == api.CauseSchedule:
		a.next = end
	default:
		a.next = r.onGrid(&a.episode, end)
		if !a.until.IsZero() && !a.next.Before(a.until) {
			a.next = time.Time{} // the problem is over before
		}
	}
	if step.HeldBack, step.Retry = why, a.next; why != a.tried {
		r.out.Steps = append(r.out.Steps, step)
	}
	a.tried = why
	if a.cause == api.CauseSchedule && a.next.IsZero() {
		a.next = r.Until.Add(1) // never again
	}
}

// request makes a request.
func (r *simulated) request(step *api.RetrainStep) {
	made := api.RetrainMade{ID: fmt.Sprintf("simulated-%d", r.out.Requests+1), At: step.At, Cause: step.Cause, Version: step.Version}
	r.err = r.Holds.Apply(requested(made, r.h.model))
	r.out.Requests++
	r.open, r.closing, r.last = made.ID, step.At.Add(time.Duration(r.Policy.Training)), step.At
	step.Closed = r.closing
	if step.Cause != api.CauseManual {
		r.spent = append(r.spent, step.At)
	}
}

// held returns why a request is held back at a time, and when that is over, zero if it is not known. The reasons are those of the gateway,
// in the same order.
func (r *simulated) held(x *episode, at time.Time) (why string, end time.Time) {
	coolDown := time.Duration(r.Policy.CoolDown)
	if x.cause == api.CauseManual {
		coolDown = 0
	}
	switch _, why := r.Holds.HeldBack(r.h.model, at, coolDown, r.Expire); why {
	case "":
	case api.HeldBackCoolDown:
		return why, r.closed.Add(coolDown)
	default:
		return why, r.closing
	}
	if x.cause == api.CauseDrift { // what the stream's own detector knows comes first
		if end, bad := r.h.bad.of(x.place).during(at); bad {
			return api.HeldBackQuality, end
		}
		if r.Policy.Unpromised != api.UnpromisedAsk && (x.promised.IsZero() || at.Before(x.promised)) {
			return api.HeldBackUnpromised, x.promised
		}
	}
	if end, bad := r.h.bad.during(at); bad {
		return api.HeldBackQuality, end
	}
	if x.cause == api.CauseManual {
		return "", end
	}
	if end, runs := r.h.rollouts.during(at); runs {
		return api.HeldBackRollout, end
	}
	if n := r.Policy.Budget; n > 0 && len(r.spent) >= n && r.spent[len(r.spent)-n].After(at.Add(-week)) {
		return api.HeldBackBudget, r.spent[len(r.spent)-n].Add(week)
	}
	if n := r.Policy.MinLabels; n > 0 && r.Labels(at.Add(-time.Duration(r.Policy.Lookback)), at) < int64(n) {
		return api.HeldBackLabels, at.Add(labelsEvery)
	}
	return "", time.Time{}
}

// note adds what the simulation cannot know.
func (r *simulated) note(format string, args ...any) {
	r.out.Notes = append(r.out.Notes, fmt.Sprintf(format, args...))
}
