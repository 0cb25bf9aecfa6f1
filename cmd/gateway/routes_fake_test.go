package main

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/sideport"
)

// fold is the routes of a gateway, made from a journal: it compares and sets as a gateway does, and
// moves a slot for each basis point.
type fold struct {
	mu      sync.Mutex
	routes  map[string]api.Route
	stats   map[string]api.RouteStats
	events  []api.Event
	served  map[string]api.ServedAt
	problem string // of the journal
	askedAt time.Time
	filter  admin.EventFilter // of the last request
	streams []api.DriftStatus
	signals []api.Signal
	asked   int                        // requests for statistics
	looks   int                        // requests for statistics or events
	fails   int                        // the number of the request that is answered with "not ready"
	before  func(f *fold, what string) // called before each change and each request, without a lock
}

// foldAt is the time of the first event.
var foldAt = time.Date(2026, 5, 4, 3, 2, 1, 0, time.Local)

// sideOf serves a fold on a real admin port and returns its address.
func sideOf(t *testing.T, f *fold) string {
	t.Helper()
	o := sideport.Options()
	o.Control, o.Routes, o.Drift, o.Labels, o.Watch = noModels{}, f, f, f, f
	s, err := admin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(context.Background()) }() // the cleanup receives the result
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String()
}

func newFold() *fold {
	f := &fold{routes: map[string]api.Route{}, stats: map[string]api.RouteStats{}}
	f.put(api.Route{Name: "iris", Variants: []api.Variant{variant(1, 100, "stable")}}, api.OriginFile, api.Actor{})
	f.put(api.Route{
		Name: "iris", Variants: []api.Variant{variant(1, 95, "stable"), variant(2, 5, "canary")},
		Shadows: []api.Shadow{{Version: 3, Sample: 1000}}, Sticky: api.Sticky{Header: "X-User-Id"}, Fallback: api.Fallback{Stable: true},
	}, api.OriginAPI, api.Actor{Actor: "alice", Verified: true, Reason: "first users"})
	wine := api.Route{Name: "wine", Variants: []api.Variant{variant(4, 100, "stable")}}
	wine.Complete()
	f.routes["wine"] = wine
	const ms = api.Duration(time.Millisecond)
	f.stats["iris"] = api.RouteStats{
		Name: "iris", Model: "iris", Revision: 2,
		Variants: []api.VariantStats{
			{
				Variant: variant(1, 95, "stable"), State: api.StateReady, Breaker: "closed",
				Total: api.VariantCount{Requests: 9500, Errors: 19}, ErrorRate: api.ErrorRate{Rate: 0.002, Low: 0.00091, High: 0.00363}, Recent: api.Recent{P50: ms + 234_567, P99: 12*ms + 345_678},
			},
			{
				Variant: variant(2, 5, "canary"), State: api.StateReady, Breaker: "half-open",
				Total: api.VariantCount{Requests: 500, Errors: 25, Fallbacks: 20, Refused: 7}, Recent: api.Recent{P50: 87_654, P99: 1500 * ms},
			},
		},
		Shadows: []api.ShadowStats{{
			Shadow: api.Shadow{Version: 3, Sample: 1000}, State: api.StateReady, Queued: 2, Answered: 900, Errors: 9,
			Dropped: map[string]int64{api.DropQueueFull: 10, api.DropExpired: 2, api.DropStopped: 0}, Recent: api.Recent{P50: 3 * ms, P99: 5 * ms},
		}},
	}
	return f
}

// Watch implements admin.WatchControl, as a gateway without it.
func (f *fold) Watch(context.Context, api.WatchQuery, admin.WatchViewer) error {
	return infer.Errorf(infer.NotFound, "the path does not exist")
}

func (f *fold) hook(what string) {
	if f.before != nil {
		f.before(f, what)
	}
}

func (f *fold) look() error {
	if f.looks++; f.looks == f.fails {
		return infer.Errorf(infer.Unavailable, "the server is stopping")
	}
	return nil
}

// put adds a route, or deletes it if it has no variants, and returns it.
func (f *fold) put(route api.Route, origin string, by api.Actor) api.Route {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.add(route, origin, by)
}

