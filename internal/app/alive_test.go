package app

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/journal"
)

// TestStartsAndStops checks what a start says about the previous run.
func TestStartsAndStops(t *testing.T) {
	dir := t.TempDir()
	var l *journal.Log
	var a alive
	begin := func(want *api.GatewayEnd) {
		t.Helper()
		var err error
		if l, err = journal.Open(dir); err != nil {
			t.Fatal(err)
		}
		run := &lastRun{}
		if err := l.Restore([]journal.NamedFold{{Name: "run", Fold: run}}); err != nil {
			t.Fatal(err)
		}
		a = alive{journal: l, before: *run, build: Build{Version: "1.2.3", Revision: "abc"}, log: zap.NewNop()}
		a.started()
		events, err := l.Read(l.Last()-1, 1, journal.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		var got api.GatewayStart
		if err := json.Unmarshal(events[0].After, &got); err != nil || events[0].Type != api.EventGatewayStarted || events[0].Subject != "gateway" {
			t.Errorf("%v %+v", err, events[0])
		}
		if diff := cmp.Diff(api.GatewayStart{Version: "1.2.3", Revision: "abc", Before: want}, got); diff != "" {
			t.Error(diff)
		}
	}
	last := func() time.Time {
		t.Helper()
		events, err := l.Read(l.Last()-1, 1, journal.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		return events[0].Time
	}
	end := func() {
		t.Helper()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write := func() {
		t.Helper()
		if _, err := l.Append(journal.Any, api.Event{Type: api.EventModelLoaded, Subject: "models/iris"}); err != nil {
			t.Fatal(err)
		}
	}
	begin(nil)
	a.stopped()
	stopped := last()
	end()
	begin(&api.GatewayEnd{How: api.EndStopped, LastAlive: stopped})
	write()
	wrote := last()
	end() // killed: its last event is its last sign of life
	begin(&api.GatewayEnd{How: api.EndKilled, LastAlive: wrote})
	beat := time.Now().Add(time.Hour).UTC()
	if err := l.Beat(beat); err != nil {
		t.Fatal(err)
	}
	write()
	end() // killed after a beat that is later than its last event
	begin(&api.GatewayEnd{How: api.EndKilled, LastAlive: beat})
	a.stopped()
	write() // as an older version does, which does not record starts and stops
	wrote = last()
	end()
	begin(&api.GatewayEnd{How: api.EndUnknown, LastAlive: wrote})
	end()

	dir = t.TempDir()
	var err error
	if l, err = journal.Open(dir); err != nil {
		t.Fatal(err)
	}
	write()
	wrote = last()
	end()
	begin(&api.GatewayEnd{How: api.EndUnknown, LastAlive: wrote})
	end()
}

// TestHeartbeat: the heartbeat is written every ten seconds, and a failure is logged once.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.WarnLevel)
		l := journal.Memory()
		a := alive{journal: l, log: zap.New(core)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.run(ctx) }() // the test receives the result
		began := time.Now()
		for n := range 5 {
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if got := l.LastBeat().Sub(began); got != time.Duration(n+1)*10*time.Second {
				t.Errorf("the last beat is %v after the start", got)
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		cancel()
		if err := <-ended; err != nil || logs.Len() != 1 {
			t.Errorf("%v, %d lines in the log", err, logs.Len())
		}
		a.started() // a journal that refuses writes does no harm
		a.stopped()
		if logs.Len() != 3 {
			t.Errorf("%v", logs.All())
		}
	})
}
