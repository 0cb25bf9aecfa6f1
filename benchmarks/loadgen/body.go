package loadgen

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"

	"sluice.io/sluice/internal/infer"
)

// FP32Target makes a V2 request of one FP32 input with a fixed seed, as JSON with
// 7 significant digits or with the binary tensor extension both ways.
func FP32Target(base, model, input string, shape []int64, binaryForm bool) Target {
	rng := rand.New(rand.NewPCG(20260101, uint64(len(shape))))
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	t := Target{URL: base + "/v2/models/" + model + "/infer", Headers: map[string]string{}}
	head := fmt.Sprintf(`{"inputs":[{"name":%q,"shape":%s,"datatype":"FP32",`, input, infer.Shape(shape))
	if !binaryForm {
		t.Body = append([]byte(head), `"data":[`...)
		for i := range n {
			if i > 0 {
				t.Body = append(t.Body, ',')
			}
			t.Body = strconv.AppendFloat(t.Body, rng.NormFloat64(), 'g', 7, 32)
		}
		t.Body = append(t.Body, "]}]}"...)
		t.Headers["Content-Type"] = "application/json"
		return t
	}
	t.Body = fmt.Appendf(nil, `%s"parameters":{"binary_data_size":%d}}],"parameters":{"binary_data_output":true}}`, head, 4*n)
	t.Headers["Inference-Header-Content-Length"] = strconv.Itoa(len(t.Body))
	t.Headers["Content-Type"] = "application/octet-stream"
	for range n {
		t.Body, _ = binary.Append(t.Body, binary.LittleEndian, float32(rng.NormFloat64()))
	}
	return t
}
