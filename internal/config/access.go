package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Anonymous is the name of the caller without credentials.
const Anonymous = "anonymous"

// Auth configures who must authenticate, and the issuers of tokens.
type Auth struct {
	Required bool     `yaml:"required" default:"false" doc:"true: a request without credentials may only ask for health (and for metrics and readiness of the admin port, unless metrics.public is false)."`
	JWT      []Issuer `yaml:"jwt" default:"[]" doc:"Issuers whose tokens (JWT) are credentials."`
}

// Issuer configures an issuer of tokens.
type Issuer struct {
	Issuer       string        `yaml:"issuer" required:"true" doc:"The claim iss of its tokens, exactly."`
	Audience     string        `yaml:"audience" required:"true" doc:"A value that the claim aud of its tokens must have."`
	JWKSFile     string        `yaml:"jwks_file" default:"\"\"" doc:"File of its public keys (JWK set). It is read again when it changes. Set either this or jwks_url."`
	JWKSURL      string        `yaml:"jwks_url" default:"\"\"" doc:"URL of its public keys, https, or http on a loopback address. They are fetched again from time to time, never for a request."`
	SubjectClaim string        `yaml:"subject_claim" default:"sub" doc:"The claim with the name of the bearer."`
	GroupsClaim  string        `yaml:"groups_claim" default:"groups" doc:"The claim with the bearer's groups. A subject that no caller has is a member of those that are configured here."`
	Algorithms   []string      `yaml:"algorithms" default:"[RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA]" enum:"RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512|EdDSA" doc:"Algorithms of signatures that are accepted."`
	Leeway       time.Duration `yaml:"leeway" default:"30s" min:"0s" max:"10m" doc:"Difference between the clocks of the issuer and this host that is accepted."`
}

// Group is what several callers may do.
type Group struct {
	Allow  []Allow `yaml:"allow" default:"[]" doc:"What its members may do."`
	Limits []Quota `yaml:"limits" default:"[]" doc:"Limits of each of its members, not of all together."`
}

// Caller is who sends requests.
type Caller struct {
	Keys         []Key     `yaml:"keys" default:"[]" doc:"Bearer keys. Several are for a rotation: add the new one, then remove the old one."`
	Certificates []string  `yaml:"certificates" default:"[]" doc:"Names of client certificates: URI, DNS name or e-mail address in the subject alternative name, exactly."`
	JWT          []Subject `yaml:"jwt" default:"[]" doc:"Bearers of tokens (JWT) that are this caller."`
	Groups       []string  `yaml:"groups" default:"[]" doc:"Groups whose rights and limits the caller has too."`
	Allow        []Allow   `yaml:"allow" default:"[]" doc:"What the caller may do."`
	Limits       []Quota   `yaml:"limits" default:"[]" doc:"Limits of the caller. At most 32, with those of its groups."`
}

// Subject is the bearer of a token.
type Subject struct {
	Issuer  string `yaml:"issuer" required:"true" doc:"One of auth.jwt."`
	Subject string `yaml:"subject" required:"true" doc:"The value of the issuer's subject_claim."`
}

// Allow allows actions on models.
type Allow struct {
	Models  []string `yaml:"models" required:"true" doc:"Names of models and routes, as requests call them. * stands for any characters: churn-*."`
	Actions []string `yaml:"actions" required:"true" enum:"infer|metadata|statistics|load|register|route|override|rollout|approve|label|signal|capture|admin" doc:"What is allowed: docs/access.md has the endpoints of each."`
}

// Quota limits the requests of a caller to some models, taken together.
type Quota struct {
	Models            []string `yaml:"models" required:"true" doc:"As in allow. A request that names no model counts for '*' only."`
	RequestsPerSecond float64  `yaml:"requests_per_second" default:"0" min:"0" max:"1000000000" doc:"Requests to the data plane. More are answered 429. 0: no limit."`
	Burst             int      `yaml:"burst" default:"0" min:"0" max:"1000000000" doc:"Requests that may come at once. 0: those of one second."`
	RowsPerSecond     float64  `yaml:"rows_per_second" default:"0" min:"0" max:"1000000000" doc:"Rows of inferences: the first dimension of the first input. 0: no limit."`
	RowsBurst         int      `yaml:"rows_burst" default:"0" min:"0" max:"1000000000" doc:"Rows that may come at once. A request with more is refused. 0: those of one second."`
	BytesInFlight     Size     `yaml:"bytes_in_flight" default:"0" min:"0" max:"1024GiB" doc:"Memory of the requests in progress and their answers, in steps of 16 KiB a request. 0: no limit but server.http.max_body_memory."`
}

// Key is the digest of a bearer key, in hexadecimal. The key itself is not kept. The zero value stands
// for one that was not valid.
type Key string

// hashPrefix is the beginning of a hash in the file.
const hashPrefix = "sha256:"

