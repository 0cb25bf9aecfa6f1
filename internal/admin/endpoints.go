package admin

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/pprof"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// The max time of a request, including the answer.
const (
	quick = time.Minute
	slow  = 10 * time.Minute // for loads of models and for profiles

	// For endpoints that read or write a body of any size themselves.
	upload    = 2 * time.Hour
	inference = 5 * time.Minute
)

// endpoint is a method and path, and what it needs of its callers. handle gets a request with its
// whole body, if the endpoint reads one, and the actor, if the method can change something. If it
// returns an error, it has not written an answer.
type endpoint struct {
	method string // GET allows HEAD; "" allows any
	path   string // a pattern of http.ServeMux
	need   callers.Need
	limit  time.Duration
	handle func(w http.ResponseWriter, r *http.Request, who api.Actor) error
}

// endpoints returns a handler for all endpoints.
func (s *Server) endpoints() http.Handler {
	mux := http.NewServeMux()
	paths := make(map[string][]endpoint)
	for _, e := range s.all() {
		paths[e.path] = append(paths[e.path], e)
	}
	for path, methods := range paths {
		mux.HandleFunc(path, s.serve(methods))
	}
	return guarded(mux)
}

// Endpoints returns the endpoints, and what each needs of its callers.
func Endpoints() (list []callers.Endpoint) {
	s := &Server{log: zap.NewNop()} // the table refers to the methods of a server, and calls none
	for _, e := range s.all() {
		list = append(list, callers.Endpoint{Name: strings.TrimSpace(e.method + " " + e.path), Need: e.need})
	}
	return list
}

