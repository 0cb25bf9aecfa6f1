package httpapi_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/testing/access"
)

func TestActorOfAChange(t *testing.T) {
	f := func(tokens map[string]string, want api.Actor, fields ...string) {
		t.Helper()
		s := &stub{explicit: true}
		addr := start(t, s, func(o *options) { o.Callers = access.Keys(tokens) })
		for _, verb := range []string{"load", "unload"} {
			if a := post(t, addr, "/v2/repository/models/double/"+verb, "", fields...); a.status != 200 {
				t.Errorf("%.100q: %+v", fields, a)
			}
		}
		if diff := cmp.Diff([]api.Actor{want, want}, s.by); diff != "" {
			t.Errorf("%.100q (-want +got):\n%s", fields, diff)
		}
	}
	alice := map[string]string{"alice": "secret"}
	f(nil, api.Actor{Actor: "anonymous"})
	f(nil, api.Actor{Actor: "anonymous"}, "Sluice-Actor: ", "Sluice-Change-Reason:", "Authorization: Bearer secret")
	f(nil, api.Actor{Actor: "carol", Reason: "too slow"}, "sluice-actor: carol", "Sluice-Change-Reason:  too slow ")
	f(nil, api.Actor{Actor: "Zoë", Reason: "größer\u3000😀"}, "Sluice-Actor: Zoë", "Sluice-Change-Reason: größer\u3000😀")
	f(nil, api.Actor{Actor: "carol", Reason: strings.Repeat("r", 1024)}, "Sluice-Actor: carol", "Sluice-Change-Reason: "+strings.Repeat("r", 1024))
	f(alice, api.Actor{Actor: "alice", Verified: true, Reason: "because"}, "Authorization: Bearer secret", "Sluice-Actor: mallory", "Sluice-Change-Reason: because")
}

func TestBadActorsAreRefused(t *testing.T) {
	s := &stub{explicit: true}
	addr := start(t, s, nil)
	f := func(text string, fields ...string) {
		t.Helper()
		for _, verb := range []string{"load", "unload"} {
			if a := post(t, addr, "/v2/repository/models/double/"+verb, "", fields...); a.status != 400 || !strings.Contains(a.body, text) {
				t.Errorf("%.100q: %+v, want 400 with %q", fields, a, text)
			}
		}
		if a := post(t, addr, inferPath, good, fields...); a.status != 200 { // an inference needs no token
			t.Errorf("%.100q: %+v", fields, a)
		}
	}
	for _, name := range []string{"Sluice-Actor", "Sluice-Change-Reason"} {
		bad := "header '" + name + "' must be printable UTF-8 of at most 1024 bytes"
		f(bad, name+": "+strings.Repeat("x", 1025))
		f(bad, name+": \xff\xfe")
		f(bad, name+": a\tb")
		f(bad, name+": a\u202eb") // would reverse the text
		f(bad, name+": a\u2028b")
		f("header '"+name+"' is given more than once", name+": a", name+": a")
	}
	if len(s.loaded) > 0 {
		t.Errorf("did %q", s.loaded)
	}
}
