package reconcile

import (
	"context"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// change is something asked for that may have to wait for loads. It is made as a whole
// or not at all.
type change struct {
	// ctx is of those who wait for it. Once it ends the change is not made any more,
	// unless it outlives them.
	ctx      context.Context //nolint:containedctx // of the one change
	outlives bool
	// begin is called once, before the first try; it may be nil.
	begin func()
	// goal returns what is to serve. It is called anew at each try, since other changes
	// may have been made, and fails if one of them stands in the way.
	goal func() (*goal, error)
	// retry says which versions that failed before are tried again.
	retry func(infer.Version) bool
	// awaits says which loads the change waits for, among those that are needed for its
	// goal; nil for those that nothing else waits for.
	awaits func(infer.Version) bool
	// finish commits or refuses the change, once the loads have ended.
	finish func(t *transition) error

	held *transition // keeps the loads that it waits for
	done chan error
}

// do makes a change, and waits until it is made or refused.
func (r *Reconciler) do(ctx context.Context, c *change) error {
	c.ctx, c.done = ctx, make(chan error, 1)
	defer context.AfterFunc(ctx, r.wake)() // a change that nobody waits for is given up
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
		return <-c.done // soon after ctx has ended, since the loop waits for no model
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end answers those who wait for a change.
func (r *Reconciler) end(c *change, err error) {
	r.release(c.held)
	c.done <- err
}

// tryChanges tries each change that waits, in the order in which they came.
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

// try commits or refuses a change if it need not wait any more.
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

// waits reports whether a change still waits for loads.
func (r *Reconciler) waits(c *change, t *transition) bool {
	if c.awaits == nil {
		return len(t.awaits(r.current)) > 0
	}
	return slices.ContainsFunc(t.awaits(nil), c.awaits)
}
