package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// TotalWeight is the sum of the weights of a route: all of the traffic, in basis points.
// It is also the number of hash slots.
const TotalWeight = 10_000

// The roles of a variant.
const (
	RoleStable  = "stable"  // the trusted version; the default
	RoleCanary  = "canary"  // the version on trial
	RoleControl = "control" // a part of the stable version's traffic, as large as the canary's, to compare the canary with
)

// The limits of a route's parts.
const (
	MaxVariants  = 16
	MaxShadows   = 4
	MaxSeedBytes = 255
)

// Route splits the traffic of a name over versions of one model, and sends copies to
// shadows. It answers GET /api/v1/routes/{name} and is the body of PUT. A PUT replaces
// the whole route.
type Route struct {
	Name  string `json:"name"`
	Model string `json:"model"` // default: the name
	// Revision counts the changes of this route. No number above 0 is used twice. 0 marks
	// an implied route: a model without a route serves its newest version. A PUT ignores
	// it. The header If-Match names the revision to change.
	Revision int64     `json:"revision"`
	Variants []Variant `json:"variants"`
	Shadows  []Shadow  `json:"shadows"`
	Sticky   Sticky    `json:"sticky,omitzero"`
	Fallback Fallback  `json:"fallback,omitzero"`
	// Seed is put before each key before the key is hashed to a slot. It does not change
	// as long as the route exists. Default: the name.
	Seed string `json:"seed"`
}

// Variant is a version and its share of the traffic.
type Variant struct {
	Version int64  `json:"version"`
	Alias   string `json:"alias,omitempty"` // the alias that gives the version; a PUT may write "version": "@alias" instead
	Weight  int    `json:"weight"`          // basis points; a variant with 0 gets only overrides
	Role    string `json:"role"`            // default: stable
}

// Shadow is a version that gets copies of requests. No caller waits for its answers.
type Shadow struct {
	Version int64  `json:"version"`
	Alias   string `json:"alias,omitempty"` // the alias that gives the version; a PUT may write "version": "@alias" instead
	Sample  int    `json:"sample"`          // the share of answered requests that is copied, in basis points
}

// Sticky names the header or the parameter with the key that keeps a caller on a
// version. One of the two is set. A request without a key gets a random version.
type Sticky struct {
	Header    string `json:"header,omitempty"`    // the name of an HTTP header, or of gRPC metadata
	Parameter string `json:"parameter,omitempty"` // the name of a V2 parameter of the request
}

// Fallback is the version that serves instead of a variant that cannot: that of the
// variant with the role stable, or the one with the number. In JSON it is "stable" or
// the number.
type Fallback struct {
	Stable  bool
	Version int64
}

// IsZero reports whether there is no fallback.
func (f Fallback) IsZero() bool { return f == Fallback{} }

// MarshalJSON writes "stable" or the version's number.
func (f Fallback) MarshalJSON() ([]byte, error) {
	switch {
	case f.Stable:
		return json.Marshal(RoleStable)
	case f.Version != 0:
		return json.Marshal(f.Version)
	default:
		return []byte("null"), nil
	}
}

// UnmarshalJSON reads what MarshalJSON writes. It returns an error for anything else.
func (f *Fallback) UnmarshalJSON(text []byte) error {
	*f = Fallback{}
	var role string
	switch {
	case string(text) == "null":
		return nil
	case json.Unmarshal(text, &role) == nil && role == RoleStable:
		f.Stable = true
		return nil
	case json.Unmarshal(text, &f.Version) == nil && f.Version > 0:
		return nil
	}
	f.Version = 0
	return fmt.Errorf(`fallback: expected "stable" or a version's number, got %.40s`, text)
}

// Slots are the slots of the variants of a route: for each variant, in the route's order,
// a list of ranges [from, to) in the order in which the variant got them.
type Slots [][][2]int

// RouteState is a route with its slots. It is the state of a route in the journal.
type RouteState struct {
	Route
	Slots Slots `json:"slots"`
}

// RouteResult answers a PUT or DELETE of a route. It has the route as it is now, or, for
// a dry run, as it would be.
type RouteResult struct {
	Route
	SlotsMoved int  `json:"slots_moved"` // the number of slots that another version serves now
	DryRun     bool `json:"dry_run,omitempty"`
}

// Problem is something wrong with a field of a document.
type Problem struct {
	Field   string // "variants[1].weight"
	Message string
}

// String returns field and message.
func (p Problem) String() string { return p.Field + ": " + p.Message }

// Complete fills in the defaults.
func (r *Route) Complete() {
	if r.Model == "" {
		r.Model = r.Name
	}
	if r.Seed == "" {
		r.Seed = r.Name
	}
	for i := range r.Variants {
		if r.Variants[i].Role == "" {
			r.Variants[i].Role = RoleStable
		}
	}
	if r.Variants == nil {
		r.Variants = []Variant{}
	}
	if r.Shadows == nil {
		r.Shadows = []Shadow{}
	}
}

// Stable returns the index of the first variant with the role stable, or -1, and how many
// there are.
func (r *Route) Stable() (first, n int) {
	first = -1
	for i, v := range r.Variants {
		if v.Role == RoleStable {
			if n++; first < 0 {
				first = i
			}
		}
	}
	return first, n
}

