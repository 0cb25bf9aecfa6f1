package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
)

func digestOf(letter string) string { return "sha256:" + strings.Repeat(letter, 64) }

// trailFold has an event of each type about versions that serve.
func trailFold(t *testing.T) *fold {
	t.Helper()
	f := &fold{served: map[string]api.ServedAt{}}
	add := func(kind, subject string, after any) {
		t.Helper()
		e := api.Event{
			Seq: int64(len(f.events) + 1), Time: foldAt.Add(time.Duration(len(f.events)) * time.Minute), Type: kind, Subject: subject, Origin: api.OriginGateway,
		}
		var err error
		if e.After, err = json.Marshal(after); err != nil || after == nil {
			e.After = nil
		}
		f.events = append(f.events, e)
	}
	version := func(kind string, c api.VersionChange) {
		t.Helper()
		c.Model, c.Version = "iris", 3
		if c.Role == "" {
			c.Role = api.RoleLive
		}
		add(kind, "models/iris/3", c)
	}
	start := func(before *api.GatewayEnd) {
		t.Helper()
		add(api.EventGatewayStarted, api.SubjectGateway, api.GatewayStart{Version: "1.2.3", Before: before})
	}
	start(nil)
	version(api.EventVersionLoaded, api.VersionChange{Digest: digestOf("a"), Cause: api.CauseStart})
	version(api.EventVersionReplaced, api.VersionChange{Was: digestOf("a"), Digest: digestOf("b"), Cause: api.CausePoll})
	version(api.EventVersionReplaced, api.VersionChange{Was: digestOf("b"), Digest: digestOf("b"), Cause: api.CauseReload})
	version(api.EventVersionFailed, api.VersionChange{Digest: digestOf("c"), Cause: api.CauseReload, Reason: "not\nONNX"})
	version(api.EventVersionFailed, api.VersionChange{Files: "f", Cause: api.CausePoll, Reason: "no model.onnx"})
	version(api.EventVersionLoaded, api.VersionChange{Role: api.RoleShadow, Digest: digestOf("b"), Cause: api.CauseRoute})
	add(api.EventDefaultChanged, "models/iris", api.DefaultChange{Model: "iris", Version: 3, Cause: api.CauseStart})
	add(api.EventDefaultChanged, "models/iris", api.DefaultChange{Model: "iris", Version: 2, Was: 3, Cause: api.CauseCall})
	version(api.EventBreakerOpened, api.VersionChange{Digest: digestOf("b"), Cause: api.CauseRequests})
	version(api.EventBreakerClosed, api.VersionChange{Digest: digestOf("b"), Cause: api.CauseRequests})
	version(api.EventVersionRetired, api.VersionChange{Digest: digestOf("b"), Cause: api.CauseRoute})
	version(api.EventVersionUnloaded, api.VersionChange{Digest: digestOf("b"), Cause: api.CauseCall})
	add(api.EventGatewayStopped, api.SubjectGateway, nil)
	start(&api.GatewayEnd{How: api.EndStopped, LastAlive: foldAt})
	start(&api.GatewayEnd{How: api.EndKilled, LastAlive: foldAt})
	start(&api.GatewayEnd{How: api.EndUnknown, LastAlive: foldAt})
	add(api.EventVersionLoaded, "models/iris/3", []int{1})
	return f
}

