package trail

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// maxReason is the max size of a failure's reason in bytes. The rest is cut off.
const maxReason = 1_000

// Snapshot is what serves now.
type Snapshot struct {
	Serving map[Place]Loaded
	Default map[string]int64  // by model, the version that answers for it; 0 or absent if there is none
	Failed  map[Place]Failure // the loads that failed; may leave out those of earlier snapshots
	Loading map[string]bool   // models with a version that is loading
}

// Advance returns the events that lead from the state to a snapshot, in order: new versions
// serve before old ones stop. It returns none if nothing differs. It does not change the
// state. The caller applies the events to do that. why returns the cause of a model's
// changes.
//
// A version that stops serving is unloaded if the cause is a call and no other version of
// its model answers callers. Otherwise it is retired.
func (s *State) Advance(next Snapshot, why func(model string) Cause) []api.Event {
	a := advance{why: why}
	s.arrivals(&a, next.Serving)
	s.newFailures(&a, next.Failed)
	s.defaultChanges(&a, next)
	s.departures(&a, next.Serving)
	return a.events
}

// Cause is why a version started or stopped serving.
type Cause struct {
	Cause string    // one of the causes of package api
	By    api.Actor // who asked for the change; the zero value is the gateway itself
}

// advance collects events.
type advance struct {
	why     func(model string) Cause
	events  []api.Event
	arrived []Place // sorted
	staying int     // the number of places that served and still do
}

// originOf returns the origin of a change with a cause.
func originOf(cause string) string {
	switch cause {
	case api.CauseCall, api.CauseRoute, api.CauseAlias, api.CauseReload:
		return api.OriginAPI
	default:
		return api.OriginGateway
	}
}

// add adds the event of a version. It sets the model, version, role and cause of c.
func (a *advance) add(kind string, p Place, c api.VersionChange) {
	why := a.why(p.Model)
	c.Model, c.Version, c.Role, c.Cause = p.Model, p.Number, p.role(), why.Cause
	a.append(kind, versionSubject(p.Version), why, c)
}

func (a *advance) append(kind, subject string, why Cause, after any) {
	text, err := json.Marshal(after)
	if err != nil {
		panic(fmt.Sprintf("BUG: cannot marshal an event: %v", err))
	}
	a.events = append(a.events, api.Event{Type: kind, Subject: subject, Origin: originOf(why.Cause), Actor: why.By, After: text})
}

// arrivals adds the versions that serve now and did not before, or were loaded again.
func (s *State) arrivals(a *advance, serving map[Place]Loaded) {
	for p, now := range serving {
		was, served := s.serving[p]
		if served {
			a.staying++
		}
		if !served || !now.same(was) {
			a.arrived = append(a.arrived, p)
		}
	}
	slices.SortFunc(a.arrived, compare)
	for _, p := range a.arrived {
		was, replaced := s.serving[p]
		kind, c := api.EventVersionLoaded, change(serving[p])
		if replaced {
			kind, c.Was = api.EventVersionReplaced, was.Digest
		}
		a.add(kind, p, c)
	}
}

func change(l Loaded) api.VersionChange {
	c := api.VersionChange{Digest: l.Digest, Validation: l.Validation}
	if !l.At.IsZero() {
		at := l.At.UTC()
		c.LoadedAt = &at
	}
	return c
}

// departures adds the versions that do not serve any more.
func (s *State) departures(a *advance, serving map[Place]Loaded) {
	if a.staying == len(s.serving) {
		return
	}
	var places []Place
	for p := range s.serving {
		if _, stays := serving[p]; !stays {
			places = append(places, p)
		}
	}
	slices.SortFunc(places, compare)
	answering := map[string]bool{}
	for p := range serving {
		if !p.Shadow {
			answering[p.Model] = true
		}
	}
	for _, p := range places {
		kind := api.EventVersionRetired
		if a.why(p.Model).Cause == api.CauseCall && !answering[p.Model] {
			kind = api.EventVersionUnloaded
		}
		a.add(kind, p, change(s.serving[p]))
	}
}

// newFailures adds the failures that the state does not know, or will forget because a
// version arrives in their place. It ignores more failures than the state can remember,
// since they would be new each time.
func (s *State) newFailures(a *advance, failures map[Place]Failure) {
	places := slices.SortedFunc(maps.Keys(failures), compare)
	places = slices.DeleteFunc(places[:min(len(places), maxFailed/2)], func(p Place) bool {
		was, known := s.failed[p]
		_, arrived := slices.BinarySearchFunc(a.arrived, p, compare)
		return known && !arrived && was.Failure == kept(failures[p])
	})
	for _, p := range places {
		f := kept(failures[p])
		a.add(api.EventVersionFailed, p, api.VersionChange{Digest: f.Digest, Files: f.Files, Reason: f.Reason})
	}
}

// kept returns a failure as it is after a write and a read.
func kept(f Failure) Failure {
	f.Digest, f.Files = strings.ToValidUTF8(f.Digest, "\uFFFD"), strings.ToValidUTF8(f.Files, "\uFFFD")
	f.Reason = strings.ToValidUTF8(f.Reason[:min(len(f.Reason), maxReason)], "\uFFFD")
	if f.Digest != "" {
		f.Files = "" // the digest identifies the files
	}
	return f
}

// defaultChanges adds the models with another default version than before. A model that has
// not served since the start and is still loading keeps its default, since the same version
// will usually answer soon.
func (s *State) defaultChanges(a *advance, next Snapshot) {
	var models []string
	defaults, staying := next.Default, 0
	for model, v := range defaults {
		was, had := s.defaults[model]
		if had {
			staying++
		}
		if was != v {
			models = append(models, model)
		}
	}
	if staying < len(s.defaults) {
		served := map[string]bool{}
		for p := range s.serving {
			served[p.Model] = served[p.Model] || !p.Shadow
		}
		for model := range s.defaults {
			if _, ok := defaults[model]; !ok && (served[model] || !next.Loading[model]) {
				models = append(models, model)
			}
		}
	}
	slices.Sort(models)
	for _, model := range models {
		why := a.why(model)
		a.append(api.EventDefaultChanged, modelSubject(model), why,
			api.DefaultChange{Model: model, Version: defaults[model], Was: s.defaults[model], Cause: why.Cause})
	}
}

// Batching returns the event that says whether requests for a version are joined from now
// on, with the reason. It returns false if the version does not serve any more.
func (s *State) Batching(v infer.Version, joined bool, reason string) (api.Event, bool) {
	loaded, ok := s.serving[Place{Version: v}]
	if !ok {
		return api.Event{}, false
	}
	kind := api.EventBatchingDisabled
	if joined {
		kind = api.EventBatchingEnabled
	}
	a := advance{why: func(string) Cause { return Cause{Cause: api.CauseRequests} }}
	c := change(loaded)
	c.Reason = reason
	a.add(kind, Place{Version: v}, c)
	return a.events[0], true
}

// Breaker returns the event of a breaker that opened or closed, with the reason. It returns
// false if the state already has the change, or the version does not serve any more.
func (s *State) Breaker(v infer.Version, open bool, why string) (api.Event, bool) {
	loaded, ok := s.serving[Place{Version: v}]
	if !ok || s.open[v] == open {
		return api.Event{}, false
	}
	kind := api.EventBreakerClosed
	if open {
		kind = api.EventBreakerOpened
	}
	a := advance{why: func(string) Cause { return Cause{Cause: api.CauseRequests} }}
	c := change(loaded)
	c.Reason = why
	a.add(kind, Place{Version: v}, c)
	return a.events[0], true
}
