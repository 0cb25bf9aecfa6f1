package rollout

import (
	"fmt"
	"slices"
	"time"

	"sluice.io/sluice/api"
)

// RouteOf returns the route that a rollout wants now. It depends on the rollout alone.
func RouteOf(r *api.Rollout) api.Route {
	state := r.State
	if state == api.RolloutPaused {
		state = r.Paused
	}
	route := r.Before
	route.Variants = slices.Clone(route.Variants)
	route.Shadows = slices.DeleteFunc(slices.Clone(route.Shadows), func(s api.Shadow) bool {
		return s.Version == r.Spec.Version && state != api.RolloutRolledBack && state != api.RolloutAborting
	})
	old := stableOf(&r.Before)
	switch state {
	case api.RolloutValidating, api.RolloutAwaiting:
		route.Variants = append(route.Variants, api.Variant{Version: r.Spec.Version, Role: api.RoleCanary}) // it loads, and gets nothing
	case api.RolloutShadowing:
		route.Shadows = append(route.Shadows, api.Shadow{Version: r.Spec.Version, Sample: r.Spec.Shadow.Sample})
	case api.RolloutCanary:
		control := Control(r.Weight)
		route.Variants = []api.Variant{
			{Version: old, Weight: api.TotalWeight - r.Weight - control, Role: api.RoleStable},
			{Version: r.Spec.Version, Weight: r.Weight, Role: api.RoleCanary},
			{Version: old, Weight: control, Role: api.RoleControl},
		}
	case api.RolloutBaking: // the former version stays loaded, and can have the traffic back at once, as in CANARY
		route.Variants = []api.Variant{{Version: old, Role: api.RoleStable}, {Version: r.Spec.Version, Weight: api.TotalWeight, Role: api.RoleCanary}}
	case api.RolloutCompleted:
		route.Variants = []api.Variant{{Version: r.Spec.Version, Weight: api.TotalWeight, Role: api.RoleStable}}
	default: // as it was before
	}
	return route
}

// Control returns the weight of the control of a canary: as large if there is enough.
func Control(weight int) int { return min(weight, api.TotalWeight-weight) }

// stableOf returns the version that is stable in a route.
func stableOf(route *api.Route) int64 {
	i, _ := route.Stable()
	return route.Variants[i].Version
}

// same reports whether a route serves what another one does.
func same(a, b *api.Route) bool {
	return slices.Equal(a.Variants, b.Variants) && slices.Equal(a.Shadows, b.Shadows)
}

// step is what to do next, and why.
type step struct {
	state string // "" is to go on as before
	index int    // of the step, in the state CANARY
	why   string
}

// seen is what a decision depends on, beside the rollout and its evidence.
type seen struct {
	counts Counts
	now    time.Time
}

// begun returns the first step after the checks of a version and the approvals.
func begun(r *api.Rollout) step {
	if r.Spec.Shadow.Sample > 0 {
		return step{state: api.RolloutShadowing, why: fmt.Sprintf("version %d gets copies of %s of the requests", r.Spec.Version, api.Percent(r.Spec.Shadow.Sample))}
	}
	return canary(r, 0, "")
}

// canary returns the step of an index.
func canary(r *api.Rollout, index int, why string) step {
	if why != "" {
		why = "; " + why
	}
	return step{state: api.RolloutCanary, index: index, why: fmt.Sprintf("version %d gets %s of the requests%s", r.Spec.Version, api.Percent(r.Spec.Steps[index].Weight), why)}
}

// decide returns what follows from what was seen.
func decide(r *api.Rollout, s *seen) step {
	over := func(d api.Duration) bool { return s.now.Sub(r.SinceAt) >= time.Duration(d) }
	switch r.State {
	case api.RolloutShadowing:
		for i := range r.Evidence {
			if e := &r.Evidence[i]; e.Guardrail == api.GuardrailAgreement && e.Verdict == api.VerdictRegress {
				return step{state: api.RolloutAborting, why: e.Why}
			}
		}
		if over(r.Spec.Shadow.For) {
			return canary(r, 0, "")
		}
	case api.RolloutCanary:
		return decideCanary(r, s, over(r.Spec.Steps[r.Step].For))
	case api.RolloutBaking:
		if why := floor(r, &s.counts.Canary, &Count{}); why != "" {
			return step{state: api.RolloutAborting, why: why}
		}
		if over(r.Spec.Bake) {
			return step{state: api.RolloutCompleted, why: fmt.Sprintf("version %d has had all requests for %v, and is stable", r.Spec.Version, time.Duration(r.Spec.Bake))}
		}
	}
	return step{}
}

func decideCanary(r *api.Rollout, s *seen, over bool) step {
	if why := floor(r, &s.counts.Canary, &s.counts.Control); why != "" {
		return step{state: api.RolloutAborting, why: why}
	}
	pass, open := true, ""
	for i := range r.Evidence {
		e := &r.Evidence[i]
		switch {
		case e.Verdict == api.VerdictRegress && e.Guardrail == api.GuardrailSplit:
			return step{state: api.RolloutPaused, why: e.Why}
		case e.Verdict == api.VerdictRegress:
			return step{state: api.RolloutAborting, why: e.Why}
		case e.Guardrail == api.GuardrailLoss || e.Guardrail == api.GuardrailAgreement: // labels come late, and copies no more
		case e.Verdict != api.VerdictPass && pass:
			pass, open = false, e.Why
		}
	}
	last := r.Step == len(r.Spec.Steps)-1
	enough := r.Answered >= r.Spec.MinRequests
	next := func(why string) step {
		if last {
			return promoted(r, why)
		}
		return canary(r, r.Step+1, why)
	}
	switch {
	case enough && pass:
		return next("all guardrails pass")
	case !over:
		return step{}
	case enough && !last:
		return next("no guardrail regresses")
	case !enough:
		open = fmt.Sprintf("the canary has %d requests in this step, expected %d", r.Answered, r.Spec.MinRequests)
	}
	switch r.Spec.Inconclusive {
	case api.InconclusiveShip:
		return next("inconclusive, but the plan says ship: " + open)
	case api.InconclusiveAbort:
		return step{state: api.RolloutAborting, why: "inconclusive: " + open}
	default:
		return step{state: api.RolloutPaused, why: "inconclusive: " + open}
	}
}

func promoted(r *api.Rollout, why string) step {
	return step{state: api.RolloutBaking, why: fmt.Sprintf("version %d gets all requests; %s", r.Spec.Version, why)}
}

// floor returns why a version must not serve any more, whatever the statistics say, "" if it may. If the
// control fails nearly as often, the version is not the cause.
func floor(r *api.Rollout, v, control *Count) string {
	recent := v.Recent
	bad := recent.Rate()
	switch {
	case control.Recent.Rate() > bad/2 || control.Open:
		return ""
	case v.Open:
		return fmt.Sprintf("the breaker of version %d is open", r.Spec.Version)
	case recent.Requests >= r.Spec.Floor.MinRequests && bad >= r.Spec.Floor.Errors:
		return fmt.Sprintf("floor: version %d failed %s of the last %d requests", r.Spec.Version, percent(bad), recent.Requests)
	}
	return ""
}
