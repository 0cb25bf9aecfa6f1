package app_test

import (
	"net/http"
	"strings"
	"testing"

	"sluice.io/sluice/client"
)

// A reload that removes a caller ends its session, also if a later one adds the caller again.
func TestReloadEndsSessions(t *testing.T) {
	const (
		root  = "admin.tokens: {root: root-token-of-the-gateway}"
		alice = "callers: {alice: {keys: [\"${SLUICE_TEST_ALICE}\"], allow: [{models: [double], actions: [metadata, infer]}]}}"
	)
	t.Setenv("SLUICE_TEST_ALICE", "alice-alice-alice")
	dir := doubles(t, 1)
	g := startOn(t, &fakes{}, dir, root, alice)
	signIn := func() string {
		t.Helper()
		r, err := g.send(t.Context(), http.MethodPost, g.admin+"/api/v1/session", "", "Authorization", "Bearer alice-alice-alice")
		cookie, _, _ := strings.Cut(r.header.Get("Set-Cookie"), ";")
		if err != nil || r.status != http.StatusOK || cookie == "" {
			t.Fatalf("%+v %v", r, err)
		}
		return cookie
	}
	cookie := signIn()
	infer := func(want int) {
		t.Helper()
		r, err := g.send(t.Context(), http.MethodPost, g.admin+"/api/v1/models/double/infer", oneRow, "Cookie", cookie, "Sluice-Session", "1")
		if err != nil || r.status != want {
			t.Errorf("%+v %v, want %d", r, err, want)
		}
	}
	reload := func(yaml ...string) {
		t.Helper()
		g.configure(t, dir, yaml...)
		if r, err := g.send(t.Context(), http.MethodPost, g.admin+"/-/reload", "", "Authorization", "Bearer root-token-of-the-gateway"); err != nil || r.status != http.StatusOK {
			t.Fatalf("%+v %v", r, err)
		}
	}
	infer(http.StatusOK)
	reload(root, alice)
	infer(http.StatusOK)
	reload(root)
	reload(root, alice)
	infer(http.StatusUnauthorized)
	cookie = signIn()
	infer(http.StatusOK)

	c, err := client.New(client.Options{Admin: g.admin, Token: "alice-alice-alice"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Session(t.Context())
	if err != nil || s.Caller != "alice" || s.Anonymous || len(s.May) != 1 || strings.Join(s.May[0].Actions, " ") != "infer metadata" || s.May[0].Models[0] != "double" {
		t.Errorf("%+v %v", s, err)
	}
}
