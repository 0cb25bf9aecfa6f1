package callers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"sluice.io/sluice/internal/infer"
)

// Grant is what a caller may do, and how much of it.
type Grant struct {
	Allow  []Rule
	Limits []Limit
}

// Member is a configured caller.
type Member struct {
	Grant

	Name         string
	Groups       []string
	Keys         []Key
	Certificates []string  // names of certificates, as NamesOf returns them
	Subjects     []Subject // whose tokens are this caller's
}

// Options are the inputs of a Book.
type Options struct {
	Callers []Member // Anonymous too, unless it has the default rights
	Groups  map[string]Grant
	// Implied are callers that have a key and rights, but whose presence leaves Anonymous its default
	// rights.
	Implied []Member
	// Required leaves Anonymous without rights, whatever Callers says.
	Required bool
	// PrivateMetrics makes the metrics need credentials.
	PrivateMetrics bool
	Verifier       Verifier  // nil: tokens are not accepted
	Counters       *Counters // nil: requests are not counted
	Trainers       *Trainers // nil: there are none
}

// Book has all callers. Its methods may be called from any goroutine.
type Book struct {
	anonymous      *Caller
	list           []*Caller // sorted by name
	keys           map[Key]*Caller
	certificates   map[string]*Caller
	subjects       map[Subject]*Caller
	groups         map[string]Grant
	credentialed   bool // a request may show credentials
	open           bool // nobody is configured: there is no access control
	implied        bool // the rights of Anonymous are the default ones
	required       bool
	privateMetrics bool
	verifier       Verifier
	seen           *seen
	refusals       *refusals
	counters       *Counters
	trainers       *Trainers

	claiming sync.Mutex
	claimers *lru.Cache[Subject, *Caller] // callers that only their tokens name; a later book has the same cache
}

// maxClaimers is how many callers are remembered that only their tokens name. One that was forgotten
// begins again with unused limits.
const maxClaimers = 10_000