// Check returns the problems of a completed route that the document alone shows. It does
// not know which versions exist.
func (r *Route) Check() []Problem {
	var c routeCheck
	c.variants(r)
	c.shadows(r)
	c.sticky(r.Sticky)
	if _, stable := r.Stable(); r.Fallback.Stable && stable > 1 {
		c.add("fallback", "'stable' is ambiguous: %d variants have that role; use the number of a version", stable)
	}
	if r.Fallback.Version < 0 {
		c.add("fallback", "expected \"stable\" or a version of 1 or more, got %d", r.Fallback.Version)
	}
	if len(r.Seed) > MaxSeedBytes || !utf8.ValidString(r.Seed) {
		c.add("seed", "expected UTF-8 of at most %d bytes", MaxSeedBytes)
	}
	return c.problems
}

type routeCheck struct{ problems []Problem }

func (c *routeCheck) add(field, format string, args ...any) {
	c.problems = append(c.problems, Problem{field, fmt.Sprintf(format, args...)})
}

func (c *routeCheck) variants(r *Route) {
	if len(r.Variants) == 0 || len(r.Variants) > MaxVariants {
		c.add("variants", "expected 1 to %d variants, got %d", MaxVariants, len(r.Variants))
		return
	}
	type key struct {
		version     int64
		alias, role string
	}
	seen := map[key]int{}
	sum, whole := 0, true
	for i, v := range r.Variants {
		at := fmt.Sprintf("variants[%d]", i)
		c.version(at, v.Version, v.Alias)
		if v.Weight < 0 || v.Weight > TotalWeight {
			c.add(at+".weight", "expected 0 to %d basis points, got %d", TotalWeight, v.Weight)
			whole = false
		}
		switch v.Role {
		case RoleStable, RoleCanary, RoleControl:
		default:
			c.add(at+".role", "expected stable, canary or control, got %.40q", v.Role)
		}
		if first, twice := seen[key{v.Version, unresolved(v.Version, v.Alias), v.Role}]; twice {
			c.add(at+".version", "version %d with the role %s is already variants[%d]", v.Version, v.Role, first)
		}
		seen[key{v.Version, unresolved(v.Version, v.Alias), v.Role}] = i
		sum += v.Weight
	}
	if whole && sum != TotalWeight {
		c.add("variants", "the weights add up to %d basis points, expected %d (100%%)", sum, TotalWeight)
	}
	if _, n := r.Stable(); n == 0 {
		c.add("variants", "no variant has the role stable")
	}
}

// version checks the version of a part, or its alias, which gives the version later.
func (c *routeCheck) version(at string, version int64, alias string) {
	switch {
	case alias != "" && !ValidAlias(alias):
		c.add(at+".version", "'@%.100s' is not a valid alias", alias)
	case version < 0, version == 0 && alias == "":
		c.add(at+".version", "expected a version of 1 or more, got %d", version)
	}
}

// unresolved returns the alias of a part that has no version yet.
func unresolved(version int64, alias string) string {
	if version != 0 {
		return ""
	}
	return alias
}

func (c *routeCheck) shadows(r *Route) {
	if len(r.Shadows) > MaxShadows {
		c.add("shadows", "expected at most %d shadows, got %d", MaxShadows, len(r.Shadows))
		return
	}
	type key struct {
		version int64
		alias   string
	}
	seen := map[key]int{}
	for i, s := range r.Shadows {
		at := fmt.Sprintf("shadows[%d]", i)
		c.version(at, s.Version, s.Alias)
		k := key{s.Version, unresolved(s.Version, s.Alias)}
		if s.Sample < 0 || s.Sample > TotalWeight {
			c.add(at+".sample", "expected 0 to %d basis points, got %d", TotalWeight, s.Sample)
		}
		for j, v := range r.Variants {
			if v.Version == s.Version && unresolved(v.Version, v.Alias) == k.alias {
				c.add(at+".version", "version %d is variants[%d]; a variant of a route cannot be its shadow", s.Version, j)
				break
			}
		}
		if first, twice := seen[k]; twice {
			c.add(at+".version", "version %d is already shadows[%d]", s.Version, first)
		}
		seen[k] = i
	}
}

func (c *routeCheck) sticky(s Sticky) {
	const maxName = 128
	switch {
	case s.Header != "" && s.Parameter != "":
		c.add("sticky", "expected a header or a parameter, got both")
	case len(s.Header) > maxName || strings.ContainsFunc(s.Header, notHeaderLetter):
		c.add("sticky.header", "expected the name of a header, at most %d letters, digits and any of !#$%%&'*+-.^_`|~", maxName)
	case len(s.Parameter) > maxName || !utf8.ValidString(s.Parameter):
		c.add("sticky.parameter", "expected UTF-8 of at most %d bytes", maxName)
	case reserved(s.Parameter):
		c.add("sticky.parameter", "the protocol reserves the parameter '%s'; choose another name", s.Parameter)
	}
}

// reserved reports whether the protocol defines or refuses a parameter.
func reserved(parameter string) bool {
	switch parameter {
	case "priority", "timeout", "binary_data_output":
		return true
	}
	return strings.HasPrefix(parameter, "triton_") || strings.HasPrefix(parameter, "sequence_") || strings.HasPrefix(parameter, "shared_memory_")
}

// notHeaderLetter reports whether RFC 9110, 5.6.2, does not allow r in a field's name.
func notHeaderLetter(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}
