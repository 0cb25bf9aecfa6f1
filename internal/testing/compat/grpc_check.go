package compat

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// CheckCalls is Check for gRPC.
func CheckCalls(results []CallResult, triton bool) []string {
	outcomes := make([]outcome, len(results))
	for i := range results {
		r := &results[i]
		outcomes[i] = outcome{name: r.Name, model: r.model(), differ: r.compare(triton)}
	}
	table := grpcDifferences()
	for i := range table {
		if table[i].Aspects == nil {
			table[i].Aspects = []Aspect{Any}
		}
	}
	return check(outcomes, table, triton)
}

// compare says in what the answers to a call differ, and how. Texts of errors are compared by how
// Triton's begin, which is what clients look for.
func (r *CallResult) compare(triton bool) map[Aspect]string {
	switch {
	case (r.Code == codes.Canceled || r.Code == codes.DeadlineExceeded) && r.GotCode == r.Code:
		return nil // the text is the client's
	case r.Code == codes.DeadlineExceeded && r.tooLate():
		return nil
	case r.Code != r.GotCode:
		return map[Aspect]string{Status: fmt.Sprintf("want %v %q, got %v %q with %d answers", r.Code, r.Message, r.GotCode, r.GotMessage, len(r.Got))}
	case !sameStart(r.Message, r.GotMessage):
		return map[Aspect]string{Text: fmt.Sprintf("want %q, got %q", r.Message, r.GotMessage)}
	case len(r.Responses) != len(r.Got):
		return map[Aspect]string{Answers: fmt.Sprintf("want %d answers, got %d", len(r.Responses), len(r.Got))}
	}
	want, err := messages(r.descriptor.Output(), r.Responses)
	if err != nil {
		return map[Aspect]string{Body: err.Error()}
	}
	got := slices.Clone(r.Got)
	overtakes := !triton || r.Name == "X.x_order_decoupled" // a decoupled model's answers do in Triton too
	if r.descriptor.IsStreamingClient() && overtakes {
		slices.SortStableFunc(want, byID)
		slices.SortStableFunc(got, byID)
	}
	differ := map[Aspect]string{}
	for i := range want {
		for _, aspect := range differs(want[i], got[i]) {
			line := prototext.MarshalOptions{}
			differ[aspect] = fmt.Sprintf("answer %d: want %.700s, got %.700s", i, line.Format(want[i]), line.Format(got[i]))
		}
	}
	return differ
}

// tooLate reports whether the only request of a call was refused since it would have been too late.
// That may be before the call's own deadline, and depends on the run times so far.
func (r *CallResult) tooLate() bool {
	text := r.GotMessage
	if len(r.Got) == 1 {
		answer, _ := r.Got[0].(*pb.ModelStreamInferResponse)
		text = answer.GetErrorMessage()
	}
	return strings.HasPrefix(text, "deadline exceeded")
}

func byID(a, b proto.Message) int {
	id := func(m proto.Message) string {
		answer, _ := m.(*pb.ModelStreamInferResponse)
		return answer.GetInferResponse().GetId()
	}
	return strings.Compare(id(a), id(b))
}

// sameStart reports whether an error's text has the beginning of Triton's, without the request id
// there. Ours may say the place before.
func sameStart(want, got string) bool {
	const start = 30
	want = requestID.ReplaceAllString(want, "")
	return (want == "") == (got == "") && strings.Contains(got, want[:min(start, len(want))])
}

// differs returns the aspects in which two messages differ, but for what every answer here says of
// who served, and for what a refusal on a stream says beside its id.
func differs(want, got proto.Message) []Aspect {
	same := true
	switch w := want.(type) {
	case *pb.ModelStreamInferResponse:
		g, _ := got.(*pb.ModelStreamInferResponse)
		refused := w.GetErrorMessage() != ""
		switch {
		case refused != (g.GetErrorMessage() != ""):
			return []Aspect{Status}
		case !sameStart(w.GetErrorMessage(), g.GetErrorMessage()):
			return []Aspect{Text}
		case refused:
			same = w.GetInferResponse().GetId() == g.GetInferResponse().GetId()
		default:
			same = proto.Equal(w.GetInferResponse(), plain(g.GetInferResponse()))
		}
	case *pb.ModelConfigResponse:
		g, _ := got.(*pb.ModelConfigResponse)
		return messageFields(w.GetConfig(), g.GetConfig())
	case *pb.ModelStatisticsResponse:
		g, _ := got.(*pb.ModelStatisticsResponse)
		same = slices.EqualFunc(served(w.GetModelStats()), served(g.GetModelStats()), sameVersion)
	case *pb.RepositoryIndexResponse:
		g, _ := got.(*pb.RepositoryIndexResponse)
		same = slices.EqualFunc(served(w.GetModels()), served(g.GetModels()), func(a, b *pb.RepositoryIndexResponse_ModelIndex) bool { return proto.Equal(a, b) })
	case *pb.RepositoryModelLoadResponse, *pb.RepositoryModelUnloadResponse: // KServe's have fields
	default:
		same = proto.Equal(want, plain(got))
	}
	if same {
		return nil
	}
	return []Aspect{Body}
}

// served are the rows of a list without those of ensembles, which are not served here.
func served[Row interface{ GetName() string }](rows []Row) []Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return strings.HasPrefix(r.GetName(), "ens_") })
}

// messageFields returns the fields in which two messages of a type differ.
func messageFields(a, b proto.Message) (differ []Aspect) {
	x, y := a.ProtoReflect(), b.ProtoReflect()
	all := x.Descriptor().Fields()
	for i := range all.Len() {
		if f := all.Get(i); !x.Get(f).Equal(y.Get(f)) {
			differ = append(differ, Aspect(f.Name()))
		}
	}
	return differ
}

// sameVersion reports whether two statistics are of the same version, and both count successes or
// neither does. Other numbers depend on time.
func sameVersion(a, b *pb.ModelStatistics) bool {
	return a.GetName() == b.GetName() && a.GetVersion() == b.GetVersion() && (a.GetInferenceCount() > 0) == (b.GetInferenceCount() > 0)
}

// plain is an answer without our own parameters.
func plain(m proto.Message) proto.Message {
	answer, ok := m.(*pb.ModelInferResponse)
	if !ok {
		return m
	}
	for name := range answer.GetParameters() {
		if strings.HasPrefix(name, "sluice_") {
			delete(answer.Parameters, name)
		}
	}
	return answer
}
