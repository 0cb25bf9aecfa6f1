package httpapi

import (
	"encoding/json"
	"slices"
	"strconv"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/oip"
	"sluice.io/sluice/internal/wire/rows"
)

// v1Predict answers POST /v1/models/M[/versions/V]:predict like TensorFlow Serving and KServe V1.
func (x *exchange) v1Predict(called infer.Called, body []byte) error {
	body, err := x.plainBody(body, x.srv.limits.MaxInflatedBytes)
	if err != nil {
		return err
	}
	frame, err := x.decodeV1(called, body)
	if err != nil {
		return err
	}
	n, columnar := frame.Rows, frame.Columnar
	resp, err := x.askRows(frame, called)
	if err != nil {
		return err
	}
	if err := x.encodeV1(n, columnar, resp); err != nil {
		return err
	}
	x.writeInference(x.out, -1)
	return nil
}

func (x *exchange) decodeV1(called infer.Called, body []byte) (*rows.Frame, error) {
	if kind := mediaType(x.header.contentType); len(kind) > 0 && !isJSON(kind) && !beginsAsJSON(body) {
		return nil, infer.Errorf(infer.UnsupportedMedia, "a body of type '%s' is not supported; send JSON", front.Cut(view(kind)))
	}
	if len(body) >= longText {
		x.takeTurn()
	}
	return rows.DecodeV1(body, x.frameOptions(called))
}

// encodeV1 encodes a response to n rows into x.out, and releases it.
func (x *exchange) encodeV1(n int, columnar bool, resp *infer.Response) (err error) {
	defer resp.Release()
	if err := front.CheckAnswer(resp.ByteSize(), x.srv.limits.MaxResponseBytes); err != nil {
		return err
	}
	a := &rows.Answer{Rows: n, NonFinite: x.srv.v1NonFinite, Bare: true, V1: true, Grow: x.growAnswer}
	if columnar {
		x.out, err = rows.AppendOutputs(x.body(), resp, a)
	} else {
		x.out, err = rows.AppendPredictions(x.body(), resp, a)
	}
	return err
}

// rowsNonFinite returns the option for answers in rows that corresponds to one for tensors.
func rowsNonFinite(choice oip.NonFinite) rows.NonFinite {
	switch choice {
	case oip.NonFiniteNull:
		return rows.NonFiniteNull
	case oip.NonFiniteError:
		return rows.NonFiniteError
	default:
		return rows.NonFiniteTokens
	}
}

// v1Status describes a model to both kinds of clients: clients of KServe read name and ready, those
// of TensorFlow Serving the versions.
type v1Status struct {
	Name     string      `json:"name"`
	Ready    bool        `json:"ready"`
	Error    string      `json:"error,omitempty"`
	Versions []v1Version `json:"model_version_status"`
}

type v1Version struct {
	Version string  `json:"version"`
	State   string  `json:"state"`
	Status  v1Error `json:"status"`
}

type v1Error struct {
	Code    string `json:"error_code"`
	Message string `json:"error_message"`
}

// v1Document answers the GET paths of V1.
func (x *exchange) v1Document() error {
	switch x.target.endpoint {
	case endpointV1Models:
		return x.v1Models()
	case endpointV1Metadata:
		return x.v1Metadata()
	default:
		return x.v1Status()
	}
}

