package main

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
)

const journalHead = "SEQ     TIME                 TYPE                  SUBJECT                   ACTOR                 REASON                    CHANGE\n"

const journalLines = `1       2026-05-04 03:02:01  route.set             routes/iris               file                  -                         declared: v1 100%
2       2026-05-04 03:03:01  route.set             routes/iris               alice                 "first users"             v2 canary added with 5%, shadow v3 - → 10%, sticky none → header:X-User-Id, fallback none → stable
3       2026-05-04 03:04:01  model.loaded          models/wine               eve (unverified)      -                         {"version":4}
`

// journalFold has an event that is not about a route.
func journalFold() *fold {
	f := newFold()
	f.events = append(f.events, api.Event{
		Seq: 3, Time: f.events[1].Time.Add(f.events[1].Time.Sub(f.events[0].Time)), Type: api.EventModelLoaded,
		Subject: "models/wine", Origin: api.OriginAPI, Actor: api.Actor{Actor: "eve"}, After: json.RawMessage(`{"version":4}`),
	})
	return f
}

func TestJournal(t *testing.T) {
	url := sideOf(t, journalFold())
	lines := strings.SplitAfter(journalLines, "\n")
	f := func(want string, args ...string) {
		t.Helper()
		expect(t, result{exitOK, want, ""}, command(t, "", append([]string{"journal", "--admin", url}, args...)))
	}
	f(journalHead + journalLines)
	f(journalHead+lines[1], "--after", "1", "--limit", "1")
	f(journalHead+lines[2], "--subject", "models/wine")
	f(journalHead, "--after", "3")
	f(journalHead+lines[1]+lines[2], "--last", "2")
	f(journalHead+journalLines, "--last", "9")
	f(journalHead+lines[1], "--last", "1", "--subject", "routes/iris")
	got := command(t, "", []string{"journal", "--admin", url, "-o", "json", "--limit", "2"})
	var events []api.Event
	if err := json.Unmarshal([]byte(got.out), &events); err != nil || len(events) != 2 || events[1].Reason != "first users" {
		t.Errorf("%v in %+v", err, got)
	}
}

func TestJournalOfManyPages(t *testing.T) {
	f := newFold()
	for i := len(f.events); i < 2*eventPage+5; i++ {
		f.events = append(f.events, api.Event{Seq: int64(i + 1), Type: api.EventModelLoaded, Origin: api.OriginGateway})
	}
	pages := 0
	f.before = func(*fold, string) { pages++ }
	url := sideOf(t, f)
	count := func(want, wantPages int, args ...string) {
		t.Helper()
		pages = 0
		got := command(t, "", append([]string{"journal", "--admin", url}, args...))
		if n := strings.Count(got.out, "\n") - 1; got.code != exitOK || n != want || pages != wantPages {
			t.Errorf("%v gives %d lines from %d pages, want %d from %d", args, n, pages, want, wantPages)
		}
	}
	count(2*eventPage+5, 4) // the last page is empty: a page of large events has fewer
	count(eventPage+5, 3, "--after", strconv.Itoa(eventPage))
	count(eventPage+1, 2, "--limit", strconv.Itoa(eventPage+1))
	count(3, 1, "--limit", "3")
	count(eventPage+1, 2, "--last", strconv.Itoa(eventPage+1))
}

func TestJournalFollow(t *testing.T) {
	f := func(format, want string) {
		t.Helper()
		f := newFold()
		ctx, cancel := context.WithCancel(t.Context())
		polls := 0
		f.fails = 3
		f.before = func(f *fold, _ string) {
			switch polls++; polls {
			case 2: // an event is added while the command follows
				f.put(api.Route{Name: "wine", Variants: []api.Variant{variant(4, 100, "stable")}}, api.OriginFile, api.Actor{})
			case 4:
				cancel()
			}
		}
		t.Setenv("SLUICE_TOKEN", "")
		var out, errOut strings.Builder
		code := run(ctx, []string{"journal", "--follow", "--interval", "1ms", "--after", "2", "-o", format, "--admin", sideOf(t, f)}, strings.NewReader(""), &out, &errOut, terminal)
		expect(t, result{exitOK, want, older + stopping}, result{code, out.String(), errOut.String()})
	}
	f("table", journalHead+"3       2026-05-04 03:04:01  route.set             routes/wine               file                  -                         declared: v4 100%\n")
	f("json", `{"seq":3,"time":"`+foldAt.Add(2*time.Minute).Format(time.RFC3339)+`","type":"route.set","subject":"routes/wine","origin":"file","actor":"","actor_verified":false,"reason":"",`+
		`"before":{"name":"wine","model":"wine","revision":0,"variants":[{"version":4,"weight":10000,"role":"stable"}],"shadows":[],"seed":"wine","slots":null},`+
		`"after":{"name":"wine","model":"wine","revision":1,"variants":[{"version":4,"weight":10000,"role":"stable"}],"shadows":[],"seed":"wine","slots":null}}`+"\n")
}

func TestJournalWithoutAGateway(t *testing.T) {
	for _, args := range [][]string{{"journal"}, {"journal", "--follow"}} {
		got := command(t, "", append(args, "--admin", "127.0.0.1:1"))
		if got.code != exitFailed || got.out != "" || !strings.HasPrefix(got.errOut, "gateway: no answer from 127.0.0.1:1: ") {
			t.Errorf("%v = %+v", args, got)
		}
	}
}
