package callers

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sluice.io/sluice/internal/infer"
)

// Anonymous is the name of the caller without credentials.
const Anonymous = "anonymous"

// Caller is somebody who sends requests. It is immutable, except for what its limits count.
type Caller struct {
	name   string
	groups []string
	rules  rules
	listed []Rule // as configured, those of the groups too
	limits []*limit
	counts *Counts // nil: requests are not counted
	has    Credited

	retraining string // whose trainer it is, "" for other callers
	repeats    bool   // its retraining has ended, so it may only repeat calls
}

// Credited is how many credentials of each kind a caller has.
type Credited struct{ Keys, Certificates, Tokens int }

// Name returns the name for logs and the journal.
func (c *Caller) Name() string { return c.name }

// IsAnonymous reports whether the caller has shown no credentials.
func (c *Caller) IsAnonymous() bool { return c.name == Anonymous }

// Groups returns the names of the caller's groups.
func (c *Caller) Groups() []string { return c.groups }

// Rules returns what the caller may do, with the rules of its groups.
func (c *Caller) Rules() []Rule { return c.listed }

// Limits returns the limits of the caller, with those of its groups.
func (c *Caller) Limits() []Limit {
	list := make([]Limit, len(c.limits))
	for i, l := range c.limits {
		list[i] = l.Limit
	}
	return list
}

// Credited returns how many credentials the caller has.
func (c *Caller) Credited() Credited { return c.has }

// Counts returns what is counted of the caller's requests, nil if nothing is.
func (c *Caller) Counts() *Counts { return c.counts }

// Count counts an answered request, if requests are counted. A nil Caller counts nothing.
func (c *Caller) Count(code infer.Code) {
	if c != nil && c.counts != nil {
		c.counts.Requests[code].Add(1)
	}
}

// Can reports whether the caller may do something with a model.
func (c *Caller) Can(a Action, model string) bool { return c.rules.allow(a, model) }

// May returns nil if the caller may do something with a model. The error is Forbidden, or
// Unauthenticated for the anonymous caller.
func (c *Caller) May(a Action, model string) error {
	if c.rules.allow(a, model) {
		return nil
	}
	return c.refuse(a, "model '"+cut(model)+"'")
}

// MayDefault is May for the default model, whose name the caller has not told and must not learn.
func (c *Caller) MayDefault(a Action, model string) error {
	if c.rules.allow(a, model) {
		return nil
	}
	return c.refuse(a, "the default model")
}

// CanEverywhere reports whether the caller may do something with every model.
func (c *Caller) CanEverywhere(a Action) bool { return c.rules.everywhere&a == a }

// Meets returns nil if the caller has what an endpoint needs, on the model that the request
// names. Errors are those of May.
func (c *Caller) Meets(need Need, model string) error {
	scope := need.Scope
	if need.Action == 0 && scope != Open && scope != Known {
		scope = Undeclared
	}
	if c.retraining != "" && !need.Trainer && scope != Open && scope != Known {
		return infer.Errorf(infer.Forbidden, "the token of retraining %s is for its trainer alone, which reads the document and the data, reports, and pushes the version", c.retraining)
	}
	if c.repeats && !need.Repeats && scope != Open && scope != Known {
		return infer.Errorf(infer.Forbidden, "retraining %s has ended, or does not wait for a version any more: its token is only for reading how, and for repeating a push or a report whose answer was lost", c.retraining)
	}
	switch scope {
	case Model:
		return c.May(need.Action, model)
	case Some, OpenMetrics, OpenDocument:
		if c.rules.somewhere&need.Action == need.Action {
			return nil
		}
		return c.refuse(need.Action, "any model")
	case Every:
		if c.CanEverywhere(need.Action) {
			return nil
		}
		return c.refuse(need.Action, "all models ('*')")
	case Open, Known:
		return nil
	default:
		return infer.Errorf(infer.Forbidden, "nobody may use this endpoint: it has no entry in the table of actions")
	}
}

// refuse returns the error for a missing action on a model or on several.
func (c *Caller) refuse(a Action, on string) error {
	if c.IsAnonymous() {
		return infer.Errorf(infer.Unauthenticated, "this request needs the action '%v' on %s: send the key of a caller that has it in the header 'Authorization: Bearer KEY'", a, on)
	}
	return infer.Errorf(infer.Forbidden, "caller '%s' may not %s %s: it needs the action '%v'", c.name, a.deed(), on, a)
}

// cut shortens a name that a request has, for a message.
func cut(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}

// maxNameBytes is the max length of a caller's name.
const maxNameBytes = 128

// printable makes a name out of the subject of a token, whose text others choose.
func printable(subject string) string {
	if len(subject) > maxNameBytes {
		subject = strings.ToValidUTF8(subject[:maxNameBytes], "") + "…"
	}
	if utf8.ValidString(subject) && !strings.ContainsFunc(subject, unprintable) {
		return subject
	}
	return strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(subject, "?"))
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// names returns a sorted list without duplicates.
func names(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
