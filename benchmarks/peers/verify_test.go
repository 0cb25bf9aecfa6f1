package peers

import (
	"encoding/binary"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"sluice.io/sluice/benchmarks/loadgen"
)

// Only what ONNX Runtime answers is taken for right, in both forms; want "" is an answer
// that differs by 1/16.
func TestVerify(t *testing.T) {
	wanted := []Output{{Name: "x", Shape: []int64{1, 2}, Data: []float32{1, -2}}, {Name: "y", Shape: []int64{1}, Data: []float32{0.5}}}
	f := func(want string, status int, text string, binaries ...float32) {
		t.Helper()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if binaries != nil {
				w.Header().Set(lengthHeader, strconv.Itoa(len(text)))
			}
			w.WriteHeader(status)
			body, _ := binary.Append([]byte(text), binary.LittleEndian, binaries)
			_, _ = w.Write(body)
		}))
		defer server.Close()
		diff, err := Verify(t.Context(), loadgen.Target{URL: server.URL}, wanted, 0.1)
		if want == "" && (err != nil || diff != 0.0625) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: differs by %v, error %v; want %q", text, diff, err, want)
		}
	}
	const y = `{"name":"y","shape":[1],"datatype":"FP32","data":[0.5]}`
	outputs := func(x string) string { return `{"outputs":[` + x + "," + y + `]}` }
	head := outputs(`{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}`)
	f("", 200, `{"outputs":[`+y+`,{"name":"x","shape":[1,2],"datatype":"FP32","data":[[1,-2.0625]]}]}`)
	f("", 200, head, 1, -2.0625)
	f("it broke", 500, "it broke")
	f("not what V2 says", 200, "[1")
	f("0 outputs", 200, `{"outputs":[]}`)
	f(`no output "x"`, 200, outputs(`{"name":"z","shape":[1,2],"datatype":"FP32","data":[1,-2]}`))
	f("shape [2 1]", 200, outputs(`{"name":"x","shape":[2,1],"datatype":"FP32","data":[1,-2]}`))
	f("1 elements", 200, outputs(`{"name":"x","shape":[1,2],"datatype":"FP32","data":[1]}`))
	f("want FP32", 200, outputs(`{"name":"x","shape":[1,2],"datatype":"FP64","data":[1,-2]}`))
	f("not an array", 200, outputs(`{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,null]}`))
	f("by 0.25", 200, outputs(`{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,-2.25]}`))
	f("by NaN", 200, head, float32(math.NaN()), -2)
	f("4 are left", 200, head, 1)
	f("after the last", 200, head, 1, -2, 3)
}
