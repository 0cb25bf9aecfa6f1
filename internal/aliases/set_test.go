package aliases_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/aliases"
	"sluice.io/sluice/internal/infer"
)

// move changes an alias, and applies the event as the journal would have it.
func move(t testing.TB, s *aliases.Set, name string, version int64) api.Alias {
	t.Helper()
	e, after, err := s.Move("iris", name, version)
	if err != nil {
		t.Fatal(err)
	}
	e.Time, e.Actor = time.Unix(version, 0).UTC(), api.Actor{Actor: "ada"}
	if err := s.Apply(e); err != nil {
		t.Fatal(err)
	}
	return after
}

// The revision goes on after a deletion, and the history is bounded, the newest change first.
func TestHistory(t *testing.T) {
	s := aliases.NewSet()
	for version := range int64(24) {
		if after := move(t, s, "champion", version+1); after.Revision != version+1 {
			t.Errorf("%+v", after)
		}
	}
	move(t, s, "champion", 0)
	if len(s.All()) != 0 {
		t.Errorf("a deleted alias is listed: %+v", s.All())
	}
	move(t, s, "champion", 5)
	move(t, s, "a", 1)
	got := s.Get("iris", "champion")
	if got.Revision != 26 || got.Version != 5 || len(got.History) != 20 || got.History[0].Version != 5 || got.History[1].Version != 0 || got.History[2].Version != 24 || got.History[0].Actor.Actor != "ada" {
		t.Errorf("%+v", got)
	}
	if list := s.All(); len(list) != 2 || list[0].Name != "a" {
		t.Errorf("%+v", list)
	}
	text, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	again := aliases.NewSet()
	if err := again.Restore(text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.All(), again.All()); diff != "" {
		t.Error(diff)
	}
}

func TestMoveRefuses(t *testing.T) {
	s := aliases.NewSet()
	for _, name := range []string{"", "7", "Champion", "a b", "@a", strings.Repeat("a", 65)} {
		if _, _, err := s.Move("iris", name, 1); infer.CodeOf(err) != infer.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
	for i := range aliases.Max {
		move(t, s, fmt.Sprintf("a%d", i), 1)
	}
	if _, _, err := s.Move("iris", "more", 1); infer.CodeOf(err) != infer.Conflict {
		t.Errorf("an alias too many: %v", err)
	}
	if _, _, err := s.Move("other", "more", 1); err != nil {
		t.Errorf("another model: %v", err)
	}
	move(t, s, "a0", 2) // an existing one moves
	move(t, s, "a1", 0)
	move(t, s, "more", 1)
}

func TestApplyRefuses(t *testing.T) {
	s := aliases.NewSet()
	move(t, s, "champion", 1)
	f := func(kind, subject, after string) {
		t.Helper()
		if err := s.Apply(api.Event{Type: kind, Subject: subject, After: json.RawMessage(after)}); infer.CodeOf(err) != infer.Internal {
			t.Errorf("%s %s %s: %v", kind, subject, after, err)
		}
	}
	const subject = "aliases/iris/champion"
	f(api.EventAliasSet, subject, `{`)
	f(api.EventAliasSet, subject, `{"model":"iris","name":"champion","version":2,"revision":3}`)
	f(api.EventAliasSet, subject, `{"model":"iris","name":"champion","version":2,"revision":1}`)
	f(api.EventAliasSet, subject, `{"model":"iris","name":"champion","version":0,"revision":2}`)
	f(api.EventAliasSet, subject, `{"model":"iris","name":"champion","version":-1,"revision":2}`)
	f(api.EventAliasDeleted, subject, `{"model":"iris","name":"champion","version":2,"revision":2}`)
	f(api.EventAliasSet, "aliases/iris/other", `{"model":"iris","name":"champion","version":2,"revision":2}`)
	if err := s.Apply(api.Event{Type: api.EventRouteSet, After: json.RawMessage(`{`)}); err != nil {
		t.Errorf("another event: %v", err)
	}
	if got := s.Get("iris", "champion"); got.Version != 1 || got.Revision != 1 {
		t.Errorf("a refused event changed the alias: %+v", got)
	}
}

// A snapshot that is not valid changes nothing, and a valid one leads to the same snapshot.
func FuzzRestore(f *testing.F) {
	f.Add([]byte(`[{"model":"iris","name":"champion","version":3,"revision":2,"history":[{"version":3,"at":"2026-11-30T08:00:00Z"}]}]`))
	f.Add([]byte(`[{"model":"","name":"a","version":1,"revision":1}]`))
	f.Add([]byte(`[{"model":"m","name":"a","version":-1,"revision":1}]`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, state []byte) {
		s := aliases.NewSet()
		move(t, s, "champion", 1)
		if err := s.Restore(state); err != nil {
			if got := s.All(); len(got) != 1 || got[0].Version != 1 {
				t.Fatalf("a refused snapshot changed the aliases: %+v", got)
			}
			return
		}
		for _, a := range s.All() {
			if a.Model == "" || a.Name == "" || a.Version < 1 || a.Revision < 1 {
				t.Fatalf("%+v", a)
			}
		}
		text, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		again := aliases.NewSet()
		if err := again.Restore(text); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s.All(), again.All()); diff != "" {
			t.Fatal(diff)
		}
	})
}
