package signals_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/signals"
)

// TestID compares ids with those of Python's hashlib. They must never change, since receivers
// use them to detect duplicates.
func TestID(t *testing.T) {
	f := func(s api.SignalData, want string) {
		t.Helper()
		if got := signals.ID(s); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	s := api.SignalData{Type: api.TypeRetrainRequested, Model: "iris", Version: 2, Cause: "drift", Began: time.Date(2026, 11, 1, 10, 5, 0, 0, time.UTC)}
	f(s, "96bb43d2bb8b1e6c235e1433c3090156")
	s.Began = s.Began.In(time.FixedZone("", 3600))
	s.Role, s.Rows, s.CreatedAt, s.Window.End = "canary", 7, time.Now(), time.Now() // not part of the id
	f(s, "96bb43d2bb8b1e6c235e1433c3090156")
	s.Type, s.Model, s.Cause, s.Began = api.TypeDataQualityViolated, "größe", "input petal length missing", s.Began.Add(1500*time.Millisecond)
	f(s, "ac6c20295844efc6e6c06b0a66d58994")
	s.Role = "stable" // callers of another role send other data
	f(s, "ad443f83ea12fd22b2248e33898d3b76")
}

func TestDetectedCompletes(t *testing.T) {
	o := outbox(t, signals.NewStore(), &tape{}, nil)
	s := drift("iris", 1, 0)
	s.Cause, s.ID, s.FeaturesTotal = "something", "something", 7
	s.Features = nil
	for range api.MaxSignalFindings + 50 {
		s.Features = append(s.Features, api.SignalFinding{
			Feature: strings.Repeat("\xff", 1000), Value: math.Inf(1), Low: math.Inf(-1), P: math.NaN(), Effect: 0.5,
		})
	}
	out, err := o.Detected(s)
	if err != nil {
		t.Fatal(err)
	}
	r, err := o.Get(out.ID)
	if err != nil || r.ID != signals.ID(r.SignalData) || r.Cause != api.CauseDrift || time.Since(r.CreatedAt) > time.Minute {
		t.Errorf("got %+v %v", r, err)
	}
	want := api.SignalFinding{Feature: "\uFFFD", Value: math.MaxFloat64, Low: -math.MaxFloat64, Effect: 0.5}
	if diff := cmp.Diff(want, r.Features[0]); diff != "" || len(r.Features) != api.MaxSignalFindings || r.FeaturesTotal != api.MaxSignalFindings+50 {
		t.Errorf("%d of %d features; %s", len(r.Features), r.FeaturesTotal, diff)
	}
	if !math.IsInf(s.Features[0].Value, 1) {
		t.Error("the caller's findings were changed")
	}
}

// TestTheLargestSignalFits: the largest signal fits into an event of the journal.
func TestTheLargestSignalFits(t *testing.T) {
	log := journal.Memory()
	o := outbox(t, signals.NewStore(), onDisk{log}, nil)
	long := strings.Repeat("\x01", 1<<20)
	finding := api.SignalFinding{Feature: long, Kind: "input", Statistic: "range", Value: -math.MaxFloat64, P: 1e-300, Effect: 0.1 + 0.2, Low: -math.Pi, High: math.E, Shift: -math.Pi}
	s, v := drift("iris", 1, 0), missing("iris", "a", 0)
	s.Features, v.Features = slices.Repeat([]api.SignalFinding{finding}, 10_000), []api.SignalFinding{finding}
	first, err := o.Detected(s)
	if err != nil {
		t.Error(err)
	}
	a, err := o.Detected(v)
	if err != nil {
		t.Error(err)
	}
	v.Features[0].Feature += "b"
	b, err := o.Detected(v)
	if err != nil || first.ID == a.ID || a.ID == b.ID || !b.New {
		t.Errorf("%v: %v, %v, %v", err, first, a, b)
	}
	if _, err := o.Close(first.ID, api.Actor{Reason: long[:1<<10]}); err != nil {
		t.Error(err)
	}
}

func TestDetectedRefuses(t *testing.T) {
	o := outbox(t, signals.NewStore(), &tape{}, nil)
	f := func(want string, s api.SignalData, change func(s *api.SignalData)) {
		t.Helper()
		change(&s)
		_, err := o.Detected(s)
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(err.Error(), want) || len(o.List()) > 0 {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f("expected the type", drift("iris", 1, 0), func(s *api.SignalData) { s.Type = "x" })
	f("expected a valid name of a model", drift("", 1, 0), func(*api.SignalData) {})
	f("expected a valid name of a model", drift("a\x1fb", 1, 0), func(*api.SignalData) {})
	f("expected a valid name of a model and a version", drift("iris", 0, 0), func(*api.SignalData) {})
	f("expected the start of a window", drift("iris", 1, 0), func(s *api.SignalData) { s.Window.Start = time.Time{} })
	f("a report of bad data without a cause: expected one finding, got 0", missing("iris", "a", 0), func(s *api.SignalData) { s.Features = nil })
	f("cannot write signal", drift("iris", 1, 0), func(s *api.SignalData) { s.Detector = []byte("{") })
}
