package api

import "time"

// The types of events about aliases. The field after is an Alias, without its history. The
// subject is "aliases/MODEL/NAME".
const (
	EventAliasSet     = "alias.set"
	EventAliasDeleted = "alias.deleted"
)

// AliasChampion is the alias whose version serves a model that has no route.
const AliasChampion = "champion"

// Alias is a name for a version of a model. Routes can name it instead of a number. It answers
// GET /api/v1/models/{name}/aliases/{alias}.
type Alias struct {
	Model   string `json:"model"`
	Name    string `json:"name"`
	Version int64  `json:"version"`
	// Revision counts the changes of this alias, also if it was deleted in between. If-Match
	// names the revision to change, "0" for an alias that never existed.
	Revision int64       `json:"revision"`
	History  []AliasMove `json:"history,omitempty"` // the last changes, the newest first
}

// AliasMove is a change of an alias in its history.
type AliasMove struct {
	Version int64     `json:"version"` // 0 if the alias was deleted
	At      time.Time `json:"at"`
	Actor
}

// AliasResult answers a PUT or DELETE of an alias. It has the alias as it is now, or, for a dry
// run, as it would be. The version is 0 if it is deleted.
type AliasResult struct {
	Alias
	Routes []string `json:"routes"` // the routes that name the alias, which change with it
	DryRun bool     `json:"dry_run,omitempty"`
}

// ValidAlias reports whether a name can be that of an alias: 1 to 64 lower-case letters, digits
// and any of ._-, and not a number.
func ValidAlias(name string) bool {
	const most = 64
	letters := false
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z':
			letters = true
		case r >= '0' && r <= '9', r == '.', r == '_', r == '-':
		default:
			return false
		}
	}
	return letters && len(name) <= most
}
