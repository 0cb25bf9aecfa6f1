package httpapi

import (
	"github.com/valyala/fasthttp"

	"sluice.io/sluice/internal/wire/front"
)

// record ends the trace of the exchange. It copies what the exchange has in its buffers.
func (x *exchange) record() {
	t, req := x.trace, &x.ctx.Request
	t.RequestID, t.Served, t.Code, t.Error = string(x.id), x.served, x.code, front.Printable(x.failure)
	t.Method, t.Route, t.Path = fasthttp.MethodPost, x.target.route(), front.Printable(string(req.URI().PathOriginal()))
	t.HTTPStatus, t.Peer, t.UserAgent = x.ctx.Response.StatusCode(), x.ctx.RemoteAddr(), front.Printable(string(req.Header.UserAgent()))
	t.BytesIn, t.BytesOut = x.received, x.answered
	x.srv.front.Record(t)
}

// route returns the pattern of an inference's path.
func (t *target) route() string {
	pinned := t.version != 0
	switch {
	case t.endpoint == endpointInvocations:
		return "/invocations"
	case t.endpoint == endpointV1Predict && t.label != "":
		return "/v1/models/{model}/labels/{label}:predict"
	case t.endpoint == endpointV1Predict && pinned:
		return "/v1/models/{model}/versions/{version}:predict"
	case t.endpoint == endpointV1Predict:
		return "/v1/models/{model}:predict"
	case t.endpoint == endpointPredict && pinned:
		return "/v2/models/{model}/versions/{version}/predict"
	case t.endpoint == endpointPredict:
		return "/v2/models/{model}/predict"
	case pinned:
		return "/v2/models/{model}/versions/{version}/infer"
	default:
		return "/v2/models/{model}/infer"
	}
}
