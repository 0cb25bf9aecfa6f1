package loadgen

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/oip"
)

// BodyOptions say how FromMetadata makes a body.
type BodyOptions struct {
	Version string // of the model; "" for the one that the server picks
	Rows    int    // in first dimensions that vary; 1 if not set
	// Dims are the other dimensions that vary, by "input:axis", axes counted from 0.
	// The name "" is for all that are not named.
	Dims    map[string]int64
	Binary  bool   // binary tensors both ways, else JSON
	Seed    uint64 // of the values
	Headers map[string]string
}

// FromMetadata asks the server what inputs a model has and makes a valid request
// of all of them: standard normal floats, integers and booleans 0 or 1, since
// they are often indices, strings "0" or "1".
func FromMetadata(ctx context.Context, base, model string, o BodyOptions) (Target, error) {
	address := modelURL(base, model, o.Version)
	var meta oip.ModelMetadata
	if err := get(ctx, address, o.Headers, &meta); err != nil {
		return Target{}, fmt.Errorf("model %q: %w", model, err)
	}
	inputs, err := o.inputs(model, &meta)
	if err != nil {
		return Target{}, fmt.Errorf("model %q: %w", model, err)
	}
	t := Target{URL: InferURL(base, model, o.Version), Headers: map[string]string{}}
	maps.Copy(t.Headers, o.Headers)
	t.encode(inputs, o.Binary)
	return t, nil
}

// InferURL returns where requests for a model go; its version may be "".
func InferURL(base, model, version string) string { return modelURL(base, model, version) + "/infer" }

func modelURL(base, model, version string) string {
	address := strings.TrimRight(base, "/") + "/v2/models/" + url.PathEscape(model)
	if version != "" {
		address += "/versions/" + url.PathEscape(version)
	}
	return address
}

const maxMetadata = 16 << 20

func get(ctx context.Context, address string, headers map[string]string, doc any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	for name, v := range headers {
		req.Header.Set(name, v)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // as newPool
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxMetadata))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var said struct{ Error string }
		if json.Unmarshal(text, &said) != nil || said.Error == "" {
			said.Error = "no reason given"
		}
		return fmt.Errorf("%s answers %s: %s", address, resp.Status, said.Error)
	}
	if err := json.Unmarshal(text, doc); err != nil {
		return fmt.Errorf("%s answers no metadata of the Open Inference Protocol: %w", address, err)
	}
	return nil
}

// inputs makes the tensors of a request.
func (o *BodyOptions) inputs(model string, meta *oip.ModelMetadata) ([]infer.Tensor, error) {
	if len(meta.Inputs) == 0 {
		return nil, errors.New("the server names no inputs")
	}
	rows := int64(max(1, o.Rows))
	specs, scales := make([]infer.TensorSpec, len(meta.Inputs)), false
	for i, in := range meta.Inputs {
		dtype, ok := infer.ParseDType(in.Datatype)
		if !ok {
			return nil, fmt.Errorf("input %q has the unknown datatype %q", in.Name, in.Datatype)
		}
		shape := append(infer.Shape(nil), in.Shape...)
		for axis, dim := range shape {
			if dim >= 0 {
				continue
			}
			if axis == 0 {
				shape[0], scales = rows, true
				continue
			}
			name := in.Name + ":" + strconv.Itoa(axis)
			if shape[axis], ok = o.Dims[name]; !ok {
				shape[axis], ok = o.Dims[""]
			}
			if !ok || shape[axis] < 0 {
				return nil, fmt.Errorf("input %q of shape %v: how long is dimension %d? Say %s=N", in.Name, infer.Shape(in.Shape), axis, name)
			}
		}
		const limit = 1 << 30
		if size, ok := shape.ByteSize(dtype); !ok || size > limit {
			return nil, fmt.Errorf("input %q of shape %v would be larger than 1 GiB", in.Name, shape)
		}
		specs[i] = infer.TensorSpec{Name: in.Name, DType: dtype, Shape: shape}
	}
	if rows > 1 && !scales {
		return nil, fmt.Errorf("%d rows were asked for, and no input's first dimension varies", rows)
	}
	rng := rand.New(rand.NewPCG(defaultSeed, o.Seed))
	return infer.NewModel(model, 0, specs, nil).Example(rows, rng), nil
}

// encode writes the body and the headers that describe it.
func (t *Target) encode(inputs []infer.Tensor, binaryForm bool) {
	b := []byte(`{"inputs":[`)
	for i := range inputs {
		in := &inputs[i]
		if i > 0 {
			b = append(b, ',')
		}
		name, _ := json.Marshal(in.Name) // a string always can be
		b = fmt.Appendf(b, `{"name":%s,"shape":%v,"datatype":"%v",`, name, in.Shape, in.DType)
		if binaryForm {
			b = fmt.Appendf(b, `"parameters":{"binary_data_size":%d}}`, len(in.Data))
		} else {
			b = append(appendData(append(b, `"data":[`...), in), "]}"...)
		}
	}
	if !binaryForm {
		b = append(b, "]}"...)
		t.Body = b
		t.Headers["Content-Type"] = "application/json"
		return
	}
	b = append(b, `],"parameters":{"binary_data_output":true}}`...)
	t.Headers["Inference-Header-Content-Length"] = strconv.Itoa(len(b))
	t.Headers["Content-Type"] = "application/octet-stream"
	for i := range inputs {
		b = append(b, inputs[i].Data...)
	}
	t.Body = b
}

// appendData appends the elements of a tensor as JSON. Floats have 7 significant
// digits, FP64 as many as it takes.
func appendData(b []byte, t *infer.Tensor) []byte {
	le := binary.LittleEndian
	size := t.DType.Size()
	for data, first := t.Data, true; len(data) > 0; first = false {
		if !first {
			b = append(b, ',')
		}
		if t.DType == infer.Bytes {
			element, rest, _ := infer.NextElement(data)
			text, _ := json.Marshal(string(element)) // a string always can be
			b, data = append(b, text...), rest
			continue
		}
		switch t.DType {
		case infer.Bool:
			b = strconv.AppendBool(b, data[0] != 0)
		case infer.FP16:
			b = strconv.AppendFloat(b, float64(infer.FP16ToFloat32(le.Uint16(data))), 'g', 7, 32)
		case infer.BF16:
			b = strconv.AppendFloat(b, float64(infer.BF16ToFloat32(le.Uint16(data))), 'g', 7, 32)
		case infer.FP32:
			b = strconv.AppendFloat(b, float64(math.Float32frombits(le.Uint32(data))), 'g', 7, 32)
		case infer.FP64:
			b = strconv.AppendFloat(b, math.Float64frombits(le.Uint64(data)), 'g', -1, 64)
		default: // an example's integers are 0 or 1 in any width
			b = strconv.AppendUint(b, uint64(data[0]), 10)
		}
		data = data[size:]
	}
	return b
}

// FP32Target makes a V2 request of one FP32 input with a fixed seed, as JSON with
// 7 significant digits or with the binary tensor extension both ways.
func FP32Target(base, model, input string, shape []int64, binaryForm bool) Target {
	t := Target{URL: InferURL(base, model, ""), Headers: map[string]string{}}
	specs := []infer.TensorSpec{{Name: input, DType: infer.FP32, Shape: shape}}
	rng := rand.New(rand.NewPCG(defaultSeed, uint64(len(shape))))
	t.encode(infer.NewModel(model, 0, specs, nil).Example(1, rng), binaryForm)
	return t
}
