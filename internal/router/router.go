// Package router picks the version that serves a request.
//
// Everything a request needs is resolved when a Table is built; a change is a
// new table, swapped in with one atomic store. A request takes a lease on the
// instance it was given, not on the table.
package router

import (
	"context"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Instance is a loaded version with a count of its users.
type Instance interface {
	Predict(ctx context.Context, req *infer.Request) (*infer.Response, error)
	Acquire() bool // false where it was retired
	Release()
}

// Target is a version that can serve.
type Target struct {
	Model    *infer.Model
	Instance Instance
	// Observe is told of each request that was sent here, when it has ended. It
	// must not block; it may be nil.
	Observe func(req *infer.Request, code infer.Code, elapsed time.Duration)

	pinned, standard infer.Served
}

// Entry is a model with what can serve it.
type Entry struct {
	Name    string
	Targets []*Target // in any order; empty where no version can serve
	Loading bool      // a version is on its way
}

// Table is the immutable answer to "who serves this name".
type Table struct {
	entries map[string]*Entry
}

// NewTable builds a table; it keeps the entries and sorts their targets.
func NewTable(entries []*Entry) *Table {
	t := &Table{entries: make(map[string]*Entry, len(entries))}
	for _, e := range entries {
		slices.SortFunc(e.Targets, func(a, b *Target) int { return int(min(1, max(-1, a.Model.Version-b.Model.Version))) })
		for _, target := range e.Targets {
			served := infer.Served{
				Version: infer.Version{Model: target.Model.Name, Number: target.Model.Version},
				Route:   e.Name + "@0",
			}
			target.pinned, target.standard = served, served
			target.pinned.Reason, target.standard.Reason = infer.ReasonPinned, infer.ReasonDefault
		}
		t.entries[e.Name] = e
	}
	return t
}

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

// Swap replaces the table; requests that already picked are not affected.
func (r *Router) Swap(t *Table) { r.table.Store(t) }

// Predict picks a version, checks the request against its signature and lets it
// serve. req.Served says who was picked, on errors too. Errors are *infer.Error:
// NotFound for an unknown name or version, Unavailable while nothing is loaded
// yet, Invalid where the request does not fit, and whatever the version answers.
func (r *Router) Predict(ctx context.Context, req *infer.Request) (*infer.Response, error) {
	if req.Arrived.IsZero() {
		req.Arrived = time.Now()
	}
	target, err := r.lease(req)
	if err != nil {
		return nil, err
	}
	defer target.Instance.Release()
	var resp *infer.Response
	if err = target.Model.Check(req); err == nil {
		resp, err = target.Instance.Predict(ctx, req)
	}
	if target.Observe != nil {
		target.Observe(req, infer.CodeOf(err), time.Since(req.Arrived))
	}
	return resp, err
}

// lease picks a target and takes a lease on it. Where the instance was retired
// between the two, the current table has a better one: once more is enough, but
// for a swap that removes the version in between.
func (r *Router) lease(req *infer.Request) (*Target, error) {
	for range 2 {
		target, err := r.table.Load().pick(req.Model, req.Version)
		if err != nil {
			return nil, err
		}
		if target.Instance.Acquire() {
			req.Served = target.standard
			if req.Version != 0 {
				req.Served = target.pinned
			}
			return target, nil
		}
	}
	return nil, infer.Errorf(infer.Unavailable, "model '%s' is being replaced, try again", req.Model)
}

func (t *Table) pick(name string, version int64) (*Target, error) {
	e := t.entries[name]
	if e == nil {
		return nil, unknown(name, version)
	}
	if version == 0 && len(e.Targets) > 0 {
		return e.Targets[len(e.Targets)-1], nil
	}
	for _, target := range e.Targets {
		if target.Model.Version == version {
			return target, nil
		}
	}
	return nil, e.missing(version)
}

// Model returns the signature that serves name; version 0 means the default one.
// The errors are those of Predict.
func (r *Router) Model(name string, version int64) (*infer.Model, error) {
	target, err := r.table.Load().pick(name, version)
	if err != nil {
		return nil, err
	}
	return target.Model, nil
}

// Versions returns the numbers that can serve name, ascending.
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

// The texts below begin as clients of Triton expect them to.

func unknown(name string, version int64) error {
	if version != 0 {
		return infer.Errorf(infer.NotFound, "Request for unknown model: '%s' version %s is not found", name, strconv.FormatInt(version, 10))
	}
	return infer.Errorf(infer.NotFound, "Request for unknown model: '%s' is not found", name)
}

func (e *Entry) missing(version int64) error {
	switch {
	case e.Loading:
		return infer.Errorf(infer.Unavailable, "model '%s' is loading, try again", e.Name)
	case len(e.Targets) == 0:
		return infer.Errorf(infer.NotFound, "Request for unknown model: '%s' has no available versions", e.Name)
	default:
		return unknown(e.Name, version)
	}
}
