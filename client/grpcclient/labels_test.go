package grpcclient_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/client/grpcclient"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// Send refuses the model "absent".
func (g *gateway) Send(ctx context.Context, m *pb.SendLabelsRequest) (*pb.SendLabelsResponse, error) {
	g.note(ctx, m)
	if m.GetModelName() == "absent" {
		return nil, status.Error(codes.NotFound, "unknown model")
	}
	return &pb.SendLabelsResponse{
		Model: "m", Rows: 2, Joined: 1, Unknown: 1, NotSampled: 1, Problems: []*pb.SendLabelsResponse_Problem{{Index: 1, Error: "row 7 is not kept"}},
		Results: []pb.SendLabelsResponse_Result{pb.SendLabelsResponse_JOINED, pb.SendLabelsResponse_UNKNOWN},
	}, nil
}

func TestLabels(t *testing.T) {
	g := &gateway{}
	c := g.connect(t, grpcclient.Options{Token: "key"})
	type class string
	at := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	got, err := c.Labels(t.Context(), "shop", []api.LabelRow{
		{RequestID: "a", Row: 1, Label: class("yes"), Time: at}, {RequestID: "b", Label: uint8(2)}, {Label: -1}, {Label: float32(0.5)}, {Label: true}, {},
	})
	want := api.LabelResult{
		Model: "m", LabelCounts: api.LabelCounts{Rows: 2, Joined: 1, Unknown: 1, NotSampled: 1}, Results: []string{api.LabelJoined, api.LabelUnknown},
		Problems: []api.LabelProblem{{Index: 1, Error: "row 7 is not kept"}},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	number := func(x float64) *pb.Label_Number { return &pb.Label_Number{Number: x} }
	sent := &pb.SendLabelsRequest{ModelName: "shop", Labels: []*pb.Label{
		{RequestId: "a", Row: 1, Label: &pb.Label_Text{Text: "yes"}, Time: timestamppb.New(at)},
		{RequestId: "b", Label: number(2)},
		{Label: number(-1)},
		{Label: number(0.5)},
		{Label: &pb.Label_Boolean{Boolean: true}},
		{},
	}}
	if diff := cmp.Diff(sent, g.asked()[0].message, protocmp.Transform()); diff != "" || g.asked()[0].metadata.Get("authorization")[0] != "Bearer key" {
		t.Errorf("%v %s", g.asked()[0].metadata, diff)
	}
	_, err = c.Labels(t.Context(), "absent", nil)
	if e, ok := err.(*client.Error); !ok || e.Status != 404 || e.Message != "unknown model" { //nolint:errorlint // it is not wrapped
		t.Errorf("got %v", err)
	}
	if _, err := c.Labels(t.Context(), "shop", []api.LabelRow{{Label: 1}, {Label: []int{1}}}); err == nil || err.Error() != "the label at 1: expected a string, a bool or a number, got []int" {
		t.Errorf("got %v", err)
	}
}
