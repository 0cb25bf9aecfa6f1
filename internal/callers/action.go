package callers

import (
	"math/bits"
	"strings"
)

// Action is a set of the things that a caller may do.
type Action uint16

// The actions.
const (
	Infer Action = 1 << iota
	Metadata
	Statistics
	Load
	Register
	Route
	Override
	Rollout
	Approve
	Label
	Signal
	Capture
	Admin

	numActions = iota
)

// All has every action.
const All Action = 1<<numActions - 1

// actionNames and deeds are in the order of the actions. A deed follows "may not".
var (
	actionNames = [numActions]string{
		"infer", "metadata", "statistics", "load", "register", "route", "override", "rollout", "approve", "label", "signal", "capture", "admin",
	}
	deeds = [numActions]string{
		"infer on", "read the metadata of", "read the statistics of", "load or unload", "register versions of", "change routes of",
		"choose the version of", "roll out versions of", "approve versions of", "label predictions of", "answer signals of",
		"read captured requests of", "administer",
	}
)

// ActionNames returns the names of all actions.
func ActionNames() []string { return All.Names() }

// ParseAction returns the action of a name, and false if there is none.
func ParseAction(name string) (Action, bool) {
	for i, known := range actionNames {
		if name == known {
			return 1 << i, true
		}
	}
	return 0, false
}

// Names returns the names of the actions in the set.
func (a Action) Names() []string {
	names := make([]string, 0, numActions)
	for i, name := range actionNames {
		if a&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String returns the names, with commas between them.
func (a Action) String() string { return strings.Join(a.Names(), ", ") }

// deed returns the words for one action.
func (a Action) deed() string { return deeds[bits.TrailingZeros16(uint16(a))%numActions] }

// Scope says which models an endpoint is about.
type Scope uint8

// The scopes. The zero value is that of an endpoint without an entry in its listener's table, which
// nobody may use.
const (
	Undeclared   Scope = iota
	Open               // needs nothing
	Known              // needs nothing, but credentials that are shown must be accepted
	OpenMetrics        // needs nothing, unless the metrics are not public
	OpenDocument       // needs nothing, unless every request must be authenticated
	Model              // needs the action on the model that the request names
	Some               // needs the action on at least one model. A list has only the models for which the caller has it
	Every              // needs the action on all models: it is about the gateway as a whole
)

// Need is what an endpoint needs of its callers.
type Need struct {
	Action  Action
	Scope   Scope
	Trainer bool // a Trainer may use it
	Repeats bool // a Trainer whose retraining has ended may use it too
}

// ForTrainers is the need of an endpoint that the trainer of a retraining may use too, if it has the action. The endpoint itself keeps
// it to its retraining.
func (n Need) ForTrainers() Need {
	n.Trainer = true
	return n
}

// AndRepeats returns the need of an endpoint that a trainer may also use after its retraining has ended: to read how it ended, or to repeat
// a call whose answer was lost. Such a call changes nothing.
func (n Need) AndRepeats() Need {
	n.Repeats = true
	return n
}

// On is the need of an endpoint for an action on the model that the request names.
func On(a Action) Need { return Need{Action: a, Scope: Model} }

// OnSome is the need for an action on at least one model.
func OnSome(a Action) Need { return Need{Action: a, Scope: Some} }

// OnEvery is the need for an action on all models.
func OnEvery(a Action) Need { return Need{Action: a, Scope: Every} }

// Endpoint is an endpoint of a listener, and what it needs of its callers.
type Endpoint struct {
	Name string // a method and path, or the name of a gRPC method
	Need
}