// all returns the endpoints. api/openapi.yaml describes those of the control API.
func (s *Server) all() []endpoint {
	metrics := promhttp.HandlerFor(s.opts.Gatherer, promhttp.HandlerOpts{
		ErrorLog: zap.NewStdLog(s.log), ErrorHandling: promhttp.ContinueOnError, CoalesceGather: true,
	})
	list := []endpoint{
		{http.MethodGet, "/metrics", callers.Need{Action: callers.Statistics, Scope: callers.OpenMetrics}, quick, plain(metrics.ServeHTTP)},
		{http.MethodGet, "/-/healthy", callers.Need{Scope: callers.Open}, quick, s.healthy},
		{http.MethodGet, "/-/ready", callers.Need{Action: callers.Statistics, Scope: callers.OpenMetrics}, quick, s.ready},
		{http.MethodPost, "/-/reload", callers.OnEvery(callers.Admin), slow, s.reload},
		{http.MethodGet, "/openapi.json", callers.Need{Action: callers.Metadata, Scope: callers.OpenDocument}, quick, s.openAPI},
		{http.MethodGet, "/docs", callers.Need{Action: callers.Metadata, Scope: callers.OpenDocument}, quick, s.docs},
		{http.MethodGet, sessionPath, callers.Need{Scope: callers.Known}, quick, s.session},
		{http.MethodPost, sessionPath, callers.Need{Scope: callers.Known}, quick, s.beginSession},
		{http.MethodDelete, sessionPath, callers.Need{Scope: callers.Known}, quick, s.endSession},
		{http.MethodGet, "/api/v1/status", callers.OnSome(callers.Metadata), quick, s.status},
		{http.MethodGet, "/api/v1/config", callers.OnEvery(callers.Admin), quick, s.config},
		{http.MethodGet, "/api/v1/callers", callers.OnEvery(callers.Admin), quick, s.callers},
		{http.MethodGet, "/api/v1/callers/{name}", callers.OnEvery(callers.Admin), quick, s.caller},
		{http.MethodGet, "/api/v1/models", callers.OnSome(callers.Metadata), quick, s.models},
		{http.MethodGet, "/api/v1/models/{name}", callers.On(callers.Metadata), quick, s.model},
		{http.MethodPost, "/api/v1/models/{name}/load", callers.On(callers.Load), slow, s.load},
		{http.MethodPost, "/api/v1/models/{name}/unload", callers.On(callers.Load), slow, s.unload},
		{http.MethodPost, "/api/v1/models/{name}/infer", callers.On(callers.Infer), inference, s.infer},
		{http.MethodGet, "/api/v1/models/{name}/versions", callers.On(callers.Metadata), quick, s.versionsOf},
		{http.MethodPost, "/api/v1/models/{name}/versions", callers.On(callers.Register).ForTrainers().AndRepeats(), upload, s.pushNext},
		{http.MethodGet, "/api/v1/models/{name}/versions/{version}", callers.On(callers.Metadata), quick, s.version},
		{http.MethodPut, "/api/v1/models/{name}/versions/{version}", callers.On(callers.Register), upload, s.pushVersion},
		{http.MethodPatch, "/api/v1/models/{name}/versions/{version}", callers.On(callers.Register), quick, s.describeVersion},
		{http.MethodDelete, "/api/v1/models/{name}/versions/{version}", callers.On(callers.Register), slow, s.deleteVersion},
		{http.MethodPost, "/api/v1/models/{name}/versions/{version}/archive", callers.On(callers.Register), slow, s.archiveVersion},
		{http.MethodPost, "/api/v1/models/{name}/versions/{version}/restore", callers.On(callers.Register), slow, s.restoreVersion},
		{http.MethodPost, "/api/v1/models/{name}/versions/{version}/infer", callers.On(callers.Infer), inference, s.inferVersion},
		{http.MethodGet, "/api/v1/models/{name}/aliases", callers.On(callers.Metadata), quick, s.aliases},
		{http.MethodGet, "/api/v1/models/{name}/aliases/{alias}", callers.On(callers.Metadata), quick, s.alias},
		{http.MethodPut, "/api/v1/models/{name}/aliases/{alias}", callers.On(callers.Route), slow, s.setAlias},
		{http.MethodDelete, "/api/v1/models/{name}/aliases/{alias}", callers.On(callers.Route), slow, s.deleteAlias},
		{http.MethodGet, "/api/v1/routes", callers.OnSome(callers.Metadata), quick, s.listRoutes},
		{http.MethodGet, "/api/v1/routes/{name}", callers.On(callers.Metadata), quick, s.getRoute},
		{http.MethodPut, "/api/v1/routes/{name}", callers.On(callers.Route), slow, s.setRoute},
		{http.MethodDelete, "/api/v1/routes/{name}", callers.On(callers.Route), slow, s.deleteRoute},
		{http.MethodGet, "/api/v1/routes/{name}/stats", callers.On(callers.Statistics), quick, s.routeStats},
		{http.MethodGet, "/api/v1/routes/{name}/shadows", callers.On(callers.Statistics), quick, s.shadowReport},
		{http.MethodGet, "/api/v1/journal", callers.OnEvery(callers.Admin), quick, s.journal},
		{http.MethodGet, "/api/v1/journal/export", callers.OnEvery(callers.Admin), upload, s.whileServing(s.exportJournal)},
		{http.MethodGet, "/api/v1/journal/verify", callers.OnEvery(callers.Admin), slow, s.verifyJournal},
		{http.MethodGet, "/api/v1/watch", watchNeed(), watching, s.watch},
		{http.MethodGet, "/api/v1/history", callers.OnSome(callers.Statistics), quick, s.history},
		{http.MethodGet, "/api/v1/drift", callers.OnSome(callers.Statistics), quick, s.drift},
		{http.MethodGet, "/api/v1/drift/{model}", callers.On(callers.Statistics), quick, s.driftOf},
		{http.MethodGet, "/api/v1/drift/{model}/report", callers.On(callers.Statistics), quick, s.driftReport},
		{http.MethodGet, "/api/v1/labels", callers.OnSome(callers.Statistics), quick, s.labels},
		{http.MethodGet, "/api/v1/labels/{model}", callers.On(callers.Statistics), quick, s.labelsOf},
		{http.MethodGet, "/api/v1/capture", callers.OnSome(callers.Capture), slow, s.captured},
		{http.MethodGet, "/api/v1/capture/{model}", callers.On(callers.Capture), slow, s.captureFiles},
		{http.MethodDelete, "/api/v1/capture/{model}", callers.On(callers.Capture), slow, s.deleteCaptured},
		{http.MethodGet, "/api/v1/capture/{model}/export", callers.On(callers.Capture).ForTrainers(), upload, s.whileServing(s.exportCapture)},
		{http.MethodGet, "/debug/pprof/", callers.OnEvery(callers.Admin), slow, s.whileUp(pprof.Index)},
		{http.MethodGet, "/debug/pprof/cmdline", callers.OnEvery(callers.Admin), quick, plain(pprof.Cmdline)},
		{http.MethodGet, "/debug/pprof/profile", callers.OnEvery(callers.Admin), slow, s.whileUp(pprof.Profile)},
		{http.MethodGet, "/debug/pprof/trace", callers.OnEvery(callers.Admin), slow, s.whileUp(pprof.Trace)},
		{"", "/debug/pprof/symbol", callers.OnEvery(callers.Admin), quick, plain(pprof.Symbol)},
		{http.MethodGet, "/{$}", callers.Need{Scope: callers.Open}, quick, s.console},
		{http.MethodGet, "/assets/{file}", callers.Need{Scope: callers.Open}, quick, s.console},
		{"", "/", callers.OnSome(callers.Metadata), quick, notFound},
	}
	signals, oldSignals := s.signalEndpoints("/api/v1/signals"), s.signalEndpoints("/api/v1/retrain") // the old name is an alias
	return slices.Concat(list, s.rolloutEndpoints(), s.retrainEndpoints(), signals, oldSignals)
}

// signalEndpoints returns the endpoints of the collection of signals at a path.
func (s *Server) signalEndpoints(path string) []endpoint {
	return []endpoint{
		{http.MethodGet, path, callers.OnSome(callers.Statistics), quick, s.signals},
		{http.MethodGet, path + "/{id}", callers.OnSome(callers.Statistics), quick, s.signal},
		{http.MethodPost, path + "/{id}/retry", callers.OnSome(callers.Signal), quick, s.retrySignal},
		{http.MethodPost, path + "/{id}/close", callers.OnSome(callers.Signal), quick, s.closeSignal},
	}
}