const trailLines = `1       2026-05-04 03:02:01  gateway.started       gateway                   gateway               -                         version 1.2.3; the first start
2       2026-05-04 03:03:01  version.loaded        models/iris/3             gateway               -                         digest aaaaaaaaaaaa, cause start
3       2026-05-04 03:04:01  version.replaced      models/iris/3             gateway               -                         digest aaaaaaaaaaaa → bbbbbbbbbbbb, cause poll
4       2026-05-04 03:05:01  version.replaced      models/iris/3             gateway               -                         digest bbbbbbbbbbbb loaded again, cause reload
5       2026-05-04 03:06:01  version.failed        models/iris/3             gateway               -                         digest cccccccccccc, cause reload: not ONNX
6       2026-05-04 03:07:01  version.failed        models/iris/3             gateway               -                         cause poll: no model.onnx
7       2026-05-04 03:08:01  version.loaded        models/iris/3             gateway               -                         shadow, digest bbbbbbbbbbbb, cause route
8       2026-05-04 03:09:01  default.changed       models/iris               gateway               -                         none → v3, cause start
9       2026-05-04 03:10:01  default.changed       models/iris               gateway               -                         v3 → v2, cause call
10      2026-05-04 03:11:01  breaker.opened        models/iris/3             gateway               -                         digest bbbbbbbbbbbb, cause requests
11      2026-05-04 03:12:01  breaker.closed        models/iris/3             gateway               -                         digest bbbbbbbbbbbb, cause requests
12      2026-05-04 03:13:01  version.retired       models/iris/3             gateway               -                         digest bbbbbbbbbbbb, cause route
13      2026-05-04 03:14:01  version.unloaded      models/iris/3             gateway               -                         digest bbbbbbbbbbbb, cause call
14      2026-05-04 03:15:01  gateway.stopped       gateway                   gateway               -                         
15      2026-05-04 03:16:01  gateway.started       gateway                   gateway               -                         version 1.2.3; the previous run stopped at 2026-05-04 03:02:01
16      2026-05-04 03:17:01  gateway.started       gateway                   gateway               -                         version 1.2.3; the previous run was killed between its last heartbeat, at 2026-05-04 03:02:01, and this start
17      2026-05-04 03:18:01  gateway.started       gateway                   gateway               -                         version 1.2.3; it is not known how the previous run ended
18      2026-05-04 03:19:01  version.loaded        models/iris/3             gateway               -                         in a form that this program does not know
`

func TestJournalOfWhatServes(t *testing.T) {
	url := sideOf(t, trailFold(t))
	expect(t, result{exitOK, journalHead + trailLines, ""}, command(t, "", []string{"journal", "--admin", url}))
}

func TestJournalFilters(t *testing.T) {
	f := newFold()
	url := sideOf(t, f)
	ask := func(args ...string) admin.EventFilter {
		t.Helper()
		if got := command(t, "", append([]string{"journal", "--admin", url}, args...)); got.code != exitOK {
			t.Errorf("%v = %+v", args, got)
		}
		return f.filter
	}
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	want := admin.EventFilter{Subject: "models/iris/", Types: []string{"version.", "route.set", "gateway."}, Since: noon, Until: noon.Add(time.Hour)}
	got := ask("--type", "version.,route.set", "--type", "gateway.", "--since", "2026-11-30T12:00:00Z", "--until", "2026-11-30T14:00:00+01:00", "--subject", "models/iris/")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := ask("--since", "2h").Since; time.Since(got) < 2*time.Hour || time.Since(got) > 3*time.Hour {
		t.Errorf("2h ago is %v", got)
	}
	refused := func(part string, args ...string) {
		t.Helper()
		got := command(t, "", append(args, "--admin", url))
		if got.code != exitUsage || !strings.Contains(got.errOut, part) {
			t.Errorf("%v = %+v, want %q", args, got, part)
		}
	}
	for _, text := range []string{"noon", "2", "-2h", "2026-11-30", "2026-11-30T12:00:00"} {
		refused("--since "+text+": expected a time such as", "journal", "--since", text)
		refused("--until "+text+": expected a time such as", "journal", "--until", text)
		refused("--at "+text+": expected a time such as", "routes", "get", "iris", "--at", text)
	}
	refused("--since is after --until", "journal", "--since", "1h", "--until", "2h")
	refused("not both", "journal", "--until", "1h", "--follow")
	refused("--type", "journal", "--type", "a,,b")
	refused("--at without --stats and --watch", "routes", "get", "iris", "--at", "1h", "--stats")
	refused("--at without --stats and --watch", "routes", "get", "iris", "--at", "1h", "--watch")
}

const servedBlock = `Route:     iris
Model:     iris
At:        2026-05-04 03:02:01
Gateway:   up since 2026-05-04 02:02:01, version 1.2.3
Revision:  7, set 2026-05-04 02:32:01 by alice "first users"
Sticky:    header:X-User-Id
Fallback:  v1 aaaaaaaaaaaa READY

VERSION  ROLE    WEIGHT  DIGEST        STATE        BREAKER  LOADED               REASON
1        stable  95%     aaaaaaaaaaaa  READY        closed   2026-05-04 02:02:01  -
2        canary  5%      -             UNAVAILABLE  -        -                    failed to load: not ONNX

SHADOW  SAMPLE  DIGEST        STATE  LOADED               REASON
3       10%     bbbbbbbbbbbb  READY  2026-05-04 02:02:01  -
`

