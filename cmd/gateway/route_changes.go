package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sluice.io/sluice/api"
)

// changes describes the differences between two states of a route in a few words. A nil state
// means that the route is not declared.
func changes(before, after *api.Route) []string {
	switch {
	case before == nil && after == nil:
		return nil
	case before == nil:
		return append([]string{"declared: " + splitText(after.Variants)}, settingChanges(&api.Route{Name: after.Name, Model: after.Name, Seed: after.Name}, after)...)
	case after == nil:
		return []string{"deleted"}
	}
	return append(variantChanges(before.Variants, after.Variants), settingChanges(before, after)...)
}

// variantChanges lists the changes of the variants. It leaves out the change of a single stable
// variant if that only balances the others.
func variantChanges(before, after []api.Variant) []string {
	var list, stable []string
	gone := slices.DeleteFunc(slices.Clone(before), func(v api.Variant) bool { return variantOf(after, v) != nil })
	for _, v := range after {
		was := variantOf(before, v)
		moved := slices.IndexFunc(gone, func(g api.Variant) bool { return g.Version == v.Version })
		switch {
		case was != nil && was.Weight == v.Weight:
		case was != nil && v.Role == api.RoleStable:
			stable = append(stable, fmt.Sprintf("%s %s → %s", variantText(v), api.Percent(was.Weight), api.Percent(v.Weight)))
		case was != nil:
			list = append(list, fmt.Sprintf("%s %s → %s", variantText(v), api.Percent(was.Weight), api.Percent(v.Weight)))
		case moved >= 0:
			list = append(list, fmt.Sprintf("%s %s → %s %s", variantText(gone[moved]), api.Percent(gone[moved].Weight), v.Role, api.Percent(v.Weight)))
			gone = slices.Delete(gone, moved, moved+1)
		default:
			list = append(list, fmt.Sprintf("%s added with %s", variantText(v), api.Percent(v.Weight)))
		}
	}
	for _, v := range gone {
		list = append(list, fmt.Sprintf("%s removed (had %s)", variantText(v), api.Percent(v.Weight)))
	}
	if len(list) == 0 || len(stable) > 1 {
		list = append(list, stable...)
	}
	return list
}

func variantOf(list []api.Variant, like api.Variant) *api.Variant {
	for i := range list {
		if list[i].Version == like.Version && list[i].Role == like.Role && (like.Version != 0 || list[i].Alias == like.Alias) {
			return &list[i]
		}
	}
	return nil
}

// settingChanges compares all but the variants.
func settingChanges(before, after *api.Route) []string {
	var list []string
	note := func(what, was, is string) {
		if was != is {
			list = append(list, fmt.Sprintf("%s %s → %s", what, was, is))
		}
	}
	note("model", orDash(oneLine(before.Model)), orDash(oneLine(after.Model)))
	was, is := samples(before.Shadows), samples(after.Shadows)
	for _, s := range slices.Concat(after.Shadows, before.Shadows) {
		note("shadow "+partName(s.Version, s.Alias), orDash(was[s.Version]), orDash(is[s.Version]))
		delete(was, s.Version) // list each only once
		delete(is, s.Version)
	}
	note("sticky", stickyText(before.Sticky), stickyText(after.Sticky))
	note("fallback", fallbackText(before.Fallback), fallbackText(after.Fallback))
	note("seed", oneLine(before.Seed), oneLine(after.Seed))
	return list
}

func samples(shadows []api.Shadow) map[int64]string {
	m := make(map[int64]string)
	for _, s := range shadows {
		m[s.Version] = api.Percent(s.Sample)
	}
	return m
}

// unknownForm describes an event of a newer release.
const unknownForm = "in a form that this program does not know"

// eventChange describes the change in an event. An unknown type is shown as JSON.
func eventChange(e *api.Event) string {
	switch e.Type {
	case api.EventRouteSet, api.EventRouteDeleted:
		return routeChange(e)
	case api.EventDriftState:
		return driftChange(e)
	case api.EventRetrainRequested, api.EventQualityViolated, api.EventRetrainSuppressed, api.EventRetrainDelivered, api.EventRetrainClosed:
		return signalChange(e)
	case api.EventRolloutStarted, api.EventRolloutApproved, api.EventRolloutAdvanced, api.EventRolloutObserved, api.EventRolloutPaused,
		api.EventRolloutResumed, api.EventRolloutAborted, api.EventRolloutRolledBack, api.EventRolloutCompleted, api.EventRolloutUnfrozen:
		return rolloutChanged(e)
	case api.EventGatewayStarted:
		return startChange(e)
	case api.EventDefaultChanged:
		return defaultChange(e)
	case api.EventVersionLoaded, api.EventVersionReplaced, api.EventVersionRetired, api.EventVersionUnloaded, api.EventVersionFailed,
		api.EventBreakerOpened, api.EventBreakerClosed, api.EventBatchingEnabled, api.EventBatchingDisabled:
		return versionChange(e)
	default:
		const shown = 120
		text := []rune(oneLine(string(e.After)))
		if len(text) > shown {
			text = append(text[:shown], '…')
		}
		return string(text)
	}
}