// v1Models answers GET /v1/models with the names of the models that have a ready version.
func (x *exchange) v1Models() error {
	models := front.Visible(x.srv.front.Index(true), x.caller)
	names := make([]string, 0, len(models))
	for _, m := range models {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	return x.v1JSON(struct {
		Models []string `json:"models"`
	}{slices.Compact(names)})
}

// v1Status answers GET /v1/models/M[/versions/V], with the status of readiness for probes.
func (x *exchange) v1Status() error {
	t := &x.target
	err := x.srv.front.ModelReady(t.model, t.version)
	doc := v1Status{Name: t.model, Ready: err == nil, Versions: x.v1Versions()}
	if err != nil {
		if infer.CodeOf(err) == infer.NotFound && len(doc.Versions) == 0 {
			return err
		}
		doc.Error = infer.Message(err)
	}
	return x.state(doc.Ready, doc.Error, doc)
}

// v1Versions returns the versions of the model, the newest first. For a route these are the
// versions that can be called.
func (x *exchange) v1Versions() []v1Version {
	t, list := &x.target, []v1Version{}
	known := map[int64]bool{}
	var models []api.ModelStatus
	for _, m := range x.srv.front.Index(false) {
		if m.Name == t.model && m.Version != 0 {
			models, known[m.Version] = append(models, m), true
		}
	}
	for _, v := range x.srv.front.Versions(t.model) {
		if !known[v] {
			models = append(models, api.ModelStatus{Version: v, State: api.StateReady})
		}
	}
	slices.SortFunc(models, func(a, b api.ModelStatus) int { return int(max(-1, min(1, b.Version-a.Version))) })
	for _, m := range models {
		if t.version == 0 || t.version == m.Version {
			list = append(list, v1VersionOf(m))
		}
	}
	return list
}

func v1VersionOf(m api.ModelStatus) v1Version {
	v := v1Version{Version: strconv.FormatInt(m.Version, 10), State: "END", Status: v1Error{Code: "OK"}}
	switch m.State {
	case api.StateReady:
		v.State = "AVAILABLE"
	case api.StateLoading, api.StateUnloading:
		v.State = m.State
	default:
		if m.Reason != "" {
			v.Status = v1Error{Code: "UNAVAILABLE", Message: m.Reason}
		}
	}
	return v
}

// v1Metadata answers GET /v1/models/M[/versions/V]/metadata.
func (x *exchange) v1Metadata() error {
	model, err := x.srv.front.Model(x.target.model, x.target.version)
	if err != nil {
		return err
	}
	type object map[string]any
	signature := object{"inputs": v1Tensors(model.Inputs), "outputs": v1Tensors(model.Outputs), "method_name": "tensorflow/serving/predict"}
	return x.v1JSON(object{
		"model_spec": object{"name": x.target.model, "signature_name": "", "version": strconv.FormatInt(model.Version, 10)},
		"metadata":   object{"signature_def": object{"signature_def": object{"serving_default": signature}}},
	})
}

type v1Tensor struct {
	Name  string  `json:"name"`
	DType string  `json:"dtype"`
	Shape v1Shape `json:"tensor_shape"`
}

type v1Shape struct {
	Dims        []v1Dim `json:"dim"`
	UnknownRank bool    `json:"unknown_rank"`
}

type v1Dim struct {
	Size string `json:"size"` // "-1" if it is variable
	Name string `json:"name"`
}

func v1Tensors(specs []infer.TensorSpec) map[string]v1Tensor {
	tensors := make(map[string]v1Tensor, len(specs))
	for i := range specs {
		s := &specs[i]
		t := v1Tensor{Name: s.Name, DType: v1DType(s.DType), Shape: v1Shape{Dims: []v1Dim{}}}
		for _, n := range s.Shape {
			t.Shape.Dims = append(t.Shape.Dims, v1Dim{Size: strconv.FormatInt(n, 10)})
		}
		tensors[s.Name] = t
	}
	return tensors
}

// v1DType returns TensorFlow's name for a datatype.
func v1DType(d infer.DType) string {
	switch d {
	case infer.FP16:
		return "DT_HALF"
	case infer.BF16:
		return "DT_BFLOAT16"
	case infer.FP32:
		return "DT_FLOAT"
	case infer.FP64:
		return "DT_DOUBLE"
	case infer.Bytes:
		return "DT_STRING"
	default:
		return "DT_" + d.String() // BOOL, INT8 to UINT64
	}
}

func (x *exchange) v1JSON(doc any) error {
	body, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return x.document(append(x.body(), body...))
}
