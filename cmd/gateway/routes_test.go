package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

// routesCommand runs gateway routes against a fold, as the user "tester".
func routesCommand(t *testing.T, url, in string, args ...string) result {
	t.Helper()
	return command(t, in, append([]string{"routes", "--admin", url}, args...), "SLUICE_ACTOR", "tester")
}

func expect(t *testing.T, want, got result) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

const (
	irisBlock = `Route:     iris
Model:     iris
Revision:  2
Sticky:    header:X-User-Id
Fallback:  stable

VERSION  ROLE    WEIGHT  STATE  BREAKER    REQUESTS  ERRORS      ERROR RATE, 95%  REFUSED  FALLBACKS  P50     P99
1        stable  95%     READY  closed     9500      19 (0.20%)  0.09–0.36%       0        0          1.23ms  12.35ms
2        canary  5%      READY  half-open  500       25 (5.00%)  -                7        20         87.7µs  1.5s

SHADOW  SAMPLE  STATE  QUEUED  ANSWERED  ERRORS  DROPPED                        P50  P99
3       10%     READY  2       900       9       12 (expired 2, queue_full 10)  3ms  5ms
`
	older    = "the gateway is older and does not tell what changes; asking every 1ms\n"
	stopping = "gateway: the server is stopping (503 Service Unavailable); trying again\n"
	noReason = "note: the journal will have no reason for this change; give one with --reason\n"
)

func TestRoutesListAndGet(t *testing.T) {
	f := newFold()
	url := sideOf(t, f)
	expect(t, result{exitOK, `ROUTE  MODEL  REVISION     SPLIT                 SHADOWS  STICKY            FALLBACK
iris   iris   2            v1 95%, v2 canary 5%  v3 10%   header:X-User-Id  stable
wine   wine   0 (implied)  v4 100%               -        none              none
`, ""}, routesCommand(t, url, "", "list"))
	expect(t, result{exitOK, irisBlock, ""}, routesCommand(t, url, "", "get", "iris"))
	expect(t, result{exitFailed, "", "gateway: there is no route or model 'none' (404 Not Found)\n"}, routesCommand(t, url, "", "get", "none"))

	var route api.Route
	got := routesCommand(t, url, "", "get", "iris", "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &route); err != nil || got.code != exitOK {
		t.Fatalf("%v in %+v", err, got)
	}
	if diff := cmp.Diff(f.routes["iris"], route); diff != "" {
		t.Errorf("get -o json (-want +got):\n%s", diff)
	}
	var stats api.RouteStats
	got = routesCommand(t, url, "", "get", "iris", "-o", "json", "--stats")
	if err := json.Unmarshal([]byte(got.out), &stats); err != nil || got.code != exitOK {
		t.Fatalf("%v in %+v", err, got)
	}
	if diff := cmp.Diff(f.stats["iris"], stats); diff != "" {
		t.Errorf("get -o json --stats (-want +got):\n%s", diff)
	}
}

func TestRoutesWatch(t *testing.T) {
	f := newFold()
	f.fails = 2 // the watch must survive this
	ctx, cancel := context.WithCancel(t.Context())
	f.before = func(f *fold, what string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if what == "stats" && f.asked == 2 {
			cancel() // while the third request waits
		}
	}
	t.Setenv("SLUICE_TOKEN", "")
	var out, errOut strings.Builder
	code := run(ctx, []string{"routes", "get", "iris", "--watch", "--interval", "1ms", "--admin", sideOf(t, f)}, strings.NewReader(""), &out, &errOut, terminal)
	block := func(rate string) string {
		text := strings.ReplaceAll(irisBlock, "  ERRORS      ", "  REQ/S  ERRORS      ")
		text = strings.ReplaceAll(text, "9500      ", "9500      "+fmt.Sprintf("%-7s", rate))
		return strings.ReplaceAll(text, "500       25", "500       "+fmt.Sprintf("%-7s", rate)+"25")
	}
	expect(t, result{exitOK, block("-") + "\n" + block("0.0"), older + stopping}, result{code, out.String(), errOut.String()})
}

