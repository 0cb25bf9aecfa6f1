package router

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Leased is a loaded version with a count of its users.
type Leased interface {
	Predict(ctx context.Context, req *infer.Request) (*infer.Response, error)
	Acquire() bool // false if it was retired
	Release()
}

// Target is a version that can serve.
type Target struct {
	Model   *infer.Model
	Columns *infer.Columns
	Leased  Leased
	Timeout time.Duration // the longest time of a request here
	Breaker *Breaker      // watches the requests that routes send here; nil for none
	Keeper  Keeper        // keeps predictions that were made here; nil for none
	Capture Capturer      // copies the traffic that was served here; nil for none
	// Observe is called when a request that was sent here has ended, with its error. It must
	// not block; it may be nil.
	Observe func(req *infer.Request, err error, elapsed time.Duration)
	// Replayed is called instead when a replay has ended; it may be nil.
	Replayed func(err error)
}

// sameVersion reports whether both are the same loaded version. A control variant has a target of its own, over the version of the
// stable one.
func (t *Target) sameVersion(other *Target) bool { return other != nil && t.Model == other.Model }

// Entry is a name that can be called: a route, or a model without one.
type Entry struct {
	Name    string
	Model   string
	Targets []*Target // the versions that can serve, in any order
	Default *Target   // serves if there is no route; nil for no version
	Loading bool      // a version is being loaded
	Failed  []int64   // versions that could not be loaded
	Waits   bool      // versions were pushed, and nothing names them
	Route   *Route    // nil: Default serves
	Taps    Taps      // get the requests that Default answered if there is no route
	Segment string    // the parameter of a request that is its segment; empty for none
	// DriftParameter is the parameter of a request that is the segment of its rows for drift; empty for none.
	DriftParameter string
	// KeepParameters asks the front for the parameters of requests, which Capture of a target wants.
	KeepParameters bool

	revision string // "iris@7", as answers show it
	table    *Table // the table that it belongs to
	called   infer.Called
}

// Route splits an entry's traffic.
type Route struct {
	Revision int64
	Seed     string
	Sticky   api.Sticky
	Variants []Variant
	Slots    *Slots
	Fallback *Target // serves for a variant that cannot; nil for none
	Shadows  []Shadow
}

// Slots gives the index of the variant of each slot.
type Slots [api.TotalWeight]uint8

// NewSlots expands the ranges of a route's state. It panics unless they hold every slot exactly
// once, since such a state must have been refused earlier.
func NewSlots(ranges api.Slots) *Slots {
	const nobody = api.MaxVariants
	s, n := new(Slots), 0
	for i := range s {
		s[i] = nobody
	}
	for variant, list := range ranges {
		for _, r := range list {
			for i := r[0]; i < r[1]; i++ {
				if s[i] != nobody {
					panic("BUG: a slot is held twice: " + strconv.Itoa(i))
				}
				s[i] = uint8(variant) //nolint:gosec // at most api.MaxVariants
				n++
			}
		}
	}
	if n != len(s) {
		panic("BUG: a route's slots do not add up: " + strconv.Itoa(n))
	}
	return s
}

// Variant is a version with a weight and a role in a route.
type Variant struct {
	Version int64
	Weight  int // in slots
	Stable  bool
	Role    string  // as the Keeper gets it
	Target  *Target // nil if the version cannot serve
	// If Halted is set, the stable variant gets the requests of this one, and counts them. The flag outlives
	// the table; it is nil for a variant that cannot be halted.
	Halted *atomic.Bool
	Taps   Taps // get the requests that the variant's own version answered
	// Observe is called when a request that was assigned to the variant has ended. If the
	// fallback served it, the variant counts as unavailable whatever the fallback answered:
	// otherwise a broken canary would look well. It must not block; it may be nil.
	Observe func(reason infer.Reason, err error, elapsed time.Duration)
}

// Shadow gets copies of the requests that the route has answered.
type Shadow struct {
	Sample int // of TotalWeight
	Copy   Copier
}

// Copier copies a request and its answer, for a shadow or for drift, or drops it. It must not
// block.
type Copier interface {
	Offer(req *infer.Request, resp *infer.Response)
}

// Keeper keeps the predictions of an answered request for labels, or drops them. role is that of
// the variant whose own version answered, or else the reason why a version did: default, pinned,
// override or fallback. It must not block.
type Keeper interface {
	Keep(req *infer.Request, resp *infer.Response, role string)
}

// Capturer copies an answered request and its answer, or drops it. role is as a Keeper gets it,
// elapsed the time since the request arrived. It must not block.
type Capturer interface {
	Capture(req *infer.Request, resp *infer.Response, role string, elapsed time.Duration)
}

