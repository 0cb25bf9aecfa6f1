package grpcclient

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// Labels is client.Client's: it sends what was true of earlier predictions of a model or route. A label
// is a string, a bool, or a number.
func (c *Client) Labels(ctx context.Context, model string, rows []api.LabelRow) (api.LabelResult, error) {
	m := &pb.SendLabelsRequest{ModelName: model, Labels: make([]*pb.Label, len(rows))}
	for i := range rows {
		l, err := label(&rows[i])
		if err != nil {
			return api.LabelResult{}, fmt.Errorf("the label at %d: %w", i, err)
		}
		m.Labels[i] = l
	}
	answer, _, err := call(c.authorized(ctx), c, true, c.labels.Send, m)
	if err != nil {
		return api.LabelResult{}, err
	}
	return labelResult(answer), nil
}

func label(r *api.LabelRow) (*pb.Label, error) {
	l := &pb.Label{RequestId: r.RequestID, Row: int64(r.Row)}
	if !r.Time.IsZero() {
		l.Time = timestamppb.New(r.Time)
	}
	switch v := reflect.ValueOf(r.Label); {
	case v.Kind() == reflect.String:
		l.Label = &pb.Label_Text{Text: v.String()}
	case v.Kind() == reflect.Bool:
		l.Label = &pb.Label_Boolean{Boolean: v.Bool()}
	case v.CanInt():
		l.Label = &pb.Label_Number{Number: float64(v.Int())}
	case v.CanUint():
		l.Label = &pb.Label_Number{Number: float64(v.Uint())}
	case v.CanFloat():
		l.Label = &pb.Label_Number{Number: v.Float()}
	case v.IsValid(): // the gateway says that nil is missing
		return nil, fmt.Errorf("expected a string, a bool or a number, got %T", r.Label)
	}
	return l, nil
}

func labelResult(m *pb.SendLabelsResponse) api.LabelResult {
	r := api.LabelResult{
		Model: m.GetModel(), Results: make([]string, len(m.GetResults())),
		LabelCounts: api.LabelCounts{
			Rows: m.GetRows(), Joined: m.GetJoined(), Unknown: m.GetUnknown(), Late: m.GetLate(), Duplicate: m.GetDuplicate(),
			Contradictory: m.GetContradictory(), Invalid: m.GetInvalid(), NotSampled: m.GetNotSampled(), BeforePrediction: m.GetBeforePrediction(),
		},
	}
	for i, result := range m.GetResults() {
		r.Results[i] = strings.ToLower(result.String())
	}
	for _, p := range m.GetProblems() {
		r.Problems = append(r.Problems, api.LabelProblem{Index: int(p.GetIndex()), Error: p.GetError()})
	}
	return r
}