func TestRates(t *testing.T) {
	at := func(seconds int, requests ...int64) *look {
		l := &look{at: foldAt.Add(time.Duration(seconds) * time.Second)}
		for i, n := range requests {
			l.stats.Variants = append(l.stats.Variants, api.VariantStats{Variant: variant(int64(i+1), 50, "stable"), Total: api.VariantCount{Requests: n}})
		}
		return l
	}
	f := func(before, now *look, want rates) {
		t.Helper()
		if diff := cmp.Diff(want, now.rates(before)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	first, second := api.Variant{Version: 1, Role: api.RoleStable}, api.Variant{Version: 2, Role: api.RoleStable}
	f(nil, at(0, 1), rates{})
	f(at(0, 100, 5), at(4, 300, 5), rates{first: 50, second: 0})
	f(at(0, 100), at(4, 300, 5), rates{first: 50})  // the second variant is new
	f(at(0, 100, 5), at(4, 1, 5), rates{second: 0}) // the count of the first variant was reset
	f(at(0, 100), at(0, 300), rates{})
}

func TestRoutesSet(t *testing.T) {
	f := newFold()
	url := sideOf(t, f)
	const canary20 = `Route iris, revision 2 → 3

VERSION  ROLE    BEFORE  AFTER  REQUESTS  ERRORS      P50     P99
1        stable  95%     80%    9500      19 (0.20%)  1.23ms  12.35ms
2        canary  5%      20%    500       25 (5.00%)  87.7µs  1.5s
3        shadow  10%     10%    909       9 (0.99%)   3ms     5ms

1500 of 10000 slots `
	expect(t, result{exitOK, canary20 + "would move; this was a dry run, and nothing has changed\n", ""},
		routesCommand(t, url, "", "set", "iris", "--canary", "2=20%", "--dry-run", "--reason", "x"))
	if len(f.events) != 2 {
		t.Fatal("a dry run changed the route")
	}
	expect(t, result{exitOK, canary20 + "moved\n", ""}, routesCommand(t, url, "", "set", "iris", "--canary", "2=20%", "--reason", "no errors — in a day"))
	if diff := cmp.Diff(api.Actor{Actor: "tester", Reason: "no errors — in a day"}, f.events[2].Actor); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	expect(t, result{exitOK, "Route iris already has this state, at revision 3\n", noReason}, routesCommand(t, url, "", "set", "iris", "--canary", "2=20%"))
	got := routesCommand(t, url, "", "set", "iris", "--canary", "2=20%", "--reason", "x", "-o", "json")
	var doc api.RouteResult
	if err := json.Unmarshal([]byte(got.out), &doc); err != nil || doc.Revision != 3 || len(f.events) != 3 {
		t.Errorf("%v in %+v", err, got)
	}
	expect(t, result{exitOK, `Route iris, revision 3 → 4

VERSION  ROLE    BEFORE  AFTER  REQUESTS  ERRORS      P50     P99
2        stable  -       100%   -         -           -       -
1        stable  80%     -      9500      19 (0.20%)  1.23ms  12.35ms
2        canary  20%     -      500       25 (5.00%)  87.7µs  1.5s
1        shadow  -       50%    -         -           -       -
3        shadow  10%     -      909       9 (0.99%)   3ms     5ms

sticky header:X-User-Id → parameter:user
fallback stable → v1
8000 of 10000 slots moved
`, noReason}, routesCommand(t, url, "", "set", "iris", "--stable", "2", "--shadow", "1=50%", "--sticky", "parameter:user", "--fallback", "1"))

	// An implied route, and a route with a new name.
	expect(t, result{exitOK, `Route wine, revision 0 → 1

VERSION  ROLE    BEFORE  AFTER  REQUESTS  ERRORS  P50  P99
4        stable  100%    100%   -         -       -    -
5        canary  -       0%     -         -       -    -

0 of 10000 slots moved
`, noReason}, routesCommand(t, url, "", "set", "wine", "--canary", "5=0%"))
	expect(t, result{exitOK, `Route new, revision 0 → 1

VERSION  ROLE    BEFORE  AFTER  REQUESTS  ERRORS  P50  P99
1        stable  -       100%   -         -       -    -

model - → iris
0 of 10000 slots moved
`, noReason}, routesCommand(t, url, "", "set", "new", "--stable", "1", "--model", "iris"))
	got = routesCommand(t, url, "", "set", "typo", "--canary", "2=5%")
	if got.code != exitFailed || !strings.Contains(got.errOut, "there is no route or model 'typo'") {
		t.Errorf("%+v", got)
	}
}

func TestRoutesSetFromAFile(t *testing.T) {
	f := newFold()
	url := sideOf(t, f)
	got := routesCommand(t, url, "", "get", "iris", "-o", "json")
	edited := strings.Replace(strings.Replace(got.out, "9500", "9000", 1), "500,", "1000,", 1)
	path := filepath.Join(t.TempDir(), "iris.json")
	if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	got = routesCommand(t, url, "", "set", "iris", "-f", path)
	if got.code != exitOK || !strings.Contains(got.out, "revision 2 → 3") || f.routes["iris"].Variants[1].Weight != 1000 {
		t.Fatalf("%+v gives %+v", got, f.routes["iris"])
	}
	// The revision in the file is the one that it was made from.
	expect(t, result{exitFailed, "", noReason + `Route iris was changed in the meantime:
  revision 3, 2026-05-04 03:04:01, tester (unverified): v2 canary 5% → 10%
gateway: nothing was changed; check the new revision and retry, or give --yes
`}, routesCommand(t, url, "", "set", "iris", "-f", path))
	got = routesCommand(t, url, `{"variants":[{"version":7,"weight":10000}]}`, "set", "iris", "-f", "-")
	if got.code != exitOK || f.routes["iris"].Revision != 4 || len(f.routes["iris"].Shadows) != 0 {
		t.Errorf("a file without a revision: %+v gives %+v", got, f.routes["iris"])
	}
	bad := func(text, part string) {
		t.Helper()
		got := routesCommand(t, url, text, "set", "iris", "-f", "-")
		if got.code != exitFailed || !strings.Contains(got.errOut, part) || f.routes["iris"].Revision != 4 {
			t.Errorf("%s = %+v, want %q", text, got, part)
		}
	}
	bad("", "- is not a valid route: the file is empty")
	bad("[]", "- is not a valid route: the document: a JSON array is not valid here")
	bad(`{"variants":[{"version":1,"weight":"20%"}]}`, "- is not a valid route: variants.weight: a JSON string is not valid here")
	bad(`{"wieght":1}`, "wieght")
	bad(`{"variants":[{"version":7,"weight":10000}]} {}`, "has more text")
	bad(`{"name":"wine","variants":[{"version":7,"weight":10000}]}`, "has the route 'wine'")
	bad(`{"variants":[{"version":7,"weight":100}]}`, "add up to 100 basis points")
}

func TestRoutesUsage(t *testing.T) {
	f := func(part string, args ...string) {
		t.Helper()
		got := command(t, "", args, "SLUICE_ACTOR", "tester")
		if got.code != exitUsage || got.out != "" || !strings.Contains(got.errOut, part) || strings.Count(got.errOut, "\n") != 1 {
			t.Errorf("%v = %+v, want code 2 and one line with %q", args, got, part)
		}
	}
	f("routes get ROUTE", "routes", "get")
	f("routes get ROUTE", "routes", "get", "")
	f("table, wide, json, yaml or name", "routes", "list", "-o", "xml")
	f("--interval", "routes", "get", "iris", "--interval", "0s")
	f("expected a change", "routes", "set", "iris")
	f("expected a change", "routes", "set", "iris", "--reason", "x")
	f("write 20% or 2000bp", "routes", "set", "iris", "--canary", "2=20")
	f("--model is empty", "routes", "set", "iris", "--model", "")
	f("--sticky is empty", "routes", "set", "iris", "--sticky", "")
	f("the whole route", "routes", "set", "iris", "--canary", "2=20%", "-f", "-")
	f("one line of text", "routes", "set", "iris", "--canary", "2=20%", "--reason", "a\nb")
	f("http://", "routes", "set", "iris", "--canary", "2=20%", "--reason", "x", "--admin", "ftp://x")
	f("routes delete ROUTE", "routes", "delete")
	f("-n", "routes", "history", "iris", "-n", "-1")
	f("--after", "journal", "--after", "-1")
	f("--limit", "journal", "--limit", "-1")
	f("--interval", "journal", "--follow", "--interval", "0s")
	f("not both", "journal", "--limit", "1", "--follow")
}

// outrun makes another change before each of the next n changes of a fold.
func outrun(f *fold, n int) {
	f.before = func(f *fold, what string) {
		if what == "set" && n > 0 {
			n--
			route := f.Routes()[0]
			route.Variants = []api.Variant{variant(1, 94-n, "stable"), variant(2, 6+n, "canary")}
			f.put(route, api.OriginAPI, api.Actor{Actor: "bob", Reason: "more"})
		}
	}
}

const meanwhile = `Route iris was changed in the meantime:
  revision 3, 2026-05-04 03:04:01, bob (unverified): v2 canary 5% → 6% (more)
`

func TestRoutesSetWhenAnotherWasFirst(t *testing.T) {
	f := newFold()
	url := sideOf(t, f)
	outrun(f, 1)
	expect(t, result{exitFailed, "", meanwhile + "gateway: nothing was changed; check the new revision and retry, or give --yes\n"},
		routesCommand(t, url, "y\n", "set", "iris", "--canary", "2=20%", "--reason", "x")) // no terminal: the command cannot ask
	if f.routes["iris"].Variants[1].Weight != 600 {
		t.Errorf("%+v", f.routes["iris"])
	}

	f = newFold()
	url = sideOf(t, f)
	outrun(f, 3)
	got := routesCommand(t, url, "", "set", "iris", "--canary", "2=20%", "--reason", "x", "--yes")
	if got.code != exitOK || strings.Count(got.errOut, "changed in the meantime") != 1 || strings.Count(got.errOut, ", bob (unverified): ") != 3 || !strings.Contains(got.out, "revision 5 → 6") || !strings.Contains(got.out, "2        canary  6%      20%") {
		t.Errorf("--yes: %+v", got)
	}
	outrun(f, 1)
	got = routesCommand(t, url, "", "delete", "iris", "--reason", "x")
	if got.code != exitFailed || f.routes["iris"].Revision != 7 || !strings.Contains(got.errOut, "nothing was changed") {
		t.Errorf("delete: %+v", got)
	}
	// The route is deleted during a change.
	f.before = func(f *fold, what string) {
		if what == "set" {
			f.before = nil
			f.put(api.Route{Name: "iris"}, api.OriginAPI, api.Actor{Actor: "bob"})
		}
	}
	got = routesCommand(t, url, "", "set", "iris", "--canary", "2=21%", "--reason", "x", "--yes")
	if got.code != exitFailed || !strings.Contains(got.errOut, "there is no route") {
		t.Errorf("deleted meanwhile: %+v", got)
	}
	// Changes before the deletion do not matter to a command that saw no route.
	f.before = func(f *fold, what string) {
		if what == "set" {
			f.before = nil
			f.put(api.Route{Name: "iris", Variants: []api.Variant{variant(8, 100, "stable")}}, api.OriginAPI, api.Actor{Actor: "bob"})
		}
	}
	got = routesCommand(t, url, "", "set", "iris", "--stable", "1", "--reason", "x")
	if got.code != exitFailed || strings.Count(got.errOut, "\n  ") != 1 || !strings.Contains(got.errOut, "declared: v8 100%") {
		t.Errorf("declared meanwhile: %+v", got)
	}
}

func TestRoutesSetAsks(t *testing.T) {
	f := func(typed string, code int) {
		t.Helper()
		f := newFold()
		outrun(f, 1)
		conn, out := &connection{admin: sideOf(t, f), timeout: time.Minute}, &output{format: "table"}
		s := routeSet{routeEditor: newRouteEditor(conn, out, watched)}
		s.author.reason = "x"
		cmd := newRouteSet(conn, out, terminal)
		s.flags.canary = []string{"2=20%"}
		if err := cmd.Flags().Set("canary", "2=20%"); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr strings.Builder
		cmd.SetContext(t.Context())
		cmd.SetIn(strings.NewReader(typed))
		cmd.SetOut(&stdout)
		cmd.SetErr(&stderr)
		err := s.run(cmd, "iris")
		if (err == nil) != (code == exitOK) || stderr.String() != meanwhile+"Apply your change to the new revision? [y/N] " {
			t.Errorf("%q: %v, %s%s", typed, err, stdout.String(), stderr.String())
		}
		if changed := f.routes["iris"].Variants[1].Weight == 2000; changed != (code == exitOK) {
			t.Errorf("%q leaves %+v", typed, f.routes["iris"])
		}
	}
	f("y\n", exitOK)
	f(" YES \n", exitOK)
	f("y", exitOK)
	f("\n", exitFailed)
	f("n\n", exitFailed)
	f("yn\n", exitFailed)
	f("", exitFailed)
}

// The question is not answered, and the command is interrupted.
func TestRoutesSetQuestionEndsWithTheCommand(t *testing.T) {
	conn, out := &connection{timeout: time.Minute}, &output{format: "table"}
	cmd := newRouteSet(conn, out, terminal)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, typed := io.Pipe()
	t.Cleanup(func() { _ = typed.Close() })
	cmd.SetContext(ctx)
	cmd.SetIn(in)
	cmd.SetErr(io.Discard)
	if r := (retry{cmd: cmd, terminal: func(any) bool { return true }}); r.agreed("Go on?") {
		t.Error("no answer was yes")
	}
}

func TestTerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = null.Close() })
	for _, stream := range []any{file, null, strings.NewReader("")} {
		if terminal(stream) {
			t.Errorf("%v is taken for a terminal", stream)
		}
	}
}

