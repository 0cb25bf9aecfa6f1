package httpapi

import (
	"encoding/json"
	"slices"

	"github.com/valyala/fasthttp"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/oip"
)

// health is the body of both live and ready, since some clients read the field of one in the
// document of the other.
type health struct {
	Live  bool   `json:"live"`
	Ready bool   `json:"ready"`
	Error string `json:"error,omitempty"`
}

// readiness is the body of a model's ready.
type readiness struct {
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
	Error string `json:"error,omitempty"`
}

// serverMetadata answers GET /v2.
func (x *exchange) serverMetadata() error {
	name := front.Name
	if x.srv.triton {
		name = front.TritonName
	}
	return x.document(oip.AppendServerMetadata(x.body(), &oip.ServerMetadata{
		Name: name, Version: x.srv.opts.Version,
		Extensions: front.Extensions(),
	}))
}

// live answers GET /v2/health/live: whether the process can answer.
func (x *exchange) live() error {
	return x.state(true, "", health{Live: true, Ready: x.srv.front.Ready()})
}

// ready answers GET /v2/health/ready: whether requests can be served.
func (x *exchange) ready() error {
	h := x.health()
	return x.state(h.Ready, h.Error, h)
}

func (x *exchange) health() health {
	h := health{Live: true, Ready: x.srv.front.Ready()}
	if !h.Ready {
		h.Error = "the server is not ready"
	}
	return h
}

// ping answers GET /ping, which SageMaker and MLflow use as ready.
func (x *exchange) ping() error {
	h := x.health()
	if err := x.state(h.Ready, h.Error, h); err != nil {
		return err
	}
	if !h.Ready {
		x.ctx.SetStatusCode(fasthttp.StatusServiceUnavailable) // also in compatibility with Triton
	}
	return nil
}

// modelReady answers GET /v2/models/M[/versions/V]/ready. An unknown model is not ready.
func (x *exchange) modelReady() error {
	r := readiness{Name: x.target.model, Ready: true}
	if err := x.srv.front.ModelReady(x.target.model, x.target.version); err != nil {
		r.Ready, r.Error = false, infer.Message(err)
	}
	return x.state(r.Ready, r.Error, r)
}

// state answers with a document, and with the status for ready.
func (x *exchange) state(ready bool, failure string, doc any) error {
	body, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	if err := x.document(append(x.body(), body...)); err != nil {
		return err
	}
	if !ready {
		x.code, x.failure = infer.Unavailable, failure
	}
	switch {
	case ready:
	case x.srv.triton:
		x.ctx.SetStatusCode(fasthttp.StatusBadRequest)
	default:
		x.ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		x.ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, retryAfter)
	}
	return nil
}

// modelMetadata answers GET /v2/models/M[/versions/V].
func (x *exchange) modelMetadata() error {
	t := &x.target
	model, err := x.srv.front.Model(t.model, t.version)
	if err != nil {
		return err
	}
	versions := []int64{t.version}
	if t.version == 0 {
		versions = x.srv.front.Versions(t.model)
	}
	doc := oip.NewModelMetadata(t.model, front.Platform, versions, model)
	return x.document(oip.AppendModelMetadata(x.body(), &doc))
}

// statistics answers GET /v2/models/stats and /v2/models/M[/versions/V]/stats.
func (x *exchange) statistics() error {
	models, err := x.srv.opts.Describer.Statistics(x.target.model, x.target.version)
	if err != nil {
		return err
	}
	if x.target.model == "" {
		models = slices.DeleteFunc(models, func(m oip.ModelStatistics) bool { return !x.caller.Can(callers.Statistics, m.Name) })
	}
	return x.document(oip.AppendStatistics(x.body(), models))
}

// modelConfig answers GET /v2/models/M[/versions/V]/config.
func (x *exchange) modelConfig() error {
	doc, err := x.srv.opts.Describer.ModelConfig(x.target.model, x.target.version)
	if err != nil {
		return err
	}
	return x.document(oip.AppendModelConfig(x.body(), &doc))
}
