package router

import (
	"math/rand/v2"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/slot"
)

// pick is the variant or version that a request was assigned to, and why.
type pick struct {
	entry   *Entry
	variant *Variant // nil if the request was not split: pinned, override, default
	target  *Target  // nil if the variant's version cannot serve
	reason  infer.Reason
}

// pick assigns a request. The order is: a version in the path, a version in an authorised
// header, the slot of a key, chance.
func (t *Table) pick(req *infer.Request) (pick, error) {
	e := t.entry(req)
	switch {
	case e == nil:
		return pick{}, unknown(req.Model, req.Version)
	case req.Version != 0:
		return e.pickVersion(req.Version, infer.ReasonPinned)
	case req.Override != "":
		return e.pickOverride(req)
	case e.Route == nil:
		if e.Default == nil {
			return pick{}, e.missing(0)
		}
		return pick{entry: e, target: e.Default, reason: infer.ReasonDefault}, nil
	case req.StickyKey != "":
		return e.pickSlot(slot.Slot(e.Route.Seed, req.StickyKey), infer.ReasonSticky), nil
	default:
		return e.pickSlot(rand.IntN(len(e.Route.Slots)), infer.ReasonRandom), nil //nolint:gosec // a share of the traffic is not a secret
	}
}

// entry returns the entry that a request calls, nil if there is none. The front's handle is
// used if it is of this table: a change in between counts, however slowly the body arrived.
func (t *Table) entry(req *infer.Request) *Entry {
	if e, ok := req.Handle.(*Entry); ok && e.table == t {
		return e
	}
	return t.entries[req.Model]
}

func (e *Entry) pickSlot(number int, reason infer.Reason) pick {
	variant := &e.Route.Variants[e.Route.Slots[number]]
	if variant.Halted != nil && variant.Halted.Load() {
		variant = e.Route.stable()
	}
	return pick{e, variant, variant.Target, reason}
}

func (e *Entry) pickVersion(version int64, reason infer.Reason) (pick, error) {
	target := e.target(version)
	if target == nil {
		return pick{}, e.missing(version)
	}
	return pick{entry: e, target: target, reason: reason}, nil
}

// pickOverride lets a caller choose the version. The front has checked that it may.
func (e *Entry) pickOverride(req *infer.Request) (pick, error) {
	version, ok := infer.ParseVersion(req.Override)
	if !ok {
		return pick{}, infer.Errorf(infer.Invalid, "the header Sluice-Override is not a valid version: expected a number, 1 or more")
	}
	return e.pickVersion(version, infer.ReasonOverride)
}
