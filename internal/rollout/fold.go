package rollout

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sluice.io/sluice/api"
)

// kept is how many ended rollouts of a route are in memory. The journal has all.
const kept = 20

// Fold is the rollouts in the journal.
type Fold struct{ routes map[string]*past }

// past are the rollouts of a route, the last one first.
type past struct {
	Rollouts []api.Rollout `json:"rollouts"`
}

// NewFold returns a Fold without events.
func NewFold() *Fold { return &Fold{routes: map[string]*past{}} }

// subject of the events about a route's rollouts.
const subject = "rollouts/"

// Apply implements journal.Fold. It ignores events that are not about rollouts.
func (f *Fold) Apply(e api.Event) error {
	name, ok := strings.CutPrefix(e.Subject, subject)
	if !ok || !strings.HasPrefix(e.Type, "rollout.") {
		return nil
	}
	var r api.Rollout
	if err := json.Unmarshal(e.After, &r); err != nil {
		return fmt.Errorf("event %d: %w", e.Seq, err)
	}
	if i, _ := r.Before.Stable(); i < 0 || r.Spec.Route != name || r.Step < 0 || r.Step >= len(r.Spec.Steps) {
		return fmt.Errorf("event %d is not a rollout of route '%s'", e.Seq, name)
	}
	f.set(&r)
	return nil
}

func (f *Fold) set(r *api.Rollout) {
	p := f.routes[r.Spec.Route]
	if p == nil {
		p = &past{}
		f.routes[r.Spec.Route] = p
	}
	if len(p.Rollouts) == 0 || p.Rollouts[0].Number != r.Number {
		p.Rollouts = append([]api.Rollout{*r}, p.Rollouts[:min(len(p.Rollouts), kept-1)]...)
		return
	}
	p.Rollouts = slices.Clone(p.Rollouts) // readers may have the former list
	p.Rollouts[0] = *r
}

// past returns the last rollouts of a route, the newest first. The list does not change.
func (f *Fold) past(route string) []api.Rollout {
	if p := f.routes[route]; p != nil {
		return p.Rollouts
	}
	return nil
}

// last returns the last rollout of a route, nil if there was none.
func (f *Fold) last(route string) *api.Rollout {
	if p := f.routes[route]; p != nil {
		return &p.Rollouts[0]
	}
	return nil
}

// Snapshot implements journal.Fold.
func (f *Fold) Snapshot() ([]byte, error) { return json.Marshal(f.routes) }

// Restore implements journal.Fold.
func (f *Fold) Restore(state []byte) error {
	routes := map[string]*past{}
	if err := json.Unmarshal(state, &routes); err != nil {
		return err
	}
	for name, p := range routes {
		if p == nil || len(p.Rollouts) == 0 {
			return fmt.Errorf("route '%s' has no rollouts", name)
		}
	}
	f.routes = routes
	return nil
}

// names returns the routes that have or had a rollout, sorted.
func (f *Fold) names() []string { return slices.Sorted(maps.Keys(f.routes)) }