// String hides the digest, as of a Secret.
func (Key) String() string { return "[secret]" }

// GoString hides the digest from %#v.
func (Key) GoString() string { return "[secret]" }

// MarshalText hides the digest from encoders.
func (Key) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Digest returns the digest.
func (k Key) Digest() (digest [sha256.Size]byte) {
	_, _ = hex.Decode(digest[:], []byte(k)) // the decoder has checked it
	return digest
}

// keyOf returns the digest of a secret.
func keyOf(secret Secret) Key {
	return Key(strings.TrimPrefix(HashKey(secret.Reveal()), hashPrefix))
}

// CheckKey returns an error if a key is too weak, or cannot be sent in a header.
func CheckKey(key string) error {
	if weak(Secret(key)) {
		return fmt.Errorf("a key is %d or more visible ASCII characters", minTokenBytes)
	}
	return nil
}

// CheckEntry returns an error if a part of a configuration is not valid.
func CheckEntry(text string) error {
	_, err := Parse("", []byte("repository: {path: models}\n"+text), os.LookupEnv)
	return err
}

// HashKey returns the text for the file of a key, "sha256:…".
func HashKey(key string) string {
	digest := sha256.Sum256([]byte(key))
	return hashPrefix + hex.EncodeToString(digest[:])
}

// key decodes a hash, or a key from the environment. A key in the file would be readable by all who can
// read the file, so it is refused.
func (d *decoder) key(n *yaml.Node, path string, v reflect.Value) {
	const expected = "expected 'sha256:' and 64 hexadecimal digits, which 'gateway callers hash' makes of a key, or ${NAME} for a key from the environment"
	text := n.Value
	if !isText(n) || !strings.HasPrefix(text, hashPrefix) && !strings.HasPrefix(text, "${") {
		d.problem(n, path, "a key must not be in the file: %s", expected)
		return
	}
	if strings.HasPrefix(text, "${") {
		if name := strings.TrimSuffix(text[2:], "}"); len(name)+3 != len(text) || !isVariable(name) {
			d.problem(n, path, "%s", expected)
			return
		}
		var secret Secret
		d.secret(n, path, reflect.ValueOf(&secret).Elem())
		if d.failed(path) {
			return
		}
		text = secret.Reveal()
		if !strings.HasPrefix(text, hashPrefix) {
			if weak(secret) {
				d.problem(n, path, "a key is %d or more visible ASCII characters", minTokenBytes)
				return
			}
			text = HashKey(text)
		}
	}
	digits := strings.ToLower(strings.TrimPrefix(text, hashPrefix))
	if digest, err := hex.DecodeString(digits); err != nil || len(digest) != sha256.Size {
		d.problem(n, path, "%s", expected)
		return
	}
	v.SetString(digits)
}

// access checks callers, groups and issuers.
func (d *decoder) access() {
	d.issuers()
	for _, name := range sortedKeys(d.cfg.Groups) {
		path, g := child("groups", name), d.cfg.Groups[name]
		if !isHolder(name) {
			d.problemAt(path, "the name of a group is 1 to 64 letters, digits and any of .@_-")
		}
		d.rights(path, g.Allow, g.Limits)
	}
	taken := d.takenKeys()
	certificates, subjects := map[string]string{}, map[Subject]string{}
	for _, name := range sortedKeys(d.cfg.Callers) {
		path, c := child("callers", name), d.cfg.Callers[name]
		d.callerName(path, name, &c)
		d.rights(path, c.Allow, c.Limits)
		limits := len(c.Limits)
		for i, group := range c.Groups {
			g, known := d.cfg.Groups[group]
			if !known {
				d.problemAt(element(path+".groups", i), "the group %s does not exist%s", clip(group), DidYouMean(group, sortedKeys(d.cfg.Groups)))
			}
			limits += len(g.Limits)
		}
		if limits > maxQuotas {
			d.problemAt(path+".limits", "%d limits with those of its groups, expected at most %d", limits, maxQuotas)
		}
		for i, key := range c.Keys {
			if key != "" {
				claim(d, taken, key, path, element(path+".keys", i), "key")
			}
		}
		for i, san := range c.Certificates {
			if san == "" {
				d.problemAt(element(path+".certificates", i), "expected a name, such as spiffe://example.com/billing")
				continue
			}
			claim(d, certificates, san, path, element(path+".certificates", i), "name of a certificate")
		}
		for i, s := range c.JWT {
			at := element(path+".jwt", i)
			if !slices.ContainsFunc(d.cfg.Auth.JWT, func(known Issuer) bool { return known.Issuer == s.Issuer }) && !d.failedIn(at) {
				d.problemAt(at+".issuer", "%s is not one of auth.jwt", clip(s.Issuer))
			}
			claim(d, subjects, s, path, at, "subject")
		}
	}
}

