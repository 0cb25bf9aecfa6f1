package drift_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"sluice.io/sluice/internal/drift"
)

// The states of the release before gates are read: its windows get the same verdicts from them with its
// options, and a detector with gates goes on from them. testdata/before-gates.json was written by that
// release: a profile of 500 rows, and three windows of 100 rows, the last of which is detected.
func TestStatesBeforeGates(t *testing.T) {
	text, err := os.ReadFile("testdata/before-gates.json")
	if err != nil {
		t.Fatal(err)
	}
	var old struct {
		Profile json.RawMessage `json:"profile"`
		Events  []struct {
			Before  drift.Snapshot  `json:"before"`
			Window  drift.Window    `json:"window"`
			Verdict json.RawMessage `json:"verdict"`
			After   json.RawMessage `json:"after"`
		} `json:"events"`
	}
	if err := json.Unmarshal(text, &old); err != nil {
		t.Fatal(err)
	}
	p, err := drift.Read(bytes.NewReader(old.Profile), drift.MaxProfileBytes)
	if err != nil {
		t.Fatal(err)
	}
	same := func(what string, want json.RawMessage, got any) {
		t.Helper()
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(text, want) {
			t.Errorf("%s: got %s, want %s", what, text, want)
		}
	}
	for _, e := range old.Events {
		if err := drift.CheckWindow(p, &e.Window); err != nil {
			t.Fatal(err)
		}
		d, err := drift.Restore(p, e.Before.Options, e.Before)
		if err != nil {
			t.Fatal(err)
		}
		same("the verdict", e.Verdict, d.Judge(e.Window))
		same("the state", e.After, d.Snapshot())
	}
	last := old.Events[len(old.Events)-1]
	var after drift.Snapshot
	if err := json.Unmarshal(last.After, &after); err != nil {
		t.Fatal(err)
	}
	d, err := drift.Restore(p, drift.CompleteOptions(), after)
	if err != nil {
		t.Fatal(err)
	}
	if d.State() != drift.Detected {
		t.Errorf("a detector with gates goes on as %s", d.State())
	}
	if v := d.Judge(last.Window); v.State != drift.Detected || v.Features[0].Gate == "" {
		t.Errorf("%+v", v)
	}
}
