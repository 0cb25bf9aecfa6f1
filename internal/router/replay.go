package router

import (
	"context"
	"math"

	"sluice.io/sluice/internal/infer"
)

// Replay lets the version that the request names answer it, after the requests of callers that
// wait. Only Replayed of the version learns of it: no route, breaker, tap, shadow or store does.
// Errors are those of Predict for a version in the path.
func (r *Router) Replay(ctx context.Context, req *infer.Request) (*infer.Response, error) {
	req.Replay, req.Priority = true, math.MaxInt
	for range attempts {
		e := r.table.Load().entry(req)
		if e == nil {
			return nil, unknown(req.Model, req.Version)
		}
		p, err := e.pickVersion(req.Version, infer.ReasonPinned)
		if err != nil {
			return nil, err
		}
		if !p.target.Leased.Acquire() {
			continue
		}
		p.served(req, req.Version, infer.ReasonPinned)
		return p.target.replay(ctx, req)
	}
	return nil, infer.Errorf(infer.Unavailable, "model '%s' is being replaced, try again", req.Model)
}

// replay answers a request and ends its lease.
func (t *Target) replay(ctx context.Context, req *infer.Request) (resp *infer.Response, err error) {
	defer t.Leased.Release()
	if err = t.Model.Check(req); err == nil {
		resp, err = t.Leased.Predict(ctx, req)
	}
	if t.Replayed != nil {
		t.Replayed(err)
	}
	return resp, err
}