// plain converts a handler that answers its own errors.
func plain(h http.HandlerFunc) func(http.ResponseWriter, *http.Request, api.Actor) error {
	return func(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
		h(w, r)
		return nil
	}
}

// whileUp is plain for a handler that may wait.
func (s *Server) whileUp(h http.HandlerFunc) func(http.ResponseWriter, *http.Request, api.Actor) error {
	return s.whileServing(plain(h))
}

// whileServing returns a handler that may take long. It cancels the request when the server stops.
func (s *Server) whileServing(handle func(http.ResponseWriter, *http.Request, api.Actor) error) func(http.ResponseWriter, *http.Request, api.Actor) error {
	return func(w http.ResponseWriter, r *http.Request, who api.Actor) error {
		ctx, cancel := s.untilStop(r.Context())
		defer cancel()
		return handle(w, r.WithContext(ctx), who)
	}
}

// untilStop returns a context that ends when the server stops. The caller must call the function.
func (s *Server) untilStop(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	go func() { // ends with ctx
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func notFound(_ http.ResponseWriter, r *http.Request, _ api.Actor) error {
	return infer.Errorf(infer.NotFound, "the path %s does not exist", r.URL.Path)
}

// serve returns the handler of a path. It checks the access and the method, applies the
// limits, and answers errors.
func (s *Server) serve(methods []endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer s.recovered(w, r)
		i := slices.IndexFunc(methods, func(e endpoint) bool { return e.allows(r.Method) })
		caller, err := s.authorize(r, methods[max(i, 0)].need)
		if err == nil && i < 0 {
			s.wrongMethod(w, r, allowed(methods))
			return
		}
		if caller != nil {
			r = r.WithContext(context.WithValue(r.Context(), callerKey{}, caller))
		}
		switch {
		case err != nil:
		case methods[i].limit == upload, methods[i].limit == inference:
			err = s.handle(methods[i], w, r)
		default:
			var done func()
			if done, err = s.takeBody(w, r, methods[i].reads()); err == nil {
				defer done()
				err = s.handle(methods[i], w, r)
			}
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

// handle runs an endpoint within its limit.
func (s *Server) handle(e endpoint, w http.ResponseWriter, r *http.Request) error {
	const toAnswer = 10 * time.Second // to answer that the limit has passed
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(e.limit + toAnswer)); err != nil {
		return err
	}
	var who api.Actor
	if caller := callerOf(r); caller != nil && r.Method != http.MethodGet && r.Method != http.MethodHead {
		var err error
		if who, err = actorOf(r, caller); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), e.limit)
	defer cancel()
	return e.handle(w, r.WithContext(ctx), who)
}

func (e endpoint) allows(method string) bool {
	return e.method == "" || e.method == method || e.method == http.MethodGet && method == http.MethodHead
}

// reads reports whether the endpoint reads a body: a route, a rollout, a description, what a trainer says, or the addresses of symbols.
func (e endpoint) reads() bool {
	return e.method == http.MethodPut || e.method == http.MethodPatch || e.method == "" || e.method == http.MethodPost && slices.Contains([]string{rolloutsPath, planPath, askPath, progressPath, failPath}, e.path)
}

// allowed returns the methods of a path for the header Allow.
func allowed(methods []endpoint) string {
	list := make([]string, len(methods))
	for i, e := range methods {
		list[i] = e.method
	}
	return strings.Join(list, ", ")
}

// takeBody replaces the request's body with its bytes. Until done, they count as a body in
// memory. It reads all of the body, even if the endpoint does not read it, so that the
// connection can be used again. It refuses a body that is too long or too slow.
func (s *Server) takeBody(w http.ResponseWriter, r *http.Request, wanted bool) (done func(), err error) {
	done = func() {}
	if r.Body == http.NoBody {
		return done, nil
	}
	if wanted {
		select {
		case s.bodies <- struct{}{}:
			done = func() { <-s.bodies }
		default:
			w.Header().Set("Connection", "close")
			return nil, infer.Errorf(infer.Overloaded, "%d requests with a body are in progress, the max; retry later", maxBodies)
		}
	}
	body, err := readBody(w, r, wanted)
	if err != nil {
		done()
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return done, nil
}

// readBody reads the request's body. It returns it only if it is wanted.
func readBody(w http.ResponseWriter, r *http.Request, wanted bool) ([]byte, error) {
	conn := http.NewResponseController(w)
	if err := conn.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return nil, err
	}
	var body bytes.Buffer
	var into io.Writer = &body
	if !wanted {
		into = io.Discard
	}
	n, err := io.Copy(into, io.LimitReader(r.Body, maxBodyBytes+1))
	switch {
	case err != nil:
		return nil, infer.Errorf(infer.Invalid, "the request's body cannot be read, or did not arrive in time")
	case n > maxBodyBytes:
		w.Header().Set("Connection", "close")
		return nil, infer.Errorf(infer.TooLarge, "the request's body has more than %d bytes", maxBodyBytes)
	}
	return body.Bytes(), conn.SetReadDeadline(time.Time{})
}

// recovered answers a request whose handler panicked.
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
