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

// answering returns a server that answers everything alike. A head's length below 0
// leaves out the header that tells it.
func answering(t *testing.T, status, length int, body string) loadgen.Target {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if length >= 0 {
			w.Header().Set(lengthHeader, strconv.Itoa(length))
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return loadgen.Target{URL: s.URL, Body: []byte("{}"), Headers: map[string]string{}}
}

func inBinary(values ...float32) string {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return string(b)
}

func wanted() []Output {
	return []Output{
		{Name: "x", Shape: []int64{1, 2}, Data: []float32{1, -2}},
		{Name: "y", Shape: []int64{1}, Data: []float32{0.5}},
	}
}

func TestVerifyAccepts(t *testing.T) {
	f := func(length int, body string, want float64) {
		t.Helper()
		diff, err := Verify(t.Context(), answering(t, http.StatusOK, length, body), wanted(), 0.1)
		if err != nil || math.Abs(diff-want) > 1e-6 {
			t.Errorf("%s: differs by %v, error %v; want %v", body, diff, err, want)
		}
	}
	f(-1, `{"outputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,-2]},{"name":"y","shape":[1],"datatype":"FP32","data":[0.5]}]}`, 0)
	f(-1, `{"outputs":[{"name":"y","shape":[1],"datatype":"FP32","data":[0.5]},{"name":"x","shape":[1,2],"datatype":"FP32","data":[[1,-2.0625]]}]}`, 0.0625)
	head := `{"outputs":[{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}},{"name":"y","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}`
	f(len(head), head+inBinary(1.03125, -2, 0.5), 0.03125)
	mixed := `{"outputs":[{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}},{"name":"y","shape":[1],"datatype":"FP32","data":[0.5]}]}`
	f(len(mixed), mixed+inBinary(1, -2), 0)
}

func TestVerifyRefuses(t *testing.T) {
	f := func(status, length int, body, want string) {
		t.Helper()
		_, err := Verify(t.Context(), answering(t, status, length, body), wanted(), 0.1)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", body, err, want)
		}
	}
	outputs := func(x string) string {
		return `{"outputs":[` + x + `,{"name":"y","shape":[1],"datatype":"FP32","data":[0.5]}]}`
	}
	f(500, -1, "it broke", "500 Internal Server Error: it broke")
	f(200, -1, "[1", "not what V2 says")
	f(200, -1, `{"outputs":[]}`, "0 outputs, want 2")
	f(200, -1, outputs(`{"name":"z","shape":[1,2],"datatype":"FP32","data":[1,-2]}`), `no output "x"`)
	f(200, -1, outputs(`{"name":"x","shape":[2,1],"datatype":"FP32","data":[1,-2]}`), "shape [2 1], want [1 2]")
	f(200, -1, outputs(`{"name":"x","shape":[1,2],"datatype":"FP32","data":[1]}`), "1 elements, want 2")
	f(200, -1, outputs(`{"name":"x","shape":[1,2],"datatype":"FP64","data":[1,-2]}`), `is "FP64", want FP32`)
	f(200, -1, outputs(`{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,null]}`), "not an array of numbers")
	f(200, -1, outputs(`{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,-2.25]}`), "differs from ONNX Runtime by 0.25, more than 0.1")
	head := outputs(`{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}`)
	f(200, len(head), head+inBinary(float32(math.NaN()), -2), "differs from ONNX Runtime by NaN")
	f(200, len(head), head+inBinary(1), "8 bytes of data, and 4 are left")
	f(200, len(head), head+inBinary(1, -2, 3), "4 bytes after the last output")
	f(200, 1000, head, lengthHeader)
}