// Taps are the copiers of a version's answers, in any order.
type Taps []Copier

func (t Taps) offer(req *infer.Request, resp *infer.Response) {
	for _, c := range t {
		c.Offer(req, resp)
	}
}

// Table maps names to entries. It is immutable.
type Table struct {
	entries map[string]*Entry
	only    string // the single name that is served or loading; empty if there are none or several
}

// NewTable builds a table. It keeps the entries and sorts their targets.
func NewTable(entries []*Entry) *Table {
	t := &Table{entries: make(map[string]*Entry, len(entries))}
	served := 0
	for _, e := range entries {
		slices.SortFunc(e.Targets, func(a, b *Target) int { return cmp.Compare(a.Model.Version, b.Model.Version) })
		revision := int64(0)
		if e.Route != nil {
			revision = e.Route.Revision
		}
		e.revision = e.Name + "@" + strconv.FormatInt(revision, 10)
		e.table = t
		e.called.Handle, e.called.SegmentParameter, e.called.KeepParameters = e, e.Segment, e.KeepParameters
		e.called.DriftParameter = e.DriftParameter
		if front := e.front(); front != nil {
			e.called.Model, e.called.Columns = front.Model, front.Columns
		}
		if e.Route != nil {
			e.called.StickyHeader, e.called.StickyParameter = e.Route.Sticky.Header, e.Route.Sticky.Parameter
		}
		t.entries[e.Name] = e
		if e.called.Model != nil || e.Loading {
			served++
			t.only = e.Name
		}
	}
	if served != 1 {
		t.only = ""
	}
	return t
}

// stable returns the stable variant, the first if there are several. A route has one.
func (r *Route) stable() *Variant {
	for i := range r.Variants {
		if r.Variants[i].Stable {
			return &r.Variants[i]
		}
	}
	panic("BUG: a route without a stable variant")
}

// target returns the target of a version, nil if it cannot serve.
func (e *Entry) target(version int64) *Target {
	for _, t := range e.Targets {
		if t.Model.Version == version {
			return t
		}
	}
	return nil
}

// front returns a target whose signature is that of a request without a key and a version, nil
// if nothing is loaded.
func (e *Entry) front() *Target {
	if e.Route == nil {
		return e.Default
	}
	if t := e.Route.serving(); t != nil {
		return t
	}
	if e.Default == nil && len(e.Targets) > 0 {
		return e.Targets[len(e.Targets)-1] // an override may ask for it
	}
	return e.Default
}

// serving returns a target that gets requests of the route, that of the stable variant first.
// It is nil if there is none.
func (r *Route) serving() *Target {
	if t := cmp.Or(r.stable().Target, r.Fallback); t != nil {
		return t
	}
	for i := range r.Variants {
		if a := &r.Variants[i]; a.Weight > 0 && a.Target != nil {
			return a.Target
		}
	}
	return nil
}

// Clients of Triton know the beginnings of the texts below.

func unknown(name string, version int64) *infer.Error {
	if version != 0 {
		return infer.Errorf(infer.NotFound, "Request for unknown model: '%s' version %d is not found", name, version)
	}
	return infer.Errorf(infer.NotFound, "Request for unknown model: '%s' is not found", name)
}

func (e *Entry) missing(version int64) error {
	var err *infer.Error
	switch {
	case e.Loading:
		return infer.Errorf(infer.Unavailable, "model '%s' is loading, try again", e.Name)
	case version == 0 && e.Route != nil:
		err = infer.Errorf(infer.Unavailable, "no version of route '%s' is loaded, try again later", e.Name)
	case version == 0 || len(e.Targets) == 0:
		err = infer.Errorf(infer.NotFound, "Request for unknown model: '%s' has no available versions", e.Name)
	default:
		err = unknown(e.Name, version)
	}
	if err.Msg += e.failure(version); e.Waits && version == 0 {
		err.Msg += "; versions of it are registered, but no route and no alias names one"
	}
	return err
}

// failure says which versions have failed to load, and where to look. The reason itself is only
// for operators of the gateway.
func (e *Entry) failure(version int64) string {
	var which string
	switch {
	case version != 0 && slices.Contains(e.Failed, version):
		which = "it"
	case version != 0 || len(e.Failed) == 0:
		return ""
	case len(e.Failed) == 1:
		which = fmt.Sprintf("version %d", e.Failed[0])
	default:
		which = fmt.Sprintf("version %d and others", slices.Max(e.Failed))
	}
	return "; " + which + " failed to load: the repository index, gateway models list, and the log say why"
}
