// Package aliases keeps the aliases of versions: a fold over the journal.
package aliases

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Max is the max number of aliases of a model. maxHistory is the number of changes of each that
// are kept; the journal has all.
const (
	Max        = 32
	maxHistory = 20
)

// Set is the aliases after some events.
type Set struct{ aliases map[key]api.Alias }

type key struct{ model, name string }

// NewSet returns a Set without aliases.
func NewSet() *Set { return &Set{aliases: map[key]api.Alias{}} }

// Get returns an alias. If it was deleted or never existed, the version is 0.
func (s *Set) Get(model, name string) api.Alias {
	a := s.aliases[key{model, name}]
	a.Model, a.Name = model, name
	return a
}

// All returns the aliases, sorted by model and name.
func (s *Set) All() []api.Alias {
	list := make([]api.Alias, 0, len(s.aliases))
	for _, a := range s.aliases {
		if a.Version != 0 {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b api.Alias) int { return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Name, b.Name)) })
	return list
}

// Move returns the event of an alias that gets a version, or is deleted if that is 0, and the
// alias after it. The caller adds the actor. Errors: Invalid for a bad name, Conflict if the
// model has too many aliases.
func (s *Set) Move(model, name string, version int64) (api.Event, api.Alias, error) {
	if !api.ValidAlias(name) {
		return api.Event{}, api.Alias{}, infer.Errorf(infer.Invalid, "'%.100s' is not a valid alias: expected 1 to 64 lower-case letters, digits and any of ._-, with a letter", name)
	}
	before := s.Get(model, name)
	of := 0
	for k, a := range s.aliases {
		if k.model == model && a.Version != 0 {
			of++
		}
	}
	if before.Version == 0 && version != 0 && of >= Max {
		return api.Event{}, api.Alias{}, infer.Errorf(infer.Conflict, "model '%s' has %d aliases, the max; delete one first", model, Max)
	}
	after := before
	after.Version, after.Revision, after.History = version, before.Revision+1, nil
	e := api.Event{Type: api.EventAliasSet, Subject: "aliases/" + model + "/" + name, Origin: api.OriginAPI}
	if version == 0 {
		e.Type = api.EventAliasDeleted
	}
	var err error
	if before.Version != 0 {
		before.History = nil
		e.Before, err = json.Marshal(before)
	}
	if err == nil {
		e.After, err = json.Marshal(after)
	}
	if err != nil {
		return api.Event{}, api.Alias{}, &infer.Error{Code: infer.Internal, Op: "aliases", Msg: "cannot write an alias as JSON", Err: err}
	}
	return e, after, nil
}

// Apply applies the next event. It ignores events that are not about aliases.
func (s *Set) Apply(e api.Event) error {
	if e.Type != api.EventAliasSet && e.Type != api.EventAliasDeleted {
		return nil
	}
	var a api.Alias
	err := json.Unmarshal(e.After, &a)
	k := key{a.Model, a.Name}
	switch {
	case err != nil:
	case e.Subject != "aliases/"+a.Model+"/"+a.Name, a.Model == "" || a.Name == "", (a.Version > 0) != (e.Type == api.EventAliasSet), a.Version < 0:
		err = fmt.Errorf("it is not an alias of %.300q", e.Subject)
	case a.Revision != s.aliases[k].Revision+1:
		err = fmt.Errorf("it has revision %d after %d", a.Revision, s.aliases[k].Revision)
	}
	if err != nil {
		return &infer.Error{Code: infer.Internal, Op: "aliases", Msg: fmt.Sprintf("event %d (%s) is malformed", e.Seq, e.Type), Err: err}
	}
	move := api.AliasMove{Version: a.Version, At: e.Time, Actor: e.Actor}
	a.History = append([]api.AliasMove{move}, s.aliases[k].History...)
	a.History = a.History[:min(len(a.History), maxHistory)]
	s.aliases[k] = a
	return nil
}

// Snapshot implements journal.Fold.
func (s *Set) Snapshot() ([]byte, error) {
	list := make([]api.Alias, 0, len(s.aliases))
	for _, a := range s.aliases {
		list = append(list, a)
	}
	return json.Marshal(list)
}

// Restore implements journal.Fold.
func (s *Set) Restore(state []byte) error {
	var list []api.Alias
	if err := json.Unmarshal(state, &list); err != nil {
		return err
	}
	next := make(map[key]api.Alias, len(list))
	for _, a := range list {
		if a.Model == "" || a.Name == "" || a.Revision < 1 || a.Version < 0 {
			return fmt.Errorf("alias %.300q of %.300q is not valid", a.Name, a.Model)
		}
		next[key{a.Model, a.Name}] = a
	}
	s.aliases = next
	return nil
}