// Ten commands change a route at the same time. The journal must have exactly the changes that they
// report.
func TestTenCommandsAtOnce(t *testing.T) {
	t.Setenv("SLUICE_TOKEN", "")
	f := func(sure bool) {
		t.Helper()
		f := newFold()
		url := sideOf(t, f)
		var wg sync.WaitGroup
		var results [10]result
		for i := range results {
			wg.Go(func() {
				args := []string{"routes", "set", "iris", "--admin", url, "--canary", fmt.Sprintf("2=%d%%", 20+i), "--reason", strconv.Itoa(i)}
				if sure {
					args = append(args, "--yes")
				}
				var out, errOut strings.Builder
				code := run(t.Context(), args, strings.NewReader(""), &out, &errOut, terminal)
				results[i] = result{code, out.String(), errOut.String()}
			})
		}
		wg.Wait()
		done := map[string]int{}
		for _, e := range f.events[2:] {
			done[e.Reason]++
		}
		want := map[string]int{}
		for i, got := range results {
			switch {
			case got.code == exitOK:
				want[strconv.Itoa(i)] = 1
			case sure || !strings.Contains(got.errOut, "changed in the meantime"):
				t.Errorf("command %d: %+v", i, got)
			}
		}
		if diff := cmp.Diff(want, done); diff != "" || len(done) == 0 {
			t.Errorf("(-acknowledged +done):\n%s", diff)
		}
		if r := f.routes["iris"]; r.Revision != int64(2+len(done)) || r.Variants[0].Weight+r.Variants[1].Weight != api.TotalWeight {
			t.Errorf("%d changes left %+v", len(done), r)
		}
	}
	f(false)
	f(true)
}

