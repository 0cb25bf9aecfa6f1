package trail_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/trail"
)

// source is a journal that returns only the events that a query selects; wide returns all.
type source struct {
	log  *journal.Log
	wide bool
}

func (s source) LastAt(t time.Time) (int64, error) { return s.log.LastAt(t) }

func (s source) Each(q trail.Query, visit func(api.Event) error) error {
	f := journal.Filter{Last: q.Last, Types: q.Types, Subjects: q.Subjects}
	if s.wide {
		f = journal.Filter{}
	}
	events, err := s.log.Read(q.After, 1_000_000, f)
	if err != nil {
		return err
	}
	for _, e := range events {
		if q.Last != 0 && e.Seq > q.Last {
			break
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

// script is a sequence of a gateway's events, each a second after the one before it, with
// the answers that are expected from then on.
type script struct {
	t     *testing.T
	log   *journal.Log
	state *trail.State
	now   time.Time
	asked []question
	wants int // the number of events with an expected answer
}

type question struct {
	at   time.Time
	name string
	want string
}

func newScript(t *testing.T) *script {
	t.Helper()
	return &script{t: t, log: journal.Memory(), state: trail.NewState(), now: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
}

// append adds events, each a second after the one before it.
func (s *script) append(events ...api.Event) {
	s.t.Helper()
	for _, e := range events {
		s.now = s.now.Add(time.Second)
		e.Time = s.now
		e, err := s.log.Append(journal.Any, e)
		if err != nil {
			s.t.Fatal(err)
		}
		if err := s.state.Apply(e); err != nil {
			s.t.Fatal(err)
		}
	}
}

// serve appends and applies the events of a snapshot. The same snapshot must not give more
// events.
func (s *script) serve(next trail.Snapshot, cause string, by api.Actor) {
	s.t.Helper()
	s.append(s.state.Advance(next, always(cause, by))...)
	if more := s.state.Advance(next, always(cause, by)); len(more) > 0 {
		s.t.Errorf("the same once more: %v", texts(more))
	}
}

func (s *script) route(name string, revision int64, by api.Actor, variants []api.Variant, more func(*api.Route)) {
	s.t.Helper()
	state := api.RouteState{Route: api.Route{Name: name, Model: "iris", Revision: revision, Variants: variants}}
	if more != nil {
		more(&state.Route)
	}
	s.append(api.Event{Type: api.EventRouteSet, Subject: "routes/" + name, Origin: api.OriginAPI, Actor: by, After: encode(s.t, state)})
}

func (s *script) started(before *api.GatewayEnd) {
	s.t.Helper()
	s.append(api.Event{
		Type: api.EventGatewayStarted, Subject: api.SubjectGateway, Origin: api.OriginGateway,
		After: encode(s.t, api.GatewayStart{Version: "1.2.3", Before: before}),
	})
}

// want gives the expected answers for a name after each event since the last call: at the
// time of the event, a moment after it, and a moment before the next.
func (s *script) want(name string, wants ...string) {
	s.t.Helper()
	events, err := s.log.Read(0, 1_000, journal.Filter{})
	if err != nil {
		s.t.Fatal(err)
	}
	if n := len(events) - s.wants; n != len(wants) {
		s.t.Fatalf("%d events, %d answers are expected: %v", n, len(wants), texts(events[s.wants:]))
	}
	for i, want := range wants {
		at := events[s.wants+i].Time
		for _, at := range []time.Time{at, at.Add(1), at.Add(time.Second - 1)} {
			s.asked = append(s.asked, question{at, name, want})
		}
	}
	s.wants = len(events)
}

// check asks all questions.
func (s *script) check() {
	s.t.Helper()
	for _, wide := range []bool{false, true} {
		for _, q := range s.asked {
			got := summary(trail.At(source{s.log, wide}, q.name, q.at, s.now.Add(time.Hour)))
			if got != q.want {
				s.t.Errorf("%s at %s, everything read %t:\n got %s\nwant %s", q.name, q.at.Format("15:04:05.999999999"), wide, got, q.want)
			}
		}
	}
}

func encode(t testing.TB, v any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// summary returns an answer in one line.
func summary(a api.ServedAt, err error) string {
	if err != nil {
		return infer.CodeOf(err).String() + ": " + infer.Message(err)
	}
	clock := func(t *time.Time) string { return t.Format("15:04:05") }
	list := []string{a.Gateway.State}
	switch a.Gateway.State {
	case api.GatewayDown:
		list[0] += " since " + clock(a.Gateway.StoppedAt)
		if a.Gateway.NextStart != nil {
			list[0] += " until " + clock(a.Gateway.NextStart)
		}
	case api.GatewayKilled:
		list[0] += " between " + clock(a.Gateway.LastAlive) + " and " + clock(a.Gateway.NextStart)
	}
	if a.Change != nil {
		list = append(list, fmt.Sprintf("@%d by %s %q", a.Revision, a.Change.Actor.Actor, a.Change.Reason))
	}
	version := func(v api.VersionAt) string {
		return strings.Join(strings.Fields(fmt.Sprint(v.Version, " ", v.State[:2], " ", v.Digest, " ", strings.TrimSuffix(v.Breaker, "closed"), " ", v.Reason)), " ")
	}
	for _, v := range a.Variants {
		list = append(list, fmt.Sprintf("%s %d: %s", v.Role, v.Weight/100, version(v.VersionAt)))
	}
	for _, v := range a.Shadows {
		list = append(list, fmt.Sprintf("shadow %d: %s", v.Sample/100, version(v.VersionAt)))
	}
	if a.Fallback != nil {
		list = append(list, "fallback: "+version(*a.Fallback))
	}
	return strings.Join(list, "; ")
}

// texts returns events, each in one line.
func texts(events []api.Event) []string {
	list := make([]string, len(events))
	for i, e := range events {
		var c api.VersionChange
		_ = json.Unmarshal(e.After, &c) // the fields that it shares with other types
		list[i] = strings.Join(slices.DeleteFunc([]string{e.Type, e.Subject, c.Role, c.Was, c.Digest, c.Files, c.Reason, c.Cause}, func(s string) bool { return s == "" }), " ")
	}
	return list
}

// always returns the same cause for all changes.
func always(cause string, by api.Actor) func(string) trail.Cause {
	return func(string) trail.Cause { return trail.Cause{Cause: cause, By: by} }
}
