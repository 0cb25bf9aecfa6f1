package grpcapi_test

import (
	"bytes"
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

func textLabel(id, text string) *pb.Label {
	return &pb.Label{RequestId: id, Label: &pb.Label_Text{Text: text}}
}

func TestLabels(t *testing.T) {
	s := &stub{}
	c := pb.NewLabelsClient(start(t, s, nil).connect(t))
	at := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	got, err := c.Send(t.Context(), &pb.SendLabelsRequest{ModelName: "m", Labels: []*pb.Label{
		textLabel("a", "yes"),
		{RequestId: "b", Row: 2, Label: &pb.Label_Number{Number: 1.5}, Time: timestamppb.New(at)},
		{RequestId: "c", Row: -1, Label: &pb.Label_Boolean{Boolean: true}},
		{RequestId: "d"},
		textLabel("e", "late"),
		{RequestId: "f", Time: &timestamppb.Timestamp{Seconds: math.MaxInt64}},
	}})
	want := &pb.SendLabelsResponse{
		Model: "m", Rows: 6, Problems: []*pb.SendLabelsResponse_Problem{{Index: 5, Error: "time is not a valid timestamp, expected one of the years 1 to 9999"}},
		Results: []pb.SendLabelsResponse_Result{
			pb.SendLabelsResponse_JOINED, pb.SendLabelsResponse_JOINED, pb.SendLabelsResponse_JOINED, pb.SendLabelsResponse_JOINED,
			pb.SendLabelsResponse_LATE, pb.SendLabelsResponse_INVALID,
		},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	rows := []api.LabelRow{
		{RequestID: "a", Label: "yes"},
		{RequestID: "b", Row: 2, Label: 1.5, Time: at},
		{RequestID: "c", Row: -1, Label: true},
		{RequestID: "d"},
		{RequestID: "e", Label: "late"},
		{RequestID: "f"},
	}
	if diff := cmp.Diff(rows, s.labels); diff != "" {
		t.Error(diff)
	}
}

// asItIs sends bytes as a message.
type asItIs struct{}

func (asItIs) Name() string { return "proto" }

func (asItIs) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (asItIs) Unmarshal(mem.BufferSlice, any) error { return nil }

// TestLabelsThatAreRefused: nothing of a message is taken then, and all of its memory is given back.
func TestLabelsThatAreRefused(t *testing.T) {
	s := &stub{}
	r := start(t, s, func(o *options) { o.front.Bounds.MaxMemory = 4 << 20 })
	conn := r.connect(t)
	f := func(want codes.Code, text string, message []byte) {
		t.Helper()
		err := conn.Invoke(t.Context(), pb.Labels_Send_FullMethodName, message, nil, grpc.ForceCodecV2(asItIs{}))
		wantCode(t, err, want)
		if err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %q", err, text)
		}
	}
	of := func(model string, labels ...string) []byte {
		m := append([]byte{0x0a, byte(len(model))}, model...)
		for _, l := range labels {
			m = append(append(m, 0x12, byte(len(l))), l...)
		}
		return m
	}
	const whole = "\x0a\x01a\x1a\x03yes"
	f(codes.OK, "", of("m", whole))
	f(codes.InvalidArgument, "not a valid model name", of("a\nb", whole))
	f(codes.Aborted, "no predictions of model 'echo' are kept", of("echo", whole))
	const malformed = "not a valid SendLabelsRequest"
	f(codes.InvalidArgument, malformed, of("m", whole, "\x0a\x05a"))
	f(codes.InvalidArgument, malformed, of("m", whole, "\x1a\x01\xff"))
	f(codes.InvalidArgument, malformed, append(of("m", whole), 0x12, 0x7f))
	f(codes.InvalidArgument, "more than the limit of", of("m", make([]string, 200_000)...)) // 400 KB, but many
	f(codes.ResourceExhausted, "larger than max", bytes.Repeat([]byte{0x12, 0}, 1<<20))
	if len(s.labels) != 1 {
		t.Errorf("%d labels were taken", len(s.labels))
	}
}

// TestLabelsMemory: a message of a million bytes of labels is answered within a budget that would not hold them decoded.
func TestLabelsMemory(t *testing.T) {
	s := &stub{}
	c := pb.NewLabelsClient(start(t, s, func(o *options) { o.front.Bounds.MaxMemory = 8 << 20 }).connect(t))
	m := &pb.SendLabelsRequest{ModelName: "m"}
	for range 40_000 {
		m.Labels = append(m.Labels, textLabel("0123456789", "yes"))
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "large")
	var header metadata.MD
	got, err := c.Send(context.WithoutCancel(ctx), m, grpc.Header(&header), grpc.UseCompressor("gzip"))
	if err != nil || len(got.GetResults()) != 40_000 || header.Get("x-request-id")[0] != "large" {
		t.Errorf("%d results, %v", len(got.GetResults()), err)
	}
}
