package reconcile

import (
	"context"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// change is a requested change that may have to wait for loads. It is made completely or not
// at all.
type change struct {
	// ctx is the context of the caller. If it ends, the change is not made, unless outlives
	// is set.
	ctx      context.Context //nolint:containedctx // of the one change
	outlives bool
	// begin is called once, before the first attempt. It may be nil.
	begin func()
	// goal returns what should serve. It is called again at each attempt, since there may
	// have been other changes, and fails if one of them conflicts.
	goal func() (*goal, error)
	// retry selects the failed versions to retry.
	retry func(infer.Version) bool
	// awaits selects the loads of the goal that the change waits for. If it is nil, the change
	// waits for the loads that the current transition does not wait for.
	awaits func(infer.Version) bool
	// finish commits or refuses the change after the loads have ended.
	finish func(t *transition) error

	held *transition // holds the loads that the change waits for
	done chan error
}

// do requests a change, and waits until it is made or refused.
func (r *Reconciler) do(ctx context.Context, c *change) error {
	c.ctx, c.done = ctx, make(chan error, 1)
	defer context.AfterFunc(ctx, r.wake)() // the loop drops a change without a caller
	err := r.command(ctx, func() {
		if c.begin != nil {
			c.begin()
			r.stale = true
		}
		r.changes = append(r.changes, c)
		r.pass()
	})
	if err != nil {
		return err
	}
	if !c.outlives {
		return <-c.done // at the latest soon after ctx has ended, since the loop never waits for a model
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end gives the outcome of a change to its caller.
func (r *Reconciler) end(c *change, err error) {
	r.release(c.held)
	c.done <- err
}

// tryChanges tries each waiting change, the oldest first.
func (r *Reconciler) tryChanges() {
	waiting := r.changes
	r.changes = nil
	for _, c := range waiting {
		if ended, err := r.try(c); ended {
			r.end(c, err)
		} else {
			r.changes = append(r.changes, c)
		}
	}
}

// try commits or refuses a change unless it has to wait.
func (r *Reconciler) try(c *change) (ended bool, err error) {
	if err := c.ctx.Err(); err != nil && !c.outlives {
		return true, infer.Errorf(infer.CodeOf(err), "the versions were not ready in time; nothing was changed")
	}
	g, err := c.goal()
	if err != nil {
		return true, err
	}
	t := r.plan(g, c.retry)
	c.retry = nil
	r.release(c.held)
	c.held = t
	if r.waits(c, t) {
		return false, nil
	}
	return true, c.finish(t)
}

// waits reports whether a change has to wait for loads.
func (r *Reconciler) waits(c *change, t *transition) bool {
	if c.awaits == nil {
		return len(t.awaits(r.current)) > 0
	}
	return slices.ContainsFunc(t.awaits(nil), c.awaits)
}
