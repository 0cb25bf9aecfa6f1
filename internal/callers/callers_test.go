package callers_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

func rule(actions callers.Action, models ...string) callers.Rule {
	return callers.Rule{Models: models, Actions: actions}
}

func member(name, key string, rules ...callers.Rule) callers.Member {
	m := callers.Member{Name: name, Grant: callers.Grant{Allow: rules}}
	if key != "" {
		m.Keys = []callers.Key{callers.KeyOf([]byte(key))}
	}
	return m
}

func book(tb testing.TB, o callers.Options) *callers.Book {
	tb.Helper()
	b, err := callers.New(o, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func bearer(key string) callers.Credentials {
	return callers.Credentials{Authorization: []byte("Bearer " + key)}
}

func TestActionsHaveNames(t *testing.T) {
	names := callers.ActionNames()
	if len(names) != 13 || names[0] != "infer" || names[12] != "admin" {
		t.Fatalf("%q", names)
	}
	var all callers.Action
	for _, name := range names {
		a, ok := callers.ParseAction(name)
		if !ok || a.String() != name || all&a != 0 {
			t.Errorf("%s: %v, %v", name, a, ok)
		}
		all |= a
	}
	if all != callers.All {
		t.Errorf("%v", all)
	}
	if _, ok := callers.ParseAction("admins"); ok {
		t.Error("parsed a word that is not an action")
	}
}

func TestPatterns(t *testing.T) {
	f := func(pattern string, match, differ []string) {
		t.Helper()
		b := book(t, callers.Options{Callers: []callers.Member{member("a", "key", rule(callers.Infer, pattern))}})
		c, err := b.Identify(bearer("key"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range match {
			if !c.Can(callers.Infer, name) {
				t.Errorf("%q does not match %q", pattern, name)
			}
		}
		for _, name := range differ {
			if c.Can(callers.Infer, name) {
				t.Errorf("%q matches %q", pattern, name)
			}
		}
	}
	f("*", []string{"", "iris", "a/b", "*"}, nil)
	f("iris", []string{"iris"}, []string{"", "Iris", "iris2", "xiris", "*"})
	f("churn-*", []string{"churn-", "churn-eu", "churn-*"}, []string{"churn", "xchurn-eu", "Churn-eu"})
	f("*-eu", []string{"-eu", "churn-eu"}, []string{"eu", "churn-eu2"})
	f("a*b*c", []string{"abc", "axbxc", "abbc", "abcbc"}, []string{"ac", "acb", "abcd"})
	f("ab*ba", []string{"abba", "abxba"}, []string{"aba", "ab"})
	f("**", []string{"", "x"}, nil)
	f("a?[b]", []string{"a?[b]"}, []string{"axb"})
	f("", []string{""}, []string{"iris"})
}

// What a refused caller reads says what is missing, and nothing of what exists.
func TestMay(t *testing.T) {
	b := book(t, callers.Options{
		Callers: []callers.Member{
			member("billing", "key", rule(callers.Infer, "churn-*"), rule(callers.Metadata, "*")), member(callers.Anonymous, "", rule(callers.Metadata, "open")),
		},
	})
	f := func(shown callers.Credentials, need callers.Need, model string, code infer.Code, text string) {
		t.Helper()
		_, err := b.Authorize(shown, need, model)
		if infer.CodeOf(err) != code || err != nil && infer.Message(err) != text {
			t.Errorf("%v on %q: got %v, want %v %s", need, model, err, code, text)
		}
	}
	key, none := bearer("key"), callers.Credentials{}
	on := func(a callers.Action) callers.Need { return callers.Need{Action: a, Scope: callers.Model} }
	some := func(a callers.Action) callers.Need { return callers.Need{Action: a, Scope: callers.Some} }
	every := func(a callers.Action) callers.Need { return callers.Need{Action: a, Scope: callers.Every} }
	f(key, on(callers.Infer), "churn-eu", infer.OK, "")
	f(key, on(callers.Infer), "iris", infer.Forbidden, "caller 'billing' may not infer on model 'iris': it needs the action 'infer'")
	f(key, on(callers.Load), strings.Repeat("é", 100), infer.Forbidden, "caller 'billing' may not load or unload model '"+strings.Repeat("é", 32)+"…': it needs the action 'load'")
	f(key, some(callers.Infer), "", infer.OK, "")
	f(key, every(callers.Infer), "", infer.Forbidden, "caller 'billing' may not infer on all models ('*'): it needs the action 'infer'")
	f(key, every(callers.Metadata), "", infer.OK, "")
	f(key, some(callers.Signal), "", infer.Forbidden, "caller 'billing' may not answer signals of any model: it needs the action 'signal'")
	f(none, on(callers.Metadata), "open", infer.OK, "")
	f(none, on(callers.Infer), "iris", infer.Unauthenticated, "this request needs the action 'infer' on model 'iris': send the key of a caller that has it in the header 'Authorization: Bearer KEY'")
	f(none, callers.Need{Scope: callers.Open}, "", infer.OK, "")
	f(key, callers.Need{}, "", infer.Forbidden, "nobody may use this endpoint: it has no entry in the table of actions")
	f(key, some(0), "", infer.Forbidden, "nobody may use this endpoint: it has no entry in the table of actions")
}

func TestIdentify(t *testing.T) {
	billing := member("billing", "key-of-billing", rule(callers.All, "*"))
	billing.Keys = append(billing.Keys, callers.KeyOf([]byte("next key of billing")))
	billing.Certificates = []string{"spiffe://corp/billing"}
	ops := member("ops", "", rule(callers.All, "*"))
	ops.Certificates = []string{"ops.example", "ops@example.com"}
	b := book(t, callers.Options{Callers: []callers.Member{billing, ops}})
	f := func(c callers.Credentials, want string) {
		t.Helper()
		caller, err := b.Identify(c)
		if err != nil {
			if want != "" || infer.CodeOf(err) != infer.Unauthenticated || callers.Challenge(err) != `Bearer realm="sluice", error="invalid_token"` {
				t.Errorf("%q %q: %v", c.Authorization, c.Names, err)
			}
			return
		}
		if caller.Name() != want || caller.IsAnonymous() != (want == callers.Anonymous) {
			t.Errorf("%q %q: %s, want %s", c.Authorization, c.Names, caller.Name(), want)
		}
	}
	with := func(authorization string, names ...string) callers.Credentials {
		return callers.Credentials{Authorization: []byte(authorization), Names: names}
	}
	f(callers.Credentials{}, callers.Anonymous)
	f(with("Bearer key-of-billing"), "billing")
	f(with("bearer  key-of-billing "), "billing")
	f(with("BEARER next key of billing"), "billing")
	for _, bad := range []string{"", "Bearer", "Bearer ", "Basic a2V5LW9mLWJpbGxpbmc=", "key-of-billing", "Bearer key-of-billin", "Bearer KEY-OF-BILLING", "Bearer \x00", "Bearer a.b.c"} {
		f(with(bad), "")
		f(with(bad, "spiffe://corp/billing"), "")
	}
	f(callers.Credentials{Names: []string{"spiffe://corp/billing"}}, "billing")
	f(callers.Credentials{Names: []string{"other", "ops.example"}}, "ops")
	f(callers.Credentials{Names: []string{"OPS.example"}}, "")
	f(with("Bearer key-of-billing", "ops.example"), "billing")

	open := book(t, callers.Options{})
	if c, err := open.Identify(with("Basic x", "ops.example")); err != nil || !c.IsAnonymous() {
		t.Errorf("credentials of a gateway without callers: %v, %v", c, err)
	}
}

func TestNamesOf(t *testing.T) {
	u, err := url.Parse("spiffe://corp/billing")
	if err != nil {
		t.Fatal(err)
	}
	got := callers.NamesOf(&x509.Certificate{URIs: []*url.URL{u}, DNSNames: []string{"a.example"}, EmailAddresses: []string{"a@example"}})
	if diff := cmp.Diff([]string{"spiffe://corp/billing", "a.example", "a@example"}, got); diff != "" {
		t.Error(diff)
	}
}

// The rights of who shows no credentials.
func TestAnonymous(t *testing.T) {
	f := func(o callers.Options, want callers.Action, implied bool) {
		t.Helper()
		b := book(t, o)
		c, err := b.Identify(callers.Credentials{})
		if err != nil {
			t.Fatal(err)
		}
		var got callers.Action
		for _, name := range callers.ActionNames() {
			if a, _ := callers.ParseAction(name); c.CanEverywhere(a) {
				got |= a
			}
		}
		if got != want || b.ImpliesAnonymous() != implied {
			t.Errorf("%+v: may %v, want %v; implied %v", o, got, want, b.ImpliesAnonymous())
		}
	}
	app := callers.Infer | callers.Metadata | callers.Statistics
	one := []callers.Member{member("a", "key")}
	f(callers.Options{}, callers.All&^callers.Override, true)
	f(callers.Options{Groups: map[string]callers.Grant{"g": {}}}, callers.All&^callers.Override, true)
	f(callers.Options{Implied: one}, callers.All&^callers.Override, true)
	f(callers.Options{Callers: one}, app, true)
	f(callers.Options{Verifier: tokens{}}, app, true)
	f(callers.Options{Required: true}, 0, true)
	f(callers.Options{Required: true, Callers: one}, 0, true)
	f(callers.Options{Callers: []callers.Member{member(callers.Anonymous, "", rule(callers.Load, "*"))}}, callers.Load, false)
	f(callers.Options{Callers: []callers.Member{member(callers.Anonymous, "")}}, 0, false)
}

func TestOpens(t *testing.T) {
	f := func(o callers.Options, scope callers.Scope, want bool) {
		t.Helper()
		if got := book(t, o).Opens(callers.Need{Action: callers.Metadata, Scope: scope}); got != want {
			t.Errorf("%+v, scope %d: %v", o, scope, got)
		}
	}
	f(callers.Options{Required: true, PrivateMetrics: true}, callers.Open, true)
	f(callers.Options{Required: true}, callers.OpenMetrics, true)
	f(callers.Options{PrivateMetrics: true}, callers.OpenMetrics, false)
	f(callers.Options{}, callers.OpenDocument, true)
	f(callers.Options{Required: true}, callers.OpenDocument, false)
	f(callers.Options{}, callers.Undeclared, false)
	f(callers.Options{}, callers.Some, false)
}

func TestNewRefuses(t *testing.T) {
	f := func(o callers.Options, text string) {
		t.Helper()
		if _, err := callers.New(o, nil); err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v, want %q", err, text)
		}
	}
	f(callers.Options{Callers: []callers.Member{member("a", "secret"), member("b", "secret")}}, "a and b have the same key")
	f(callers.Options{Callers: []callers.Member{member("a", "secret")}, Implied: []callers.Member{member("b", "secret")}}, "a and b have the same key")
	f(callers.Options{Callers: []callers.Member{member(callers.Anonymous, "secret")}}, "must have none")
	one, two := member("a", ""), member("b", "")
	one.Certificates, two.Certificates = []string{"x"}, []string{"x"}
	f(callers.Options{Callers: []callers.Member{one, two}}, "a and b have the same name of a certificate")
	one.Certificates, two.Certificates = nil, nil
	one.Subjects, two.Subjects = []callers.Subject{{"i", "s"}}, []callers.Subject{{"i", "s"}}
	f(callers.Options{Callers: []callers.Member{one, two}}, "a and b have the same subject of tokens")
	one.Groups = []string{"nope"}
	f(callers.Options{Callers: []callers.Member{one}}, "the group nope")
	many := member("a", "")
	many.Limits = make([]callers.Limit, callers.MaxLimits+1)
	f(callers.Options{Callers: []callers.Member{many}}, "33 limits")
}

// tokens verifies tokens of the form issuer.subject.groups, for a second of time.
type tokens struct{ asked *int }

func (v tokens) Verify(token string) (callers.Claims, error) {
	if v.asked != nil {
		*v.asked++
	}
	parts := strings.Split(token, ".")
	switch parts[0] {
	case "bad":
		return callers.Claims{}, infer.Errorf(infer.Unauthenticated, "the token has expired")
	case "early":
		return callers.Claims{}, infer.Errorf(infer.Unavailable, "the keys are not loaded yet")
	case "broken":
		return callers.Claims{}, errors.New("broken")
	}
	return callers.Claims{Issuer: parts[0], Subject: parts[1], Groups: strings.Split(parts[2], "+"), Expires: time.Now().Add(90 * time.Second)}, nil
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		alice := member("alice", "key", rule(callers.Admin, "*"))
		alice.Subjects = []callers.Subject{{"idp", "alice"}}
		b := book(t, callers.Options{
			Callers: []callers.Member{alice}, Verifier: tokens{&asked},
			Groups: map[string]callers.Grant{"analysts": {Allow: []callers.Rule{rule(callers.Statistics, "*")}}, "ops": {Allow: []callers.Rule{rule(callers.Load, "x")}}},
		})
		f := func(token, want string, groups []string, code infer.Code, times int) {
			t.Helper()
			before := asked
			c, err := b.Identify(bearer(token))
			if infer.CodeOf(err) != code || asked-before != times {
				t.Errorf("%s: %v, verified %d times, want %v, %d", token, err, asked-before, code, times)
			}
			if err == nil && (c.Name() != want || !cmp.Equal(c.Groups(), groups)) {
				t.Errorf("%s: %s in %q, want %s in %q", token, c.Name(), c.Groups(), want, groups)
			}
		}
		f("idp.alice.none", "alice", nil, infer.OK, 1)
		f("idp.alice.none", "alice", nil, infer.OK, 0)
		f("other.alice.analysts", "jwt:alice", []string{"analysts"}, infer.OK, 1) // not the configured caller
		f("idp.bob.ops+nope+analysts+ops", "jwt:bob", []string{"analysts", "ops"}, infer.OK, 1)
		f("idp.anonymous.ops", "jwt:anonymous", []string{"ops"}, infer.OK, 1)
		f("idp.a\x00\u202e\xff.ops", "jwt:a???", []string{"ops"}, infer.OK, 1)
		f("idp.carol.nope", "", nil, infer.Forbidden, 1)
		f("idp.carol.nope", "", nil, infer.Forbidden, 0) // it is remembered for a short time
		f("bad.x.y", "", nil, infer.Unauthenticated, 1)
		f("bad.x.y", "", nil, infer.Unauthenticated, 0)
		f("early.x.y", "", nil, infer.Unavailable, 1)
		f("early.x.y", "", nil, infer.Unavailable, 1)
		f("broken.x.y", "", nil, infer.Internal, 1)
		f("broken.x.y", "", nil, infer.Internal, 1)
		time.Sleep(6 * time.Second)
		f("bad.x.y", "", nil, infer.Unauthenticated, 1)
		f("idp.carol.nope", "", nil, infer.Forbidden, 1)
		f("key", "alice", nil, infer.OK, 0)
		f("a.b", "", nil, infer.Unauthenticated, 0)
		f("a.b.c.d", "", nil, infer.Unauthenticated, 0)
		time.Sleep(61 * time.Second)
		f("idp.alice.none", "alice", nil, infer.OK, 1)
		_, err := b.Identify(bearer("bad.x.y"))
		if !strings.HasSuffix(callers.Challenge(err), `error="invalid_token"`) {
			t.Errorf("challenge %s", callers.Challenge(err))
		}
	})
}

// A flood of made-up tokens is not verified, and harms neither other addresses nor whoever was accepted before.
func TestFloodsOfTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		o := callers.Options{Verifier: tokens{&asked}, Groups: map[string]callers.Grant{"g": {}}}
		b := book(t, o)
		f := func(from, token string, code infer.Code) {
			t.Helper()
			c := bearer(token)
			c.Remote = address(from)
			if _, err := b.Identify(c); infer.CodeOf(err) != code {
				t.Errorf("%s from %s: %v, want %v", token, from, err, code)
			}
		}
		flood := func(from func(i int) string) (verified int) {
			before := asked
			for i := range 1000 {
				c := bearer(fmt.Sprintf("bad.%d.y", i))
				c.Remote = address(from(i))
				_, _ = b.Identify(c)
			}
			return asked - before
		}
		f("192.0.2.1:1", "i.before.g", infer.OK)
		if n := flood(func(i int) string { return fmt.Sprintf("192.0.2.1:%d", i) }); n != 100 {
			t.Errorf("%d tokens of an address were verified, want 100", n)
		}
		f("192.0.2.1:1", "i.new.g", infer.Overloaded)
		f("[::ffff:192.0.2.1]:1", "i.new.g", infer.Overloaded)
		f("192.0.2.1:1", "i.before.g", infer.OK)
		f("192.0.2.2:1", "i.new.g", infer.OK)
		time.Sleep(61 * time.Second)
		if n := flood(func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1", i) }); n != 100 {
			t.Errorf("%d tokens of a network were verified, want 100", n)
		}
		flood(func(int) string { return "192.0.2.1:1" })
		f("192.0.2.1:1", "i.before.g", infer.OK) // it is verified again
		var err error
		if b, err = callers.New(o, b); err != nil { // a reload
			t.Fatal(err)
		}
		f("192.0.2.1:1", "i.new2.g", infer.Overloaded)
		time.Sleep(time.Second)
		f("192.0.2.1:1", "i.new2.g", infer.OK)
	})
}

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

