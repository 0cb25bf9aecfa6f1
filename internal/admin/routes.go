package admin

import (
	"context"
	"io"
	"net/http"
	"net/http/pprof"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// How long a request may take, answer included.
const (
	quick = time.Minute
	slow  = 10 * time.Minute // loads a model, or profiles for as long as it is told
)

// route is a path and who may ask what of it. An error that handle returns has
// not been answered yet.
type route struct {
	method string // GET allows HEAD; "" allows any
	path   string // as http.ServeMux takes it
	open   bool   // to everyone
	limit  time.Duration
	handle func(w http.ResponseWriter, r *http.Request, who actor) error
}

func (s *Server) routes() http.Handler {
	metrics := promhttp.HandlerFor(s.opts.Gatherer, promhttp.HandlerOpts{
		ErrorLog: zap.NewStdLog(s.log), ErrorHandling: promhttp.ContinueOnError, CoalesceGather: true,
	})
	mux := http.NewServeMux()
	for _, rt := range []route{
		{http.MethodGet, "/metrics", true, quick, plain(metrics.ServeHTTP)},
		{http.MethodGet, "/-/healthy", true, quick, s.healthy},
		{http.MethodGet, "/-/ready", true, quick, s.ready},
		{http.MethodPost, "/-/reload", false, slow, s.reload},
		{http.MethodGet, "/api/v1/status", false, quick, s.status},
		{http.MethodGet, "/api/v1/models", false, quick, s.models},
		{http.MethodGet, "/api/v1/models/{name}", false, quick, s.model},
		{http.MethodPost, "/api/v1/models/{name}/load", false, slow, s.load},
		{http.MethodPost, "/api/v1/models/{name}/unload", false, slow, s.unload},
		{http.MethodGet, "/debug/pprof/", false, slow, s.whileUp(pprof.Index)},
		{http.MethodGet, "/debug/pprof/cmdline", false, quick, plain(pprof.Cmdline)},
		{http.MethodGet, "/debug/pprof/profile", false, slow, s.whileUp(pprof.Profile)},
		{http.MethodGet, "/debug/pprof/trace", false, slow, s.whileUp(pprof.Trace)},
		{"", "/debug/pprof/symbol", false, quick, plain(pprof.Symbol)},
		{"", "/", false, quick, notFound},
	} {
		mux.HandleFunc(rt.path, s.serve(rt))
	}
	return mux
}

// plain makes a handle of a handler that answers its own errors.
func plain(h http.HandlerFunc) func(http.ResponseWriter, *http.Request, actor) error {
	return func(w http.ResponseWriter, r *http.Request, _ actor) error {
		h(w, r)
		return nil
	}
}

// whileUp is plain for a handler that may wait: it ends when the server stops.
func (s *Server) whileUp(h http.HandlerFunc) func(http.ResponseWriter, *http.Request, actor) error {
	return func(w http.ResponseWriter, r *http.Request, _ actor) error {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go func() { // ends with ctx
			select {
			case <-s.stopping:
				cancel()
			case <-ctx.Done():
			}
		}()
		h(w, r.WithContext(ctx))
		return nil
	}
}

func notFound(_ http.ResponseWriter, r *http.Request, _ actor) error {
	return infer.Errorf(infer.NotFound, "there is nothing at %s", r.URL.Path)
}

// serve puts around a route what all have in common: who may, the method, the
// limits, and the answer to an error.
func (s *Server) serve(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer s.recovered(w, r)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		var who actor
		var err error
		if !rt.open {
			who, err = s.authorize(w, r)
		}
		if err == nil && !rt.allows(r.Method) {
			s.wrongMethod(w, r, rt)
			return
		}
		if err == nil {
			err = skipBody(w, r)
		}
		if err == nil {
			err = s.handle(rt, w, r, who)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

// handle runs a route within its limit.
func (s *Server) handle(rt route, w http.ResponseWriter, r *http.Request, who actor) error {
	const toAnswer = 10 * time.Second // beyond the limit, to say that it has passed
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(rt.limit + toAnswer)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), rt.limit)
	defer cancel()
	return rt.handle(w, r.WithContext(ctx), who)
}

func (rt route) allows(method string) bool {
	return rt.method == "" || rt.method == method || rt.method == http.MethodGet && method == http.MethodHead
}

// skipBody reads what no route has a use for, so that the connection can be used
// again; what is too long or too slow is refused.
func skipBody(w http.ResponseWriter, r *http.Request) error {
	if r.Body == http.NoBody {
		return nil
	}
	conn := http.NewResponseController(w)
	if err := conn.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r.Body, maxBodyBytes+1))
	switch {
	case err != nil:
		return infer.Errorf(infer.Invalid, "the request's body could not be read")
	case n > maxBodyBytes:
		w.Header().Set("Connection", "close")
		return infer.Errorf(infer.TooLarge, "the request's body is longer than %d bytes", maxBodyBytes)
	}
	return conn.SetReadDeadline(time.Time{})
}

// recovered answers for a handler that panicked.
func (s *Server) recovered(w http.ResponseWriter, r *http.Request) {
	switch p := recover(); p {
	case nil:
	case http.ErrAbortHandler:
		panic(p)
	default:
		s.log.Error("panic", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
		s.fail(w, r, infer.Errorf(infer.Internal, "panic"))
	}
}