// add is put for callers that hold the lock.
func (f *fold) add(route api.Route, origin string, by api.Actor) api.Route {
	kind := api.EventRouteSet
	var before, after json.RawMessage
	old, exists := f.routes[route.Name]
	if exists {
		before, _ = json.Marshal(api.RouteState{Route: old})
	}
	route.Revision = old.Revision + 1
	route.Complete()
	if len(route.Variants) == 0 {
		kind = api.EventRouteDeleted
		route.Revision = 0
		delete(f.routes, route.Name)
	} else {
		f.routes[route.Name] = route
		after, _ = json.Marshal(api.RouteState{Route: route})
	}
	n := len(f.events)
	f.events = append(f.events, api.Event{
		Seq: int64(n + 1), Time: foldAt.Add(time.Duration(n) * time.Minute), Type: kind, Subject: "routes/" + route.Name,
		Origin: origin, Actor: by, Before: before, After: after,
	})
	return route
}

func (f *fold) Routes() []api.Route {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []api.Route
	for _, r := range f.routes {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b api.Route) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (f *fold) Route(name string) (api.Route, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r, ok := f.routes[name]; ok {
		return r, nil
	}
	return api.Route{}, infer.Errorf(infer.NotFound, "there is no route or model '%s'", name)
}

func (f *fold) ShadowReport(name string) (api.ShadowReport, error) {
	return api.ShadowReport{Route: name, Shadows: []api.ShadowComparison{}}, nil
}

func (f *fold) RouteStats(name string) (api.RouteStats, error) {
	f.hook("stats")
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.look(); err != nil {
		return api.RouteStats{}, err
	}
	f.asked++
	if s, ok := f.stats[name]; ok {
		return s, nil
	}
	return api.RouteStats{}, infer.Errorf(infer.NotFound, "there is no route or model '%s'", name)
}

func (f *fold) SetRoute(_ context.Context, route api.Route, edit admin.Edit) (api.RouteResult, error) {
	f.hook("set")
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.routes[route.Name]
	if edit.Revision != admin.AnyRevision && edit.Revision != now.Revision {
		return api.RouteResult{}, infer.Errorf(infer.Precondition, "route '%s' is at revision %d, the change was made to %d", route.Name, now.Revision, edit.Revision)
	}
	result := api.RouteResult{Route: route, DryRun: edit.DryRun}
	for _, v := range now.Variants {
		left := 0
		for _, w := range route.Variants {
			if w.Version == v.Version {
				left += w.Weight
			}
		}
		result.SlotsMoved += max(0, v.Weight-left)
	}
	if result.Revision = now.Revision + 1; !edit.DryRun {
		result.Route = f.add(route, api.OriginAPI, edit.By)
	}
	return result, nil
}

func (f *fold) DeleteRoute(ctx context.Context, name string, edit admin.Edit) (api.RouteResult, error) {
	result, err := f.SetRoute(ctx, api.Route{Name: name}, edit)
	result.Revision, result.SlotsMoved = 0, 500
	result.Variants = []api.Variant{variant(4, 100, "stable")}
	return result, err
}

func (f *fold) ServedAt(name string, at time.Time) (api.ServedAt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.askedAt = at
	if s, ok := f.served[name]; ok {
		s.At = at
		return s, nil
	}
	return api.ServedAt{}, infer.Errorf(infer.NotFound, "there was no route '%s'", name)
}

func (f *fold) VerifyJournal(context.Context) (api.JournalReport, error) {
	return api.JournalReport{Events: int64(len(f.events)), Segments: 1, Hash: "abc", Problem: f.problem}, nil
}

func (f *fold) ExportJournal(int64, admin.EventFilter, io.Writer) error { return nil }

func (f *fold) Events(after int64, limit int, filter admin.EventFilter) ([]api.Event, error) {
	f.hook("events")
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.look(); err != nil {
		return nil, err
	}
	var list []api.Event
	f.filter = filter
	events := slices.Clone(f.events)
	if filter.Newest {
		slices.Reverse(events)
	}
	for _, e := range events {
		if e.Seq > after && (filter.Before == 0 || e.Seq < filter.Before) && len(list) < limit && (filter.Subject == "" || e.Subject == filter.Subject) {
			list = append(list, e)
		}
	}
	return list, nil
}
