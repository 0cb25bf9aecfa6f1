package loadgen

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// Target is a request that is sent again and again, as a POST.
type Target struct {
	URL     string // http://host:port/path
	Body    []byte
	Headers map[string]string
}

// Ask sends the request once, by the client of the standard library. The caller closes the
// answer's body.
func (t *Target) Ask(ctx context.Context) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, bytes.NewReader(t.Body))
	if err != nil {
		return nil, err
	}
	for name, value := range t.Headers {
		req.Header.Set(name, value)
	}
	return http.DefaultClient.Do(req)
}

// Bytes returns the request as it goes over the wire.
func (t *Target) Bytes() []byte {
	host, path, _ := strings.Cut(strings.TrimPrefix(t.URL, "http://"), "/")
	b := fmt.Appendf(nil, "POST /%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", path, host, len(t.Body))
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		b = fmt.Appendf(b, "%s: %s\r\n", name, t.Headers[name])
	}
	return append(append(b, "\r\n"...), t.Body...)
}

// FP32Target makes a V2 request of one FP32 input, the same numbers each time, as JSON with
// 7 significant digits or with the binary tensor extension both ways.
func FP32Target(base, model, input string, shape []int64, binaryForm bool) Target {
	specs := []infer.TensorSpec{{Name: input, DType: infer.FP32, Shape: shape}}
	rng := rand.New(rand.NewPCG(20260101, uint64(len(shape)))) //nolint:gosec // no secret
	in := infer.NewModel(model, 0, specs, nil).Example(1, rng)[0]
	t := Target{URL: base + "/v2/models/" + model + "/infer"}
	b := fmt.Appendf(nil, `{"inputs":[{"name":%q,"shape":%v,"datatype":"FP32",`, in.Name, in.Shape)
	if binaryForm {
		b = fmt.Appendf(b, `"parameters":{"binary_data_size":%d}}],"parameters":{"binary_data_output":true}}`, len(in.Data))
		t.Headers = map[string]string{"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": strconv.Itoa(len(b))}
		t.Body = slices.Concat(b, in.Data)
		return t
	}
	t.Headers = map[string]string{"Content-Type": "application/json"}
	b = append(b, `"data":[`...)
	for data := in.Data; len(data) > 0; data = data[4:] {
		b = strconv.AppendFloat(b, float64(math.Float32frombits(binary.LittleEndian.Uint32(data))), 'g', 7, 32)
		b = append(b, ',')
	}
	b[len(b)-1] = ']' // not a comma
	t.Body = slices.Concat(b, []byte("}]}"))
	return t
}