// maxQuotas is the max number of limits of a caller, with those of its groups.
const maxQuotas = 32

// callerName checks what depends on the name of a caller.
func (d *decoder) callerName(path, name string, c *Caller) {
	_, token := d.cfg.Admin.Tokens[name]
	credentials := len(c.Keys) + len(c.Certificates) + len(c.JWT)
	switch {
	case !isHolder(name):
		d.problemAt(path, "the name of a caller is 1 to 64 letters, digits and any of .@_-")
	case token:
		d.problemAt(path, "admin.tokens has the same name; each caller needs its own")
	case name == Anonymous && d.cfg.Auth.Required:
		d.problemAt(path, "has no effect: with auth.required, a request without credentials may only ask for health")
	case name == Anonymous && credentials > 0:
		d.problemAt(path, "is the caller without credentials, so it must not have keys, certificates or jwt")
	case name != Anonymous && credentials == 0 && !d.failedIn(path):
		d.problemAt(path, "has no credentials: expected keys, certificates or jwt")
	}
}

// takenKeys returns the holders of the keys that other settings have. A route may have the token of
// another, or of a holder in admin.tokens, who may do everything anyway.
func (d *decoder) takenKeys() map[Key]string {
	taken := map[Key]string{}
	add := func(path string, token Secret) {
		if token != "" {
			taken[keyOf(token)] = path
		}
	}
	for _, name := range sortedKeys(d.cfg.Routes) {
		add(child("routes", name)+".override.token", d.cfg.Routes[name].Override.Token)
	}
	for _, name := range sortedKeys(d.cfg.Admin.Tokens) {
		add(child("admin.tokens", name), d.cfg.Admin.Tokens[name])
	}
	return taken
}

// claim reports credentials that another caller has.
func claim[K comparable](d *decoder, taken map[K]string, key K, path, at, what string) {
	if other, shared := taken[key]; shared {
		d.problemAt(at, "the same %s as %s; each caller needs its own", what, other)
		return
	}
	taken[key] = path
}

// rights checks what a caller or group may do, and its limits.
func (d *decoder) rights(path string, allow []Allow, limits []Quota) {
	for i, a := range allow {
		at := element(path+".allow", i)
		d.patterns(at, a.Models)
		if len(a.Actions) == 0 && !d.failedIn(at+".actions") {
			d.problemAt(at+".actions", "must be given")
		}
	}
	for i, l := range limits {
		at := element(path+".limits", i)
		d.patterns(at, l.Models)
		if l.RequestsPerSecond == 0 && l.RowsPerSecond == 0 && l.BytesInFlight == 0 && !d.failedIn(at) {
			d.problemAt(at, "limits nothing: expected requests_per_second, rows_per_second or bytes_in_flight")
		}
		if l.Burst > 0 && l.RequestsPerSecond == 0 {
			d.problemAt(at+".burst", "has no effect without requests_per_second")
		}
		if l.RowsBurst > 0 && l.RowsPerSecond == 0 {
			d.problemAt(at+".rows_burst", "has no effect without rows_per_second")
		}
	}
}

func (d *decoder) patterns(at string, models []string) {
	if len(models) == 0 && !d.failedIn(at+".models") {
		d.problemAt(at+".models", "must be given")
	}
	for i, model := range models {
		if model == "" || len(model) > 255 {
			d.problemAt(element(at+".models", i), "expected the name of a model, in which * stands for any characters")
		}
	}
}

// issuers checks the issuers of tokens.
func (d *decoder) issuers() {
	seen := map[string]bool{}
	for i, issuer := range d.cfg.Auth.JWT {
		at := element("auth.jwt", i)
		if seen[issuer.Issuer] && issuer.Issuer != "" {
			d.problemAt(at+".issuer", "%s is named twice", clip(issuer.Issuer))
		}
		seen[issuer.Issuer] = true
		switch {
		case (issuer.JWKSFile == "") == (issuer.JWKSURL == ""):
			d.problemAt(at, "expected either jwks_file or jwks_url")
		case issuer.JWKSURL != "" && !isKeysURL(issuer.JWKSURL):
			d.problemAt(at+".jwks_url", "expected a URL that begins with https://, or with http:// and a loopback address, and has no password%s", gotURL(issuer.JWKSURL))
		case len(issuer.Algorithms) == 0:
			d.problemAt(at+".algorithms", "an empty list would accept no token")
		case issuer.SubjectClaim == "":
			d.problemAt(at+".subject_claim", "must not be empty")
		}
	}
}

// isKeysURL reports whether keys may be fetched from a URL: nobody on the way can change them.
func isKeysURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	host := u.Hostname()
	ip, err := netip.ParseAddr(host)
	return u.Scheme == "https" || u.Scheme == "http" && (host == "localhost" || err == nil && ip.IsLoopback())
}