func TestLongSubjectsAreCut(t *testing.T) {
	b := book(t, callers.Options{Verifier: tokens{}, Groups: map[string]callers.Grant{"g": {}}})
	c, err := b.Identify(bearer("i." + strings.Repeat("é", 1000) + ".g"))
	if err != nil || c.Name() != "jwt:"+strings.Repeat("é", 64)+"…" {
		t.Errorf("%v %v", c, err)
	}
}

func TestCallersAreListed(t *testing.T) {
	a := member("a", "key", rule(callers.Infer, "x"))
	a.Groups, a.Certificates = []string{"g"}, []string{"one", "two"}
	b := book(t, callers.Options{Callers: []callers.Member{a}, Groups: map[string]callers.Grant{"g": {
		Allow: []callers.Rule{rule(callers.Admin, "*")}, Limits: []callers.Limit{{Models: []string{"*"}, BytesInFlight: 7}},
	}}})
	var got []string
	for _, c := range b.Callers() {
		got = append(got, fmt.Sprint(c.Name(), c.Groups(), c.Rules(), c.Limits(), c.Credited()))
	}
	want := []string{"a[g] [{[x] infer} {[*] admin}] [{[*] 0 0 0 0 7}] {1 2 0}", "anonymous[] [{[*] infer, metadata, statistics}] [] {0 0 0}"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzIdentify(f *testing.F) {
	verified := 0
	b := book(f, callers.Options{
		Callers: []callers.Member{member("a", "the only key", rule(callers.All, "*"))}, Verifier: tokens{&verified}, Groups: map[string]callers.Grant{"g": {}},
	})
	f.Add([]byte("Bearer the only key"), "model")
	f.Add([]byte("bearer  i.s.g"), "")
	f.Add([]byte("Basic \xff"), "*")
	f.Fuzz(func(t *testing.T, authorization []byte, model string) {
		c, err := b.Authorize(callers.Credentials{Authorization: authorization}, callers.Need{Action: callers.Admin, Scope: callers.Model}, model)
		if err == nil {
			_, shown, _ := strings.Cut(string(authorization), " ")
			if authorization != nil && (c.Name() != "a" || strings.TrimSpace(shown) != "the only key") {
				t.Errorf("%q is %s", authorization, c.Name())
			}
			return
		}
		switch infer.CodeOf(err) {
		case infer.Unauthenticated, infer.Forbidden, infer.Unavailable, infer.Internal, infer.Overloaded:
		default:
			t.Errorf("%q: %v", authorization, err)
		}
	})
}
