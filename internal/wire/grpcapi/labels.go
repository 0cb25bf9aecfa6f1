package grpcapi

import (
	"context"
	"iter"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// Labels takes what was true of predictions that were kept.
type Labels interface {
	// LabelRows joins labels with predictions of a model or a route. The error beside a row is why
	// it is invalid. When it returns without an error, the labels are on disk. It has the errors of
	// front.Catalog, and Conflict if no predictions are kept, and Unavailable if nothing can be
	// written.
	LabelRows(ctx context.Context, name string, rows iter.Seq2[api.LabelRow, error]) (api.LabelResult, error)
}

// labelService is registered for sluice.v1.Labels. Its method is answered by sendLabels.
type labelService struct {
	pb.UnimplementedLabelsServer
}

// labelServiceDesc is the generated one, with a method that does not decode all labels at once.
func (s *Server) labelServiceDesc() grpc.ServiceDesc {
	desc := pb.Labels_ServiceDesc
	desc.Methods = slices.Clone(desc.Methods)
	desc.Methods[0].Handler = func(_ any, ctx context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		return s.sendLabels(ctx, read)
	}
	return desc
}

// sendLabels answers Labels.Send.
func (s *Server) sendLabels(ctx context.Context, read func(any) error) (any, error) {
	x := s.newExchange(ctx, pb.Labels_Send_FullMethodName)
	return x.single(ctx, func() error { return read(labelMessage{x}) }, false, x.joinLabels)
}

// labelMessage is what the codec reads the message of an exchange with labels into.
type labelMessage struct{ x *exchange }

const (
	fieldLabelModel = 1
	fieldLabels     = 2
)

// labelBytes is the max size in memory of what becomes of a label, beside its message and the answer.
const labelBytes = 64

// readLabels takes a message, and reserves the memory for it. Labels are decoded one by one, so a
// message takes no more memory than its size, however many they are. All are checked first, so that none
// is taken from a message that is cut off.
func (x *exchange) readLabels(data []byte) error {
	x.received = len(data)
	rows := 0
	err := eachField(data, func(field protowire.Number, value []byte) error {
		if field == fieldLabels && value != nil {
			rows++
		}
		return nil
	})
	if err != nil {
		return errNotLabels()
	}
	size := len(data) + labelBytes*rows
	if err := x.memory.Reserve(size); err != nil {
		return err
	}
	x.decoded = size
	var m pb.Label
	return eachField(data, func(field protowire.Number, value []byte) error {
		switch {
		case field == fieldLabelModel && value != nil:
			x.request.model = string(value)
		case field == fieldLabels && value != nil && proto.Unmarshal(value, &m) != nil:
			return errNotLabels()
		}
		return nil
	})
}

func errNotLabels() error {
	return infer.Errorf(infer.Invalid, "the message is not a valid SendLabelsRequest")
}

// joinLabels joins the labels of the message that was read.
func (x *exchange) joinLabels(ctx context.Context) (err error) {
	defer recovered(&err)
	if x.refused != nil {
		return x.refused
	}
	model := x.request.model
	if err := front.CheckName(model); err != nil {
		return err
	}
	if err := x.caller.May(callers.Label, model); err != nil {
		return err
	}
	if err := x.srv.front.Admit(x.caller, model, x.arrived, &x.memory); err != nil {
		return err
	}
	defer x.srv.front.EndControl()
	if err := x.srv.front.BeginControl(); err != nil {
		return err
	}
	result, err := x.srv.opts.Labels.LabelRows(ctx, model, labelRows(x.message.ReadOnlyData()))
	if err != nil {
		return err
	}
	return x.encode(labelResult(&result))
}

// labelRows returns the labels of a message that readLabels has checked.
func labelRows(data []byte) iter.Seq2[api.LabelRow, error] {
	return func(yield func(api.LabelRow, error) bool) {
		var m pb.Label
		for len(data) > 0 {
			field, kind, value, rest, err := nextField(data)
			if err != nil {
				return
			}
			if data = rest; field != fieldLabels || kind != protowire.BytesType {
				continue
			}
			if err := proto.Unmarshal(value, &m); err != nil || !yield(labelRow(&m)) {
				return
			}
		}
	}
}

// labelRow returns a label, and why it is invalid.
func labelRow(m *pb.Label) (r api.LabelRow, err error) {
	r = api.LabelRow{RequestID: m.GetRequestId(), Row: int(m.GetRow())}
	switch label := m.GetLabel().(type) {
	case *pb.Label_Text:
		r.Label = label.Text
	case *pb.Label_Number:
		r.Label = label.Number
	case *pb.Label_Boolean:
		r.Label = label.Boolean
	}
	if t := m.GetTime(); t.IsValid() {
		r.Time = t.AsTime()
	} else if t != nil {
		err = infer.Errorf(infer.Invalid, "time is not a valid timestamp, expected one of the years 1 to 9999")
	}
	return r, err
}

// labelResult returns the message of a result.
func labelResult(r *api.LabelResult) *pb.SendLabelsResponse {
	c := &r.LabelCounts
	out := &pb.SendLabelsResponse{
		Model: r.Model, Rows: c.Rows, Joined: c.Joined, Unknown: c.Unknown, Late: c.Late, Duplicate: c.Duplicate, Contradictory: c.Contradictory,
		Invalid: c.Invalid, NotSampled: c.NotSampled, BeforePrediction: c.BeforePrediction, Results: make([]pb.SendLabelsResponse_Result, len(r.Results)),
	}
	for i, status := range r.Results {
		out.Results[i] = labelStatus(status)
	}
	for _, p := range r.Problems {
		out.Problems = append(out.Problems, &pb.SendLabelsResponse_Problem{Index: int64(p.Index), Error: p.Error})
	}
	return out
}

func labelStatus(status string) pb.SendLabelsResponse_Result {
	switch status {
	case api.LabelJoined:
		return pb.SendLabelsResponse_JOINED
	case api.LabelUnknown:
		return pb.SendLabelsResponse_UNKNOWN
	case api.LabelLate:
		return pb.SendLabelsResponse_LATE
	case api.LabelDuplicate:
		return pb.SendLabelsResponse_DUPLICATE
	case api.LabelContradictory:
		return pb.SendLabelsResponse_CONTRADICTORY
	default:
		return pb.SendLabelsResponse_INVALID
	}
}