func TestRoutesDelete(t *testing.T) {
	f := newFold()
	url := sideOf(t, f)
	expect(t, result{exitFailed, "", "gateway: route 'wine' is not declared, so it cannot be deleted\n"}, routesCommand(t, url, "", "delete", "wine", "--reason", "x"))
	expect(t, result{exitFailed, "", "gateway: route 'none' is not declared, so it cannot be deleted\n"}, routesCommand(t, url, "", "delete", "none", "--reason", "x"))
	expect(t, result{exitOK, `Route iris, revision 2, would be deleted; this was a dry run, and nothing has changed
Without it: v4 100%; 500 of 10000 slots would move
`, ""}, routesCommand(t, url, "", "delete", "iris", "--reason", "x", "--dry-run"))
	expect(t, result{exitOK, `Route iris, revision 2, deleted
Without it: v4 100%; 500 of 10000 slots moved
`, noReason}, routesCommand(t, url, "", "delete", "iris"))
	if _, err := f.Route("iris"); err == nil {
		t.Error("it is still there")
	}
}

func TestRoutesHistory(t *testing.T) {
	f := newFold()
	url := sideOf(t, f)
	routesCommand(t, url, "", "set", "iris", "--canary", "2=20%", "--reason", "no errors")
	routesCommand(t, url, "", "delete", "iris")
	f.put(api.Route{Name: "other", Variants: []api.Variant{variant(1, 100, "stable")}}, api.OriginAPI, api.Actor{Actor: "eve", Reason: "\x1b[2J\u202e\u2028\u2029"})
	const head = "REV  TIME                 ACTOR                REASON       CHANGE\n"
	lines := []string{
		"1    2026-05-04 03:02:01  file                 -            declared: v1 100%\n",
		"2    2026-05-04 03:03:01  alice                first users  v2 canary added with 5%, shadow v3 - → 10%, sticky none → header:X-User-Id, fallback none → stable\n",
		"3    2026-05-04 03:04:01  tester (unverified)  no errors    v2 canary 5% → 20%\n",
		"-    2026-05-04 03:05:01  tester (unverified)  -            deleted\n",
	}
	expect(t, result{exitOK, head + strings.Join(lines, ""), ""}, routesCommand(t, url, "", "history", "iris"))
	expect(t, result{exitOK, `REV  TIME                 ACTOR                REASON     CHANGE
3    2026-05-04 03:04:01  tester (unverified)  no errors  v2 canary 5% → 20%
-    2026-05-04 03:05:01  tester (unverified)  -          deleted
`, ""}, routesCommand(t, url, "", "history", "iris", "-n", "2"))
	got := routesCommand(t, url, "", "history", "other")
	if got.code != exitOK || strings.ContainsAny(got.out, "\x1b\u202e\u2028\u2029") || !strings.Contains(got.out, "eve (unverified)") {
		t.Errorf("%+v", got)
	}
	expect(t, result{exitOK, "REV  TIME  ACTOR  REASON  CHANGE\n", ""}, routesCommand(t, url, "", "history", "wine"))
	expect(t, result{exitFailed, "", "gateway: there is no route or model 'none' (404 Not Found)\n"}, routesCommand(t, url, "", "history", "none"))
	var events []api.Event
	got = routesCommand(t, url, "", "history", "iris", "-o", "json", "-n", "0")
	if err := json.Unmarshal([]byte(got.out), &events); err != nil || len(events) != 4 {
		t.Errorf("%v in %+v", err, got)
	}
}

