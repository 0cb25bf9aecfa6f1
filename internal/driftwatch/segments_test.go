package driftwatch

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/registry"
)

// TestSignalsOfASegment: signals name the segment, and bad data of a segment is not reported again if that of the whole was.
func TestSignalsOfASegment(t *testing.T) {
	x := watch{Watch: Watch{Reference: &Reference{digest: "sha256:0"}, Leased: &registry.Leased{}}}
	c := drift.Closed{
		Stream: drift.Stream{Version: infer.Version{Model: "iris", Number: 1}, Role: "stable", Segment: "DE"},
		Verdict: drift.Verdict{
			Features: []drift.Finding{{Kind: drift.KindInput, Feature: "a", Statistic: drift.StatisticG, State: drift.Detected}},
			Quality: []drift.Finding{
				{Kind: drift.KindInput, Feature: "a", Statistic: drift.StatisticRange, State: drift.Detected},
				{Kind: drift.KindInput, Feature: "b", Statistic: drift.StatisticRange, State: drift.Detected},
			},
		},
	}
	own := &told{drifting: time.Now(), violated: map[string]violation{"input a range": {cause: "input a range"}, "input b range": {cause: "input a range"}}}
	f := func(whole *told, features ...int) {
		t.Helper()
		list, _, _ := signalsOf(c, x, own, whole)
		if len(list) != len(features) {
			t.Fatalf("%+v", list)
		}
		for i, s := range list {
			if s.Segment != "DE" || len(s.Features) != features[i] {
				t.Errorf("%+v", s)
			}
		}
	}
	f(nil, 2, 1)
	f(&told{}, 2, 1)
	f(&told{violated: map[string]violation{"input a range": {}}}, 1, 1)
	f(own, 1)
}

// TestSegmentsSurvive: the states of segments in the journal, in its snapshots and in the folder of what was learned are those of streams of their own.
func TestSegmentsSurvive(t *testing.T) {
	stream := drift.Stream{Version: infer.Version{Model: "iris", Number: 1}, Role: "stable"}
	german := stream
	german.Segment = "DE/Ost 1"
	if german.Whole() != stream || Subject(stream) != "drift/iris/1/stable" || Subject(german) != "drift/iris/1/stable/DE%2FOst%201" {
		t.Errorf("%s, %s", Subject(stream), Subject(german))
	}
	fold := NewFold()
	for _, s := range []drift.Stream{stream, german} {
		state := `{"findings":[{"feature":"` + s.Segment + `","kind":"input","statistic":"g","state":"DETECTED","began":"2026-05-04T12:05:00Z"}]}`
		e := api.Event{Type: api.EventDriftState, After: encoded(api.DriftEvidence{
			Model: "iris", Version: 1, Role: "stable", Segment: s.Segment, State: drift.Detected, ProfileDigest: "sha256:0", After: json.RawMessage(state),
		})}
		if err := fold.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	saved, err := fold.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	restored := NewFold()
	if err := restored.Restore(saved); err != nil {
		t.Fatal(err)
	}
	w := New(journal.Memory(), zap.NewNop())
	w.Resume(restored)
	for _, s := range []drift.Stream{stream, german} {
		if past := w.saved[s].past; past == nil || past.State.Findings[0].Feature != s.Segment {
			t.Errorf("%+v: %+v", s, past)
		}
	}

	dir := filepath.Join(t.TempDir(), "calibration")
	first := New(journal.Memory(), zap.NewNop())
	if err := first.Remember(dir); err != nil {
		t.Fatal(err)
	}
	for i, s := range []drift.Stream{stream, german} {
		first.learned[s] = &learned{Model: "iris", Version: 1, Role: s.Role, Segment: s.Segment, Digest: "sha256:0", At: time.Now(), What: &drift.Learned{Features: make([]drift.LearnedFeature, i)}}
	}
	runShortly(t, first)
	second := New(journal.Memory(), zap.NewNop())
	if err := second.Remember(dir); err != nil {
		t.Fatal(err)
	}
	for i, s := range []drift.Stream{stream, german} {
		if l := second.learned[s]; l == nil || len(l.What.Features) != i {
			t.Errorf("%+v: %+v", s, l)
		}
	}
	next := german
	next.Version.Number = 2
	if l := second.parent(next); l == nil || l.Segment != german.Segment {
		t.Errorf("%+v", l)
	}
	if next.Segment = "FR"; second.parent(next) != nil {
		t.Error("a segment continues with what another one has learned")
	}
}