// New returns a Book. before is the one that it replaces, nil if it is the first: limits that did not
// change keep their state.
func New(o Options, before *Book) (*Book, error) {
	b := &Book{
		keys: map[Key]*Caller{}, certificates: map[string]*Caller{}, subjects: map[Subject]*Caller{}, groups: o.Groups,
		seen: newSeen(), required: o.Required, privateMetrics: o.PrivateMetrics, verifier: o.Verifier, counters: o.Counters, trainers: o.Trainers,
		open: len(o.Callers) == 0 && !o.Required && o.Verifier == nil,
	}
	if before == nil {
		before = &Book{}
	}
	b.credentialed = o.Required || o.Verifier != nil || len(o.Implied) > 0
	for _, m := range slices.Concat(o.Callers, o.Implied) {
		if m.Name == Anonymous && o.Required {
			continue
		}
		if err := b.add(&m, before); err != nil {
			return nil, err
		}
	}
	b.credentialed = b.credentialed || len(b.list) > 0
	if b.anonymous == nil {
		b.implied = true
		if err := b.add(b.nobody(), before); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(b.list, func(x, y *Caller) int { return strings.Compare(x.name, y.name) })
	var err error
	if b.claimers = before.claimers; b.claimers == nil {
		b.claimers, err = lru.New[Subject, *Caller](maxClaimers)
	}
	if err == nil {
		b.refusals, err = newRefusals(before.refusals)
	}
	return b, err
}

// nobody returns Anonymous with its default rights: without any other caller everything but the
// choice of a version, which always needed a key; else what applications need of a data plane.
func (b *Book) nobody() *Member {
	allowed := Infer | Metadata | Statistics
	switch {
	case b.required:
		allowed = 0
	case b.open:
		allowed = All &^ Override
	}
	return &Member{Name: Anonymous, Grant: Grant{Allow: []Rule{{Models: []string{everyModel}, Actions: allowed}}}}
}

// add adds a configured caller.
func (b *Book) add(m *Member, before *Book) error {
	grants := []Grant{m.Grant}
	for _, name := range m.Groups {
		g, ok := b.groups[name]
		if !ok {
			return fmt.Errorf("callers: caller %s is in the group %s, which does not exist", m.Name, name)
		}
		grants = append(grants, g)
	}
	var earlier []*limit
	if c := before.named(m.Name); c != nil {
		earlier = c.limits
	}
	c, err := b.newCaller(m.Name, m.Groups, grants, earlier)
	if err != nil {
		return err
	}
	c.has = Credited{Keys: len(m.Keys), Certificates: len(m.Certificates), Tokens: len(m.Subjects)}
	if m.Name == Anonymous {
		if c.has != (Credited{}) {
			return fmt.Errorf("callers: %s is the caller without credentials, and must have none", Anonymous)
		}
		b.anonymous = c
	}
	b.list = append(b.list, c)
	for _, key := range m.Keys {
		err = claim(err, "key", b.keys, key, c)
	}
	for _, name := range m.Certificates {
		err = claim(err, "name of a certificate", b.certificates, name, c)
	}
	for _, s := range m.Subjects {
		err = claim(err, "subject of tokens", b.subjects, s, c)
	}
	return err
}

// claim gives credentials to a caller, unless another has them.
func claim[K comparable](err error, what string, all map[K]*Caller, key K, c *Caller) error {
	if err != nil {
		return err
	}
	if other := all[key]; other != nil {
		return fmt.Errorf("callers: %s and %s have the same %s", other.name, c.name, what)
	}
	all[key] = c
	return nil
}

func (b *Book) newCaller(name string, groups []string, grants []Grant, earlier []*limit) (*Caller, error) {
	c := &Caller{name: name, groups: groups}
	var limits []Limit
	for _, g := range grants {
		c.listed = append(c.listed, g.Allow...)
		limits = append(limits, g.Limits...)
	}
	if len(limits) > MaxLimits {
		return nil, fmt.Errorf("callers: caller %s has %d limits, expected at most %d", name, len(limits), MaxLimits)
	}
	c.rules = compileRules(c.listed)
	c.limits = newLimits(limits, earlier)
	c.counts = b.counters.of(name)
	return c, nil
}

func (b *Book) named(name string) *Caller {
	i := slices.IndexFunc(b.list, func(c *Caller) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return b.list[i]
}

// claimed returns the caller of verified claims: the one that is configured for the subject, or one
// with the name of the subject in those of the token's groups that exist.
func (b *Book) claimed(claims *Claims) (*Caller, error) {
	subject := Subject{claims.Issuer, claims.Subject}
	if c := b.subjects[subject]; c != nil {
		return c, nil
	}
	groups := names(slices.DeleteFunc(slices.Clone(claims.Groups), func(name string) bool {
		_, known := b.groups[name]
		return !known
	}))
	if len(groups) == 0 {
		return nil, infer.Errorf(infer.Forbidden, "the token is valid, but neither its subject nor one of its groups is known to this gateway")
	}
	b.claiming.Lock()
	defer b.claiming.Unlock()
	grants := make([]Grant, len(groups))
	for i, name := range groups {
		grants[i] = b.groups[name]
	}
	var earlier []*limit
	if c, ok := b.claimers.Get(subject); ok {
		earlier = c.limits
	}
	// The prefix keeps a subject from looking like a configured caller in the journal.
	c, err := b.newCaller("jwt:"+printable(claims.Subject), groups, grants, earlier)
	if err != nil {
		return nil, infer.Errorf(infer.Forbidden, "the token is valid, but its groups have more than %d limits together", MaxLimits)
	}
	c.has.Tokens = 1
	b.claimers.Add(subject, c)
	return c, nil
}

// Opens reports whether an endpoint needs no credentials and no rights.
func (b *Book) Opens(need Need) bool {
	switch need.Scope {
	case Open:
		return true
	case OpenMetrics:
		return !b.privateMetrics
	case OpenDocument:
		return !b.required
	default:
		return false
	}
}

// Authorize returns the caller of a request if it may use an endpoint, on the model that the request
// names. The caller is nil if the endpoint is open. Errors are those of Identify and Caller.May; the
// caller is known even so if it was identified.
func (b *Book) Authorize(shown Credentials, need Need, model string) (*Caller, error) {
	if b.Opens(need) {
		return nil, nil //nolint:nilnil // an open endpoint has no caller
	}
	c, err := b.Identify(shown)
	if err != nil {
		return nil, err
	}
	return c, c.Meets(need, model)
}

// IsOpen reports whether there is no access control, since nobody is configured.
func (b *Book) IsOpen() bool { return b.open }

// HasCredentials reports whether any credentials are configured. If not, those of a request are ignored.
func (b *Book) HasCredentials() bool { return b.credentialed }

// ImpliesAnonymous reports whether Anonymous has its default rights, which nobody has configured.
func (b *Book) ImpliesAnonymous() bool { return b.implied }

// Callers returns the configured callers, Anonymous, and the trainers of retrainings in progress, sorted by name.
func (b *Book) Callers() []*Caller {
	list := append(slices.Clone(b.list), b.trainers.list()...)
	slices.SortFunc(list, func(x, y *Caller) int { return strings.Compare(x.name, y.name) })
	return list
}

// Groups returns the names of the groups, sorted.
func (b *Book) Groups() []string { return slices.Sorted(maps.Keys(b.groups)) }