func TestRouteNamesComplete(t *testing.T) {
	url := sideOf(t, newFold())
	f := func(want string, args ...string) {
		t.Helper()
		got := command(t, "", append([]string{"__complete", "routes"}, args...), "SLUICE_ADMIN", url)
		if got.out != want {
			t.Errorf("%v = %+v, want %q", args, got, want)
		}
	}
	for _, verb := range []string{"get", "set", "delete", "history"} {
		f("iris\nwine\n:4\n", verb, "")
	}
	f(":4\n", "get", "iris", "")
	f(":4\n", "get", "--admin", "ftp://x", "")
}

func TestTransient(t *testing.T) {
	for status, want := range map[int]bool{
		http.StatusServiceUnavailable: true, http.StatusInternalServerError: true, http.StatusTooManyRequests: true,
		http.StatusNotFound: false, http.StatusForbidden: false, http.StatusPreconditionFailed: false,
	} {
		if got := transient(&client.Error{Status: status}); got != want {
			t.Errorf("%d: %v", status, got)
		}
	}
	if !transient(io.ErrUnexpectedEOF) {
		t.Error("no answer at all is for ever")
	}
}

// Under cron and in containers standard input is /dev/null, where a question cannot be answered.
func TestNullIsNoTerminal(t *testing.T) {
	fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	stdin := os.NewFile(uintptr(fd), "/dev/stdin")
	defer stdin.Close() //nolint:errcheck // only looked at
	if terminal(stdin) {
		t.Error("/dev/null is taken for a terminal")
	}
}
