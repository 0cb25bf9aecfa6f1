// Package router picks the version that serves a request.
//
// A table has all that a request needs. A change is a new table, swapped in with one atomic
// store. A request takes a lease on the loaded version that it was given, not on the table.
//
//	pick:   version in the path → override → slot of the key → chance
//	serve:  the variant's version, through its breaker
//	        ─ refused → the route's fallback, through its own
//	                  ─ refused, and every variant's breaker open → the stable version, past its breaker
//	then:   call the observers; offer copies to the shadows
package router

import (
	"context"
	"sync/atomic"
	"time"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/slot"
)

// Router serves requests from the current table. The zero value is not usable.
type Router struct {
	table atomic.Pointer[Table]
}

// New returns a router with an empty table.
func New() *Router {
	r := &Router{}
	r.Swap(NewTable(nil))
	return r
}

// Swap replaces the table. Requests that have already picked are not affected.
func (r *Router) Swap(t *Table) { r.table.Store(t) }

// attempts is how often a request picks again if its version was retired between pick and
// lease. Each needs another change in that instant.
const attempts = 5

// Predict picks a version, checks the request against its signature and lets it serve.
// req.Served says which version was picked, also if there is an error. Errors are *infer.Error:
// NotFound for an unknown name or version, Unavailable while nothing is loaded yet or a breaker
// is open, Invalid if the request does not match
// the signature, and the errors of the version.
func (r *Router) Predict(ctx context.Context, req *infer.Request) (*infer.Response, error) {
	if req.Arrived.IsZero() {
		req.Arrived = time.Now()
	}
	for range attempts {
		p, err := r.table.Load().pick(req)
		if err != nil {
			req.Served = infer.Served{} // an earlier pick is no longer served
			return nil, err
		}
		c := newCall(ctx, req, p)
		c.serve()
		resp, err, retired := c.resp, c.err, c.retired
		c.recycle() // not deferred: after a panic the version may still use it
		if !retired {
			return resp, err
		}
	}
	return nil, infer.Errorf(infer.Unavailable, "model '%s' is being replaced, try again", req.Model)
}

// served sets Served for the answer's headers.
func (p *pick) served(req *infer.Request, version int64, reason infer.Reason) {
	req.Served = infer.Served{
		Version: infer.Version{Model: p.entry.Model, Number: version}, Route: p.entry.revision, Reason: reason,
	}
}

// copyToShadows offers an answered request to the route's shadows. Whether one is copied
// depends only on the request's id, so every gateway and every replay copies the same requests.
func (e *Entry) copyToShadows(req *infer.Request, resp *infer.Response) {
	if len(e.Route.Shadows) == 0 {
		return
	}
	number := slot.Slot("shadow", req.RequestID)
	for i := range e.Route.Shadows {
		if s := &e.Route.Shadows[i]; number < s.Sample {
			s.Copy.Offer(req, resp)
		}
	}
}

// Called returns the signature and settings that are needed before a request to the name is
// parsed. The errors are those of Predict.
func (r *Router) Called(name string, version int64) (infer.Called, error) {
	e := r.table.Load().entries[name]
	if e == nil {
		return infer.Called{}, unknown(name, version)
	}
	if version != 0 {
		p, err := e.pickVersion(version, infer.ReasonPinned)
		if err != nil {
			return infer.Called{}, err
		}
		return infer.Called{Model: p.target.Model, Columns: p.target.Columns, SegmentParameter: e.Segment, DriftParameter: e.DriftParameter, KeepParameters: e.KeepParameters, Handle: e}, nil
	}
	if e.called.Model == nil {
		return infer.Called{}, e.missing(0)
	}
	return e.called, nil
}

// Model returns the signature that serves name; version 0 means the default version. The errors
// are those of Predict.
func (r *Router) Model(name string, version int64) (*infer.Model, error) {
	called, err := r.Called(name, version)
	return called.Model, err
}

// Only returns the single name that is served or loading. It is empty if there are none or
// several.
func (r *Router) Only() string { return r.table.Load().only }

// Ready returns nil if requests to name find a version that serves, and otherwise the reason
// why not. Version 0 means any version. Breakers do not matter.
func (r *Router) Ready(name string, version int64) error {
	e := r.table.Load().entries[name]
	switch {
	case e == nil:
		return unknown(name, version)
	case version != 0:
		_, err := e.pickVersion(version, infer.ReasonPinned)
		return err
	case e.Route == nil && e.Default == nil || e.Route != nil && e.Route.serving() == nil:
		return e.missing(0)
	}
	return nil
}

// Versions returns the numbers of the versions that can serve name, ascending.
func (r *Router) Versions(name string) []int64 {
	e := r.table.Load().entries[name]
	if e == nil {
		return nil
	}
	versions := make([]int64, len(e.Targets))
	for i, target := range e.Targets {
		versions[i] = target.Model.Version
	}
	return versions
}
