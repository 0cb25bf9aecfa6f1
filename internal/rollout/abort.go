package rollout

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// wish is an abort that somebody has asked for.
type wish struct {
	by  api.Actor
	why string
}

// aborted makes the state of a rollout ABORTING, which is not in the journal yet.
func aborted(r *api.Rollout, why string) {
	r.State, r.Why, r.SinceAt, r.Weight, r.Paused, r.Durable = api.RolloutAborting, why, time.Now(), 0, "", false
	r.Halted = false // which is what the state says
}

// Abort stops all traffic to the canary of a rollout at once, whatever the rollout waits for. The route is restored as soon as the journal
// can be written. Abort returns within a second: a rollout that is not durable is then not written yet. Errors: Conflict if no
// rollout of the route runs, Unavailable if its last event is being written.
func (c *Controller) Abort(ctx context.Context, route string, by api.Actor) (api.Rollout, error) {
	w := wish{by, "aborted: " + orNoReason(by.Reason)}
	r, err := c.ask(route, w)
	if err != nil {
		return api.Rollout{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	now, err := r.do(ctx, func(r *runner) error { r.abort(w.by, w.why); return nil })
	if err == nil {
		return now, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	past := c.fold.past(route)
	at := slices.IndexFunc(past, func(p api.Rollout) bool { return p.ID == r.id })
	switch {
	case at >= 0 && (past[at].State == api.RolloutAborting || past[at].State == api.RolloutRolledBack):
		return past[at], nil // it waits for the journal, or has ended before it could answer
	case r.completing:
		return api.Rollout{}, infer.Errorf(infer.Unavailable, "rollout '%s' is complete, and its last event is being written: start a rollout to the former version, or set the route", r.id)
	}
	return api.Rollout{}, err
}

// ask notes an abort for the goroutine of a rollout, and stops traffic to its canary.
func (c *Controller) ask(route string, w wish) (*runner, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.active[route]
	if r == nil {
		return nil, infer.Errorf(infer.Conflict, "no rollout of route '%s' runs", route)
	}
	if r.completing {
		return r, nil
	}
	if r.asked == nil {
		r.asked = &w
	}
	now := *c.fold.last(route)
	c.set(&now)
	c.opts.Traffic.Halt(route, now.Spec.Version, true)
	if c.setMark(r.id, true) {
		select {
		case c.toSave <- struct{}{}:
		default: // it will be saved anyway
		}
	}
	return r, nil
}

// haltAborted stops traffic to the canaries of rollouts that are aborted, and may wait for the journal: again and again, since their routes
// may be new.
func (c *Controller) haltAborted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for route := range c.active {
		if last := c.fold.last(route); last.State == api.RolloutAborting {
			c.opts.Traffic.Halt(route, last.Spec.Version, true)
		}
	}
}

// takeAsked begins the abort that was asked for, if there is one.
func (r *runner) takeAsked() {
	r.c.mu.Lock()
	w := r.asked
	r.asked = nil
	r.c.mu.Unlock()
	if w != nil {
		r.abort(w.by, w.why)
	}
}

// allow lets requests through to the canary, unless an abort was asked for.
func (r *runner) allow() {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	if r.asked == nil {
		r.c.opts.Traffic.Halt(r.now.Spec.Route, r.now.Spec.Version, false)
	}
}

// complete notes that the last event is about to be written. It is false if an abort was asked for before.
func (r *runner) complete() bool {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.completing = r.asked == nil
	return r.completing
}

func (r *runner) notCompleting() {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.completing = false
}

// abort stops traffic to the canary now. The event is written and the route restored as soon as possible.
func (r *runner) abort(by api.Actor, why string) {
	r.c.opts.Traffic.Halt(r.now.Spec.Route, r.now.Spec.Version, true)
	if r.now.State == api.RolloutAborting || r.now.Final() {
		return
	}
	r.stopSettingSoon()
	aborted(&r.now, why)
	r.pending = append(r.pending, pendingNote{api.EventRolloutAborted, by})
	r.show()
	r.log.Warn("rollout aborted", zap.String("why", why), zap.String("actor", by.Actor))
	r.mark()
	r.writePending()
}

// distrust pauses a rollout that was aborted before the gateway ended, if that is not in the journal.
func (r *runner) distrust() {
	if r.now.State != api.RolloutPaused {
		r.now.Paused, r.now.State = r.now.State, api.RolloutPaused
	}
	r.now.Why = fmt.Sprintf("aborted, but the gateway ended before that was in the journal; version %d gets no requests until the rollout is resumed, promoted or aborted", r.now.Spec.Version)
	r.now.SinceAt, r.now.Halted, r.now.Durable = time.Now(), true, false
	r.pending = append(r.pending, pendingNote{api.EventRolloutPaused, byGateway("restart")})
	r.show()
}

// stopSettingSoon gives a change of the route up without waiting for it.
func (r *runner) stopSettingSoon() {
	if r.setting != nil {
		r.setting.cancel()
	}
}

// setMark notes that a rollout was aborted, or that this is in the journal. It reports whether the file of marks must be written. c.mu
// must be held.
func (c *Controller) setMark(id string, aborted bool) bool {
	if c.opts.Marks == nil || c.marked[id] == aborted {
		return false
	}
	if c.marked[id] = aborted; !aborted {
		delete(c.marked, id)
	}
	c.unsaved = true
	return true
}

// mark has the file of marks name the rollout, which is aborted.
func (r *runner) mark() {
	r.c.mu.Lock()
	r.c.setMark(r.id, true)
	r.c.mu.Unlock()
	r.c.saveMarks() // it waits if that is being done
}

// unmark has the file of marks leave the rollout out, unless an abort was asked for that is not in the journal yet.
func (r *runner) unmark() {
	r.c.mu.Lock()
	changed := (r.asked == nil || r.now.Final()) && r.c.setMark(r.id, false)
	r.c.mu.Unlock()
	if changed {
		r.c.saveMarks()
	}
}

// saveMarks writes the file of marks, unless it has all of them.
func (c *Controller) saveMarks() {
	c.marking.Lock()
	defer c.marking.Unlock()
	c.mu.Lock()
	ids, unsaved := slices.Sorted(maps.Keys(c.marked)), c.unsaved
	c.unsaved = false
	c.mu.Unlock()
	if !unsaved {
		return
	}
	if err := c.opts.Marks.Set(ids); err != nil {
		c.log.Error("the file of aborted rollouts cannot be written", zap.Strings("rollouts", ids), zap.Error(err))
	}
}

// keepMarks writes the marks of aborts whose rollouts wait for the journal, until ctx ends.
func (c *Controller) keepMarks(ctx context.Context) {
	for {
		select {
		case <-c.toSave:
			c.saveMarks()
		case <-ctx.Done():
			return
		}
	}
}