func TestRouteAt(t *testing.T) {
	f := trailFold(t)
	hour := foldAt.Add(-time.Hour)
	soon := foldAt.Add(time.Minute)
	one := api.VersionAt{Version: 1, State: api.StateReady, Digest: digestOf("a"), LoadedAt: &hour, Breaker: "closed"}
	iris := api.ServedAt{
		Name: "iris", Model: "iris", Event: 9, Gateway: api.GatewayAt{State: api.GatewayUp, Version: "1.2.3", StartedAt: &hour},
		Revision: 7, Change: &api.Event{
			Seq: 8, Time: foldAt.Add(-30 * time.Minute), Type: api.EventRouteSet, Subject: "routes/iris", Origin: api.OriginAPI,
			Actor: api.Actor{Actor: "alice", Verified: true, Reason: "first users"},
		},
		Variants: []api.VariantAt{
			{VersionAt: one, Weight: 9500, Role: api.RoleStable},
			{VersionAt: api.VersionAt{Version: 2, State: api.StateUnavailable, Reason: "failed to load: not\nONNX"}, Weight: 500, Role: api.RoleCanary},
		},
		Shadows: []api.ShadowAt{{VersionAt: api.VersionAt{Version: 3, State: api.StateReady, Digest: digestOf("b"), LoadedAt: &hour}, Sample: 1000}},
		Sticky:  api.Sticky{Header: "X-User-Id"}, Fallback: &one,
	}
	f.served["iris"] = iris
	f.served["wine"] = api.ServedAt{Name: "wine", Model: "wine", Gateway: api.GatewayAt{State: api.GatewayUnknown}}
	url := sideOf(t, f)
	at := foldAt.Format(time.RFC3339Nano)
	expect(t, result{exitOK, servedBlock, ""}, routesCommand(t, url, "", "get", "iris", "--at", at))
	if !f.askedAt.Equal(foldAt) {
		t.Errorf("asked for %v", f.askedAt)
	}
	routesCommand(t, url, "", "get", "iris", "--at", "2h")
	if ago := time.Since(f.askedAt); ago < 2*time.Hour || ago > 3*time.Hour {
		t.Errorf("2h ago was %v ago", ago)
	}
	expect(t, result{exitOK, `Route:     wine
Model:     wine
At:        2026-05-04 03:02:01
Gateway:   not known: the journal has no start before that time
Revision:  0 (implied)

No version answered.
`, ""}, routesCommand(t, url, "", "get", "wine", "--at", at))
	expect(t, result{exitFailed, "", "gateway: there was no route 'none' (404 Not Found)\n"}, routesCommand(t, url, "", "get", "none", "--at", at))

	var got api.ServedAt
	out := routesCommand(t, url, "", "get", "iris", "--at", at, "-o", "json")
	if err := json.Unmarshal([]byte(out.out), &got); err != nil || out.code != exitOK {
		t.Fatalf("%v in %+v", err, out)
	}
	iris.At = foldAt
	if diff := cmp.Diff(iris, got); diff != "" {
		t.Error(diff)
	}
	gateway := func(g api.GatewayAt, want string) {
		t.Helper()
		if got := gatewayText(&g); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	gateway(api.GatewayAt{State: api.GatewayDown, StoppedAt: &foldAt}, "stopped at 2026-05-04 03:02:01; it has not started since")
	gateway(api.GatewayAt{State: api.GatewayDown, StoppedAt: &foldAt, NextStart: &soon}, "stopped at 2026-05-04 03:02:01; it started again at 2026-05-04 03:03:01")
	gateway(api.GatewayAt{State: api.GatewayKilled, LastAlive: &foldAt, NextStart: &soon},
		"killed between its last heartbeat, at 2026-05-04 03:02:01, and the next start, at 2026-05-04 03:03:01; the versions below served until then")
}
