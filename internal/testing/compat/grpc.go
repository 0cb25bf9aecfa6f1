package compat

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// Call is a recorded gRPC call, unary or a stream, and what Triton answered.
type Call struct {
	Name        string            `json:"name"`
	Phase       string            `json:"phase"`
	Method      string            `json:"method"`
	Metadata    [][2]string       `json:"metadata"`
	Compression string            `json:"compression"`
	Request     json.RawMessage   `json:"request"`
	Requests    []json.RawMessage `json:"requests"`
	Group       string            `json:"group"`     // calls of a group run side by side
	Delay       int               `json:"delay_ms"`  // after the group has begun
	Delays      []int             `json:"delays_ms"` // before each request
	Cancel      *int              `json:"client_cancels_after_responses"`
	Code        codes.Code        `json:"code"`
	Message     string            `json:"message"`
	Response    json.RawMessage   `json:"response"`
	Responses   []json.RawMessage `json:"responses"`

	descriptor protoreflect.MethodDescriptor
}

// model returns the name of the model that a call is about, if it is about one.
func (c *Call) model() string {
	var m struct {
		ModelName string `json:"model_name"`
		Name      string `json:"name"`
	}
	if len(c.Requests) > 0 && json.Unmarshal(c.Requests[0], &m) != nil {
		return ""
	}
	return cmp.Or(m.ModelName, m.Name)
}

// CallResult is a call and what the server under test answered.
type CallResult struct {
	Call

	GotCode    codes.Code
	GotMessage string
	Got        []proto.Message
}

// LoadCalls reads a record, one call a line. Calls that cannot be sent as messages are left out.
func LoadCalls(file string) ([]Call, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	methods := pb.File_inference_proto.Services().ByName("GRPCInferenceService").Methods()
	var calls []Call
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		var c Call
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return nil, fmt.Errorf("%s: call %d: %w", file, len(calls)+1, err)
		}
		c.descriptor = methods.ByName(protoreflect.Name(c.Method))
		if c.descriptor == nil || c.Request == nil && c.Requests == nil {
			continue
		}
		c.lengthen()
		c.Name = unique(c.Phase, c.Name)
		if c.Request != nil {
			c.Requests = append(c.Requests, c.Request)
		}
		if c.Response != nil {
			c.Responses = append(c.Responses, c.Response)
		}
		calls = append(calls, c)
	}
	return calls, lines.Err()
}

// lengthen restores the call that the record shortens.
func (c *Call) lengthen() {
	if c.Name != "x_big_6MB" {
		return
	}
	zeros := base64.StdEncoding.EncodeToString(make([]byte, 6_000_000))
	c.Request = bytes.ReplaceAll(c.Request, []byte("[6000000 zero bytes]"), []byte(zeros))
	c.Response = json.RawMessage(`{"model_name":"ty_fp32","model_version":"1","id":"big","outputs":[{"name":"y","datatype":"FP32","shape":["1500000"]}],"raw_output_contents":["` + zeros + `"]}`)
}

// message returns a message of a type, from the JSON of the record if there is any. Fields that
// this build does not have are ignored.
func message(d protoreflect.MessageDescriptor, text json.RawMessage) (proto.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return nil, err
	}
	m := t.New().Interface()
	if text == nil {
		return m, nil
	}
	return m, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, m)
}

// messages is message for each of a list.
func messages(d protoreflect.MessageDescriptor, texts []json.RawMessage) ([]proto.Message, error) {
	list := make([]proto.Message, len(texts))
	for i, text := range texts {
		var err error
		if list[i], err = message(d, text); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// ReplayCalls sends calls in order, those of a group side by side.
func ReplayCalls(ctx context.Context, conn *grpc.ClientConn, calls []Call) ([]CallResult, error) {
	results := make([]CallResult, len(calls))
	for start := 0; start < len(calls); {
		end := start + 1
		for end < len(calls) && calls[start].Group != "" && calls[end].Group == calls[start].Group {
			end++
		}
		var group sync.WaitGroup
		for i := start; i < end; i++ {
			c := calls[i]
			results[i].Call = c
			requests, err := messages(c.descriptor.Input(), c.Requests)
			if err != nil {
				group.Wait()
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
			group.Go(func() {
				time.Sleep(time.Duration(c.Delay) * time.Millisecond) // as the record has it
				results[i].send(ctx, conn, requests)
			})
		}
		group.Wait()
		start = end
	}
	return results, nil
}

func (r *CallResult) send(ctx context.Context, conn *grpc.ClientConn, requests []proto.Message) {
	timeout := answerTimeout
	if r.Code == codes.DeadlineExceeded {
		timeout = 100 * time.Millisecond // the run takes longer; the record does not have the deadline of each
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	pairs := make([]string, 0, 2+2*len(r.Metadata))
	pairs = append(pairs, "x-request-id", r.Name)
	for _, pair := range r.Metadata {
		pairs = append(pairs, pair[0], plainValue(pair[1]))
	}
	ctx = metadata.AppendToOutgoingContext(ctx, pairs...)
	var options []grpc.CallOption
	if r.Compression == gzip.Name { // the record also has deflate, which grpc-go cannot send
		options = append(options, grpc.UseCompressor(gzip.Name))
	}
	path := fmt.Sprintf("/%s/%s", r.descriptor.Parent().FullName(), r.Method)
	var err error
	if r.descriptor.IsStreamingClient() {
		err = r.converse(ctx, cancel, conn, path, requests)
	} else {
		var out proto.Message
		if out, err = message(r.descriptor.Output(), nil); err == nil {
			err = conn.Invoke(ctx, path, requests[0], out, options...)
		}
		if err == nil {
			r.Got = []proto.Message{out}
		}
	}
	s := status.Convert(err)
	r.GotCode, r.GotMessage = s.Code(), s.Message()
}

// plainValue returns the value of metadata, which the record has in base64 if it is binary.
func plainValue(text string) string {
	if binary, ok := strings.CutPrefix(text, "base64:"); ok {
		if value, err := base64.StdEncoding.DecodeString(binary); err == nil {
			return string(value)
		}
	}
	return text
}

// converse sends the requests of a stream, and reads answers until it ends.
func (r *CallResult) converse(ctx context.Context, cancel func(), conn *grpc.ClientConn, path string, requests []proto.Message) error {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, path)
	if err != nil {
		return err
	}
	sent := make(chan struct{})
	go func() { // awaited below
		defer close(sent)
		for i, m := range requests {
			if i < len(r.Delays) {
				time.Sleep(time.Duration(r.Delays[i]) * time.Millisecond) // as the record has it
			}
			if stream.SendMsg(m) != nil {
				return
			}
		}
		_ = stream.CloseSend()
	}()
	defer func() { <-sent }()
	for {
		if r.Cancel != nil && len(r.Got) == *r.Cancel {
			cancel()
		}
		m := new(pb.ModelStreamInferResponse)
		if err := stream.RecvMsg(m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		r.Got = append(r.Got, m)
	}
}
