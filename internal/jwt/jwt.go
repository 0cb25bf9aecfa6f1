// Package jwt verifies JSON Web Tokens (RFC 7519) of configured issuers with the issuers' public
// keys, which it reads from a file or fetches from a URL.
//
// A token chooses neither its algorithm nor its key: the algorithm must be in the issuer's list,
// all of which use public keys, and the key must be in the issuer's set. Verify never waits for
// a file or the network. Run keeps the sets up to date; if that fails, the last good set stays.
package jwt

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// maxLeeway is the max of Issuer.Leeway. More would hide a clock that is wrong.
const maxLeeway = 10 * time.Minute

// Options are the inputs of a Verifier. Logger is required.
type Options struct {
	Issuers   []Issuer
	Transport http.RoundTripper // for the fetches; nil is one with the system's roots and the environment's proxy
	Logger    *zap.Logger
}

// Issuer is one whose tokens are accepted. All fields are required, except that there is one of
// KeysFile and KeysURL, and that GroupsClaim and Leeway may be empty.
type Issuer struct {
	Name     string // the value of the claim 'iss'
	Audience string // must be in the claim 'aud'
	KeysFile string // a file with a JSON Web Key Set
	KeysURL  string // its URL: https, or http to this machine
	// SubjectClaim and GroupsClaim are names of claims. If a token has no claim of that name, dots
	// lead into objects: 'realm_access.roles'.
	SubjectClaim string
	GroupsClaim  string
	Algorithms   []string // those of its signatures: RS256, ES256, …
	Leeway       time.Duration
}

// Stats is the state of the keys of an issuer.
type Stats struct {
	Issuer   string
	Keys     int       // the number of keys that can be used; 0 before the first success
	Updated  time.Time // when the keys were last known to be the issuer's; zero before the first success
	Failures int64     // reads and fetches that failed, since the start
}

// Verifier verifies tokens. Its methods are safe for concurrent use.
type Verifier struct {
	log       *zap.Logger
	transport http.RoundTripper
	trust     atomic.Pointer[trust]

	mu      sync.Mutex    // held while trust is replaced
	changed chan struct{} // tells Run of that; has room for one
}

// trust is whose tokens are accepted. It does not change.
type trust struct {
	issuers    map[string]*issuer
	algorithms []jose.SignatureAlgorithm // of all issuers
}

// New reads the files with keys and connects to nothing. Errors are of code Invalid.
func New(opts Options) (*Verifier, error) {
	v := &Verifier{log: opts.Logger, transport: opts.Transport, changed: make(chan struct{}, 1)}
	if v.transport == nil {
		v.transport = newTransport()
	}
	v.trust.Store(&trust{})
	if err := v.Replace(opts.Issuers); err != nil {
		return nil, err
	}
	return v, nil
}

// Replace replaces the issuers. Those that did not change keep their keys. After an error nothing
// has changed. Errors are of code Invalid.
func (v *Verifier) Replace(issuers []Issuer) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	old, t := v.trust.Load(), &trust{issuers: map[string]*issuer{}}
	for n := range issuers {
		opts := &issuers[n]
		if t.issuers[opts.Name] != nil {
			return infer.Errorf(infer.Invalid, "the issuer '%s' is given twice, expected once", opts.Name)
		}
		i := old.issuers[opts.Name]
		if i == nil || !reflect.DeepEqual(i.Issuer, *opts) {
			var err error
			if i, err = v.newIssuer(opts); err != nil {
				return infer.Errorf(infer.Invalid, "issuer '%s': %s", opts.Name, err)
			}
		}
		t.issuers[opts.Name] = i
		t.algorithms = append(t.algorithms, i.algorithms...)
	}
	v.trust.Store(t)
	select {
	case v.changed <- struct{}{}:
	default: // Run already knows that there is a change
	}
	return nil
}

// Run reads and fetches the keys until ctx ends.
func (v *Verifier) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	running := map[*issuer]context.CancelFunc{}
	for {
		t := v.trust.Load()
		for i, stop := range running {
			if t.issuers[i.Name] != i {
				stop()
				delete(running, i)
			}
		}
		for _, i := range t.issuers {
			if running[i] == nil {
				own, stop := context.WithCancel(ctx)
				running[i] = stop
				all.Go(func() { i.run(own) })
			}
		}
		select {
		case <-v.changed:
		case <-ctx.Done():
			for _, stop := range running {
				stop()
			}
			return nil
		}
	}
}

// Stats returns the state of each issuer, sorted by name.
func (v *Verifier) Stats() (list []Stats) {
	issuers := v.trust.Load().issuers
	for _, name := range slices.Sorted(maps.Keys(issuers)) {
		list = append(list, issuers[name].stats())
	}
	return list
}

// newIssuer checks the options and reads the file.
func (v *Verifier) newIssuer(opts *Issuer) (*issuer, error) {
	switch {
	case opts.Name == "" || opts.Audience == "" || opts.SubjectClaim == "":
		return nil, errors.New("the name, the audience and the claim with the subject must not be empty")
	case (opts.KeysFile == "") == (opts.KeysURL == ""):
		return nil, errors.New("expected either a file or a URL of its keys")
	case opts.Leeway < 0 || opts.Leeway > maxLeeway:
		return nil, fmt.Errorf("the leeway is %s, expected 0 to %s", opts.Leeway, maxLeeway)
	case len(opts.Algorithms) == 0:
		return nil, errors.New("expected at least one algorithm")
	}
	i := &issuer{Issuer: *opts, log: v.log.With(zap.String("issuer", opts.Name)), unknown: make(chan struct{}, 1)}
	for _, name := range opts.Algorithms {
		if keyKind(jose.SignatureAlgorithm(name)) == "" {
			return nil, fmt.Errorf("'%s' is not an algorithm with a public key that is supported: expected RS256, PS256, ES256, their longer forms, or EdDSA", name)
		}
		i.algorithms = append(i.algorithms, jose.SignatureAlgorithm(name))
	}
	if opts.KeysURL != "" {
		to, err := url.Parse(opts.KeysURL)
		if err != nil || !allowed(to) {
			return nil, errors.New("the URL of its keys: expected https:// and a host, or http:// and this machine, without a user")
		}
		i.source = newRemote(opts.KeysURL, v.transport)
		return i, nil
	}
	i.source = &file{path: opts.KeysFile}
	keys, _, err := i.source.load(context.Background()) //nolint:forbidigo // a file needs no context
	if err != nil {
		return nil, fmt.Errorf("the file with its keys: %w", err)
	}
	i.take(keys)
	return i, nil
}

// allowed reports whether keys may be fetched from a URL: nobody between may change them.
func allowed(to *url.URL) bool {
	return to.Host != "" && to.User == nil && (to.Scheme == "https" || to.Scheme == "http" && loopback(to.Hostname()))
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
