package app_test

import (
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/client/grpcclient"
)

// TestLabelsOverGRPC: labels over gRPC join predictions of either protocol, as labels over HTTP do.
func TestLabelsOverGRPC(t *testing.T) {
	g := startOn(t, &fakes{}, doubles(t, 1), labelled(t.TempDir()))
	asked(t, g, "double", "a", 0, 1)
	c, err := grpcclient.New(grpcclient.Options{Address: g.grpc})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // the calls have ended
	got, err := c.Labels(t.Context(), "double", []api.LabelRow{
		{RequestID: "a", Label: 0},
		{RequestID: "v2-a", Row: 1, Label: "2"},
		{RequestID: "a", Label: 0},
		{RequestID: "a", Row: -1, Label: 0},
		{RequestID: "a"},
		{Label: 1},
		{RequestID: "z", Label: true},
	})
	want := []string{api.LabelJoined, api.LabelJoined, api.LabelDuplicate, api.LabelInvalid, api.LabelInvalid, api.LabelInvalid, api.LabelUnknown}
	if err != nil || len(got.Results) != len(want) {
		t.Fatalf("%+v %v", got, err)
	}
	for i := range want {
		if got.Results[i] != want[i] {
			t.Errorf("label %d: %s, want %s", i, got.Results[i], want[i])
		}
	}
	if len(got.Problems) != 3 || got.Problems[1].Error != "label is missing" || got.Problems[2].Error != "request_id is missing" {
		t.Errorf("%+v", got.Problems)
	}
	if r := labelReport(t, g); r.Labels != got.LabelCounts || r.Streams[0].Metrics[0].Value != 0.5 {
		t.Errorf("%+v", r)
	}
	_, err = c.Labels(t.Context(), "absent", []api.LabelRow{{RequestID: "a", Label: 0}})
	if e, ok := err.(*client.Error); !ok || e.Code != "NOT_FOUND" { //nolint:errorlint // it is not wrapped
		t.Error(err)
	}
}