func routeChange(e *api.Event) string {
	before, errBefore := routeState(e.Before)
	after, errAfter := routeState(e.After)
	if errBefore != nil || errAfter != nil {
		return unknownForm
	}
	if before != nil && before.Revision == 0 { // it was only implied
		before = nil
	}
	if text := strings.Join(changes(before, after), ", "); text != "" {
		return text
	}
	return "only the revision"
}

// driftChange describes the new state of a stream and its findings.
func driftChange(e *api.Event) string {
	var d api.DriftEvidence
	if err := json.Unmarshal(e.After, &d); err != nil {
		return unknownForm
	}
	text := oneLine(d.From) + " → " + oneLine(d.State)
	if trouble := troubleText(&d.Verdict, maxShown); trouble != "" {
		text += ": " + trouble
	}
	return text
}

// signalChange describes the subject and the state of a signal. Events after the first have only
// the state, and do not name the model.
func signalChange(e *api.Event) string {
	var s struct {
		api.SignalData
		api.SignalProgress
		HeldBackBy string `json:"held_back_by"`
		Why        string `json:"why"`
	}
	if err := json.Unmarshal(e.After, &s); err != nil {
		return unknownForm
	}
	var list []string
	if s.Model != "" {
		list = append(list, fmt.Sprintf("%s of %s", signalText(s.Type), strings.TrimSpace(oneLine(fmt.Sprintf("%s/%d %s", s.Model, s.Version, streamText(s.Role, s.Segment))))))
	}
	switch {
	case s.HeldBackBy != "":
		list = append(list, fmt.Sprintf("held back by %s (%s)", oneLine(s.HeldBackBy), oneLine(s.Why)))
	case s.Attempts > 0:
		list = append(list, fmt.Sprintf("%s, attempts %d", oneLine(s.State), s.Attempts))
	default:
		list = append(list, oneLine(s.State))
	}
	if features := signalFeatures(&s.SignalData); features != "" {
		list = append(list, features)
	}
	return strings.Join(list, ", ")
}

// routeState parses the route in an event; nil if there is none.
func routeState(text json.RawMessage) (*api.Route, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil //nolint:nilnil // no route is not an error
	}
	var state api.RouteState
	if err := json.Unmarshal(text, &state); err != nil {
		return nil, err
	}
	return &state.Route, nil
}

// variantText names a variant: "v1", "v2 canary", "@champion (v3)".
func variantText(v api.Variant) string {
	name := partName(v.Version, v.Alias)
	if v.Role == api.RoleStable {
		return name
	}
	return name + " " + oneLine(v.Role)
}

// partName names the version of a part of a route: "v3", "@champion (v3)", or "@champion" before
// the gateway has said which version that is.
func partName(version int64, alias string) string {
	switch {
	case alias == "":
		return fmt.Sprintf("v%d", version)
	case version == 0:
		return "@" + oneLine(alias)
	default:
		return fmt.Sprintf("@%s (v%d)", oneLine(alias), version)
	}
}

// splitText lists variants: "v1 95%, v2 canary 5%".
func splitText(variants []api.Variant) string {
	list := make([]string, len(variants))
	for i, v := range variants {
		list[i] = variantText(v) + " " + api.Percent(v.Weight)
	}
	return strings.Join(list, ", ")
}

func stickyText(s api.Sticky) string {
	switch {
	case s.Header != "":
		return "header:" + oneLine(s.Header)
	case s.Parameter != "":
		return "parameter:" + oneLine(s.Parameter)
	default:
		return "none"
	}
}

func fallbackText(f api.Fallback) string {
	switch {
	case f.Stable:
		return api.RoleStable
	case f.Version != 0:
		return fmt.Sprintf("v%d", f.Version)
	default:
		return "none"
	}
}
