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

// CheckCalls is Check for gRPC, without aspects: a call differs or it does not.
func CheckCalls(results []CallResult, triton bool) (wrong []string) {
	found, listed := map[string]string{}, map[string]bool{}
	for i := range results {
		if differ := results[i].compare(triton); differ != "" {
			found[results[i].Name] = differ
		}
	}
	for _, d := range grpcDifferences() {
		for name := range strings.FieldsSeq(d.Rows) {
			if listed[name] {
				wrong = append(wrong, name+": in the table twice")
			}
			listed[name] = true
			sent := slices.ContainsFunc(results, func(r CallResult) bool { return r.Name == name })
			if sent && found[name] == "" && (!triton || !d.Option) {
				wrong = append(wrong, name+": in the table ("+d.Case+"), but does not differ")
			}
		}
	}
	for _, r := range results {
		if differ := found[r.Name]; differ != "" && !listed[r.Name] {
			wrong = append(wrong, r.Name+": "+differ)
		}
	}
	return wrong
}

// compare says how the answers to a call differ; it is empty if they do not. Texts of errors are
// compared by how Triton's begin, which is what clients look for.
func (r *CallResult) compare(triton bool) string {
	switch {
	case r.Code == codes.Canceled && r.GotCode == r.Code:
		return "" // the text is the client's
	case r.Code != r.GotCode:
		return fmt.Sprintf("want %v %q, got %v %q", r.Code, r.Message, r.GotCode, r.GotMessage)
	case !sameStart(r.Message, r.GotMessage):
		return fmt.Sprintf("want %q, got %q", r.Message, r.GotMessage)
	case len(r.Responses) != len(r.Got):
		return fmt.Sprintf("want %d answers, got %d", len(r.Responses), len(r.Got))
	case r.Method == "ModelStatistics", r.Method == "ModelConfig":
		return "" // counts, and settings that are our own
	}
	want, err := messages(r.descriptor.Output(), r.Responses)
	if err != nil {
		return err.Error()
	}
	got := slices.Clone(r.Got)
	overtakes := !triton || r.Name == "x_order_decoupled" // a decoupled model's answers do in Triton too
	if r.descriptor.IsStreamingClient() && overtakes {
		slices.SortStableFunc(want, byID)
		slices.SortStableFunc(got, byID)
	}
	for i := range want {
		if !sameAnswer(want[i], got[i]) {
			return fmt.Sprintf("answer %d: want %.400s, got %.400s", i, prototext.Format(want[i]), prototext.Format(got[i]))
		}
	}
	return ""
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

// sameAnswer compares two messages, but for what every answer here says of who served, and for what
// a refusal on a stream says beside its id.
func sameAnswer(want, got proto.Message) bool {
	w, ok := want.(*pb.ModelStreamInferResponse)
	if !ok {
		return proto.Equal(want, plain(got))
	}
	g, _ := got.(*pb.ModelStreamInferResponse)
	if w.GetErrorMessage() != "" || g.GetErrorMessage() != "" {
		return sameStart(w.GetErrorMessage(), g.GetErrorMessage()) && w.GetInferResponse().GetId() == g.GetInferResponse().GetId()
	}
	return proto.Equal(w.GetInferResponse(), plain(g.GetInferResponse()))
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
