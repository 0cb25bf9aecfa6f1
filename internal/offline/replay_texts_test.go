package offline_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/offline"
)

// TestReplayOfTexts: the verdict on a stored window with texts is the same again, with the new value that it
// names.
func TestReplayOfTexts(t *testing.T) {
	p, err := offline.MakeProfile(t.Context(), strings.NewReader(textRows(1, 5000, 0.3)), offline.ProfileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	settings := simulation().Drift
	detector, err := drift.NewDetector(p, driftwatch.DetectorOptions(&settings, 1))
	if err != nil {
		t.Fatal(err)
	}
	before := detector.Snapshot()
	w := p.NewWindow(time.Unix(0, 0).UTC())
	w.End = w.Start.Add(time.Hour)
	for range 500 {
		w.Rows++
		for i := range p.Features {
			f := &p.Features[i]
			text := drift.ReadText([]byte("CHF"), len("CHF"))
			x := 0.5
			if f.OfText() {
				x = text.Of(f)
			}
			w.Counts[i].AddIn(f, x, drift.Halves{})
		}
	}
	w.Counts[0].Fresh = []drift.Fresh{{Name: "CHF", Rows: 500}}
	verdict := detector.Judge(w)
	digest, err := p.Digest()
	if err != nil {
		t.Fatal(err)
	}
	e := &api.DriftEvidence{Version: 1, ProfileDigest: digest, Verdict: verdict}
	for _, part := range []struct {
		of any
		to *json.RawMessage
	}{{w, &e.Window}, {before, &e.Before}, {detector.Snapshot(), &e.After}} {
		if *part.to, err = json.Marshal(part.of); err != nil {
			t.Fatal(err)
		}
	}
	again, err := offline.ReplayDrift(p, e)
	if err != nil || !again.Same {
		t.Errorf("the same: %v, %v", again.Same, err)
	}
	named := slices.ContainsFunc(again.Verdict.Quality, func(f api.DriftFinding) bool {
		return f.Feature == "currency" && strings.HasSuffix(f.Change, `, for example "CHF"`)
	})
	if !named {
		t.Errorf("%+v", again.Verdict.Quality)
	}
}
