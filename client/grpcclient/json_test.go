package grpcclient_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"sluice.io/sluice/client/grpcclient"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

func TestInferJSON(t *testing.T) {
	g := &gateway{}
	c := g.connect(t, grpcclient.Options{Token: "key"})
	body := `{"id":"a\"b","parameters":{"priority":2,"user":"u","seed":18446744073709551615,"t":0.5,"b":true,"binary_data_output":true},
		"inputs":[{"name":"x","datatype":"FP32","shape":[2,3],"data":[[0.1,-2,NaN],[Infinity,-Infinity,1e30]]},
		{"name":"s","datatype":"BYTES","shape":[2],"parameters":{"p":1},"data":["NaN","é"]},
		{"name":"u","datatype":"UINT8","shape":[2],"data":[0,255]}],
		"outputs":[{"name":"x","parameters":{"classification":3,"binary_data":true}}]}`
	got, err := c.InferJSON(t.Context(), "iris", 3, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"a\"b","model_name":"iris","model_version":"2","outputs":[` +
		`{"name":"x","datatype":"FP32","shape":[2,3],"data":[0.1,-2,NaN,Infinity,-Infinity,1e+30]},` +
		`{"name":"s","datatype":"BYTES","shape":[2],"data":["NaN","é"]},{"name":"u","datatype":"UINT8","shape":[2],"data":[0,255]}]}`
	if string(got.Body) != want {
		t.Errorf("%s, want %s", got.Body, want)
	}
	if h := got.Header; h.Get("Sluice-Version") != "2" || h.Get("Sluice-Route") != "iris@7" || h.Get("Sluice-Reason") != "sticky" || h.Get("X-Request-Id") != "r1" {
		t.Errorf("%v", h)
	}
	sent := g.asked()[0]
	if sent.metadata.Get("authorization")[0] != "Bearer key" {
		t.Error("the call has no key")
	}
	m := sent.message.(*pb.ModelInferRequest)
	m.Inputs, m.RawInputContents = m.GetInputs()[1:2], nil
	message := &pb.ModelInferRequest{
		ModelName: "iris", ModelVersion: "3", Id: `a"b`,
		Parameters: map[string]*pb.InferParameter{
			"priority": integer(2), "user": {ParameterChoice: &pb.InferParameter_StringParam{StringParam: "u"}},
			"seed": {ParameterChoice: &pb.InferParameter_Uint64Param{Uint64Param: 1<<64 - 1}},
			"t":    {ParameterChoice: &pb.InferParameter_DoubleParam{DoubleParam: 0.5}},
			"b":    {ParameterChoice: &pb.InferParameter_BoolParam{BoolParam: true}},
		},
		Inputs: []*pb.ModelInferRequest_InferInputTensor{
			{Name: "s", Datatype: "BYTES", Shape: []int64{2}, Parameters: map[string]*pb.InferParameter{"p": integer(1)}},
		},
		Outputs: []*pb.ModelInferRequest_InferRequestedOutputTensor{{Name: "x", Parameters: map[string]*pb.InferParameter{"classification": integer(3)}}},
	}
	if diff := cmp.Diff(message, m, protocmp.Transform()); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

func TestInferJSONRefuses(t *testing.T) {
	g := &gateway{}
	c := g.connect(t, grpcclient.Options{})
	f := func(body, part string) {
		t.Helper()
		if _, err := c.InferJSON(t.Context(), "iris", 0, []byte(body)); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v, want %q", body, err, part)
		}
	}
	f(``, "is not valid JSON")
	f(`{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}]}`, "input 'x' has no data")
	f(`{"inputs":[{"name":"x","datatype":"FP16","shape":[1],"data":[1]}]}`, "'FP16' can only be read from binary data")
	f(`{"inputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[128]}]}`, "value out of range")
	f(`{"inputs":[{"name":"x","datatype":"INT8","shape":[2],"data":[1]}]}`, "does not fit")
	f(`{"parameters":{"p":[1]}}`, "a parameter must be")
	if n := len(g.asked()); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

func FuzzInferJSON(f *testing.F) {
	f.Add([]byte(`{"id":"1","parameters":{"p":1,"q":null},"inputs":[{"name":"x","datatype":"FP64","shape":[1,2],"data":[[NaN,1]]}],"outputs":[{"name":"y"}]}`))
	f.Add([]byte(`{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"data":["\ud800"]}]}`))
	g := &gateway{}
	c := g.connect(f, grpcclient.Options{Retries: -1})
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := c.InferJSON(t.Context(), "iris", 0, body)
		if err == nil && !json.Valid(got.Body) && !strings.Contains(string(got.Body), "NaN") && !strings.Contains(string(got.Body), "Infinity") {
			t.Errorf("%q gives %q, which is not JSON", body, got.Body)
		}
	})
}
