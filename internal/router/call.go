package router

import (
	"context"
	"errors"
	"sync"
	"time"

	"sluice.io/sluice/internal/infer"
)

// call is one request on its way to a version. It is pooled together with its method value for
// the breaker, which would cost an allocation each time.
type call struct {
	ctx  context.Context //nolint:containedctx // of the request that the call is for
	req  *infer.Request
	pick pick
	run  func() (*infer.Response, error) // the method value of watched

	target  *Target // the target that is tried now
	resp    *infer.Response
	err     error
	elapsed time.Duration // since the request arrived
	verdict error         // the verdict for the breaker
	late    bool          // the verdict counts when the run has ended
	retired bool          // the version was retired between pick and lease; nothing ran
}

var calls = sync.Pool{New: func() any {
	c := new(call)
	c.run = c.watched
	return c
}}

func newCall(ctx context.Context, req *infer.Request, p pick) *call {
	c := calls.Get().(*call)
	c.ctx, c.req, c.pick = ctx, req, p
	return c
}

func (c *call) recycle() {
	*c = call{run: c.run}
	calls.Put(c)
}

// errElsewhere is the error that a variant observes for a request that it could not serve.
var errElsewhere error = infer.Errorf(infer.Unavailable, "the variant could not serve")

// serve sets the result.
func (c *call) serve() {
	p := &c.pick
	if p.variant == nil {
		p.served(c.req, p.target.Model.Version, p.reason)
		c.send(p.target, false)
		if c.err != nil || c.retired {
			return
		}
		c.keep(string(p.reason)) // pinned, override or default
		if e := p.entry; p.target == e.Default && p.reason != infer.ReasonOverride {
			e.Taps.offer(c.req, c.resp)
		}
		return
	}
	p.served(c.req, p.variant.Version, p.reason)
	own := c.send(p.target, true)
	if !own {
		own = c.instead()
	}
	if c.retired {
		return
	}
	if p.variant.Observe != nil {
		err := c.err
		if !own { // whichever version answered, for the variant it is a failure
			err = errElsewhere
		}
		p.variant.Observe(c.req.Served.Reason, err, c.elapsed)
	}
	if c.err != nil {
		return
	}
	if own {
		c.keep(p.variant.Role)
		p.variant.Taps.offer(c.req, c.resp)
	} else {
		c.keep(string(infer.ReasonFallback))
	}
	p.entry.copyToShadows(c.req, c.resp)
}

// keep offers the answer to the Keeper and the Capturer of the version that made it.
func (c *call) keep(role string) {
	if k := c.target.Keeper; k != nil {
		k.Keep(c.req, c.resp, role)
	}
	if t := c.target.Capture; t != nil {
		t.Capture(c.req, c.resp, role, c.elapsed)
	}
}

// instead lets another version serve for a variant that cannot. If there is none, the result is
// an error. own says that the variant's version itself served after all.
func (c *call) instead() (own bool) {
	p := &c.pick
	route := p.entry.Route
	if f := route.Fallback; f != nil && !f.sameVersion(p.target) {
		p.served(c.req, f.Model.Version, infer.ReasonFallback)
		if c.send(f, true) {
			return false
		}
	}
	// If every variant's breaker is open, breakers no longer say which version is better. The
	// stable version then serves whatever its own breaker says (Envoy's panic threshold).
	if stable := route.stable().Target; stable != nil && route.allOpen(p.target) {
		if own = stable.sameVersion(p.target); own {
			p.served(c.req, p.variant.Version, p.reason)
		} else {
			p.served(c.req, stable.Model.Version, infer.ReasonFallback)
		}
		return c.send(stable, false) && own
	}
	p.served(c.req, p.variant.Version, p.reason)
	why := "its breaker is open"
	if p.target == nil {
		why = "it is not loaded"
	}
	c.elapsed = time.Since(c.req.Arrived)
	c.err = infer.Errorf(infer.Unavailable, "version %d of route '%s' cannot serve, since %s, and no fallback can; try again later", p.variant.Version, p.entry.Name, why)
	return false
}

// allOpen reports whether the breaker of every variant with traffic is open. It leaves out own
// and the fallback, which have just refused: their breakers may have closed since.
func (r *Route) allOpen(own *Target) bool {
	for i := range r.Variants {
		t := r.Variants[i].Target
		if r.Variants[i].Weight == 0 || t == nil || t.sameVersion(own) || t.sameVersion(r.Fallback) {
			continue
		}
		if t.Breaker == nil || t.Breaker.closed() {
			return false
		}
	}
	return true
}

// send lets a target serve, through its breaker if guarded. It is false if nothing ran: the
// target is missing, or its breaker refused.
func (c *call) send(t *Target, guarded bool) bool {
	if t == nil {
		return false
	}
	if !t.Leased.Acquire() {
		c.retired = true
		return true
	}
	defer t.Leased.Release()
	c.target = t
	if c.err = t.Model.Check(c.req); c.err != nil {
		c.elapsed = time.Since(c.req.Arrived)
	} else if !guarded || t.Breaker == nil {
		c.predict()
	} else if !t.Breaker.run(c) {
		return false
	}
	if t.Observe != nil {
		t.Observe(c.req, c.err, c.elapsed)
	}
	return true
}

func (c *call) predict() {
	c.resp, c.err = c.target.Leased.Predict(c.ctx, c.req)
	c.elapsed = time.Since(c.req.Arrived)
}

// watched is predict for a breaker; it returns the verdict.
func (c *call) watched() (*infer.Response, error) {
	c.predict()
	if c.verdict = c.judge(); errors.Is(c.verdict, errFailed) {
		err := c.err
		c.target.Breaker.last.Store(&err)
	}
	// A probe's verdict is needed to free its place, and counts whenever the probe began.
	if b := c.target.Breaker; c.elapsed >= b.part && !errors.Is(c.verdict, errNotCounted) && b.closed() {
		c.late = true
		return nil, errNotCounted
	}
	return nil, c.verdict
}
