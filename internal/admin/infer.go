package admin

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// InferControl gives the admin port access to models, for people who try one, and to loaded versions, for replays.
type InferControl interface {
	// Infer answers a request to a route as the data plane does: the same routes, limits, statistics, labels and
	// captured traffic. It calls answer with the answer, whose memory it frees when answer has returned. served says what
	// was picked, also if there is an error. Errors are those of inference.
	Infer(ctx context.Context, in Inference, answer func(InferenceAnswer) error) (served infer.Served, err error)
	// InferVersion lets a loaded version answer a request of the Open Inference Protocol, which
	// is in no statistics of callers. It calls answer with the answer, whose memory it frees when
	// answer has returned. Errors besides those of inference: Conflict if the version exists and
	// is not loaded.
	InferVersion(ctx context.Context, in Inference, answer func(InferenceAnswer) error) error
}

// Inference is a request to a route or a version.
type Inference struct {
	Model     string          // or the route
	Version   int64           // 0 for a route
	Caller    *callers.Caller // its limits apply
	RequestID string
	Body      io.Reader
	Size      int64 // of the body, negative if it is not known
	// JSONLength is the length of the JSON document at the beginning of the body: -1 if it is
	// the whole body, 0 if the body is one raw tensor.
	JSONLength int

	// Of a request to a route.
	Header http.Header // for the sticky key, an override and the trace
	Path   string
	Remote net.Addr
}

// InferenceAnswer is the answer to an Inference.
type InferenceAnswer struct {
	Body       []byte
	JSONLength int           // of the JSON document at its beginning; -1 if it is all of it
	Took       time.Duration // until the answer of the model
	Served     infer.Served
	RequestID  string // of a request to a route: the caller's, or a new one
}

const (
	maxInferences    = 32 // in progress
	headerJSONLength = "Inference-Header-Content-Length"
	headerDuration   = "Sluice-Duration-Us"
)

// infer lets a route answer a request.
func (s *Server) infer(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	return s.inference(w, r, func(in Inference) error {
		in.Header, in.Path, in.Remote = r.Header, r.URL.Path, address(r.RemoteAddr)
		served, err := s.opts.Infer.Infer(r.Context(), in, func(a InferenceAnswer) error {
			setServed(w, a.Served)
			w.Header().Set("X-Request-Id", a.RequestID)
			writeInference(w, a)
			return nil
		})
		if err != nil {
			setServed(w, served)
		}
		return err
	})
}

// inferVersion lets a version answer a request of a replay.
func (s *Server) inferVersion(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	return s.inference(w, r, func(in Inference) (err error) {
		if in.Version, err = numberOf(r); err != nil {
			return err
		}
		return s.opts.Infer.InferVersion(r.Context(), in, func(a InferenceAnswer) error {
			w.Header().Set("Sluice-Version", strconv.FormatInt(in.Version, 10))
			writeInference(w, a)
			return nil
		})
	})
}

// inference calls ask with a request, whose body it may read.
func (s *Server) inference(w http.ResponseWriter, r *http.Request, ask func(Inference) error) (err error) {
	defer func() {
		if err != nil {
			w.Header().Set("Connection", "close") // the rest of the body may not have been read
		}
	}()
	select {
	case s.inferences <- struct{}{}:
		defer func() { <-s.inferences }()
	default:
		return infer.Errorf(infer.Overloaded, "%d requests to models are in progress on the admin port, the max; retry later", maxInferences)
	}
	in, err := inferenceOf(w, r)
	if err != nil {
		return err
	}
	return ask(in)
}

// setServed says what was picked, as the data plane does.
func setServed(w http.ResponseWriter, served infer.Served) {
	if served.Reason == "" {
		return
	}
	h := w.Header()
	h.Set("Sluice-Version", strconv.FormatInt(served.Version.Number, 10))
	h.Set("Sluice-Route", served.Route)
	h.Set("Sluice-Reason", string(served.Reason))
}

func writeInference(w http.ResponseWriter, a InferenceAnswer) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if a.JSONLength >= 0 {
		h.Set("Content-Type", "application/octet-stream")
		h.Set(headerJSONLength, strconv.Itoa(a.JSONLength))
	}
	h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	h.Set(headerDuration, strconv.FormatInt(a.Took.Microseconds(), 10))
	_, _ = w.Write(a.Body) // fails only if the connection is closed
}

// inferenceOf reads the head of a request.
func inferenceOf(w http.ResponseWriter, r *http.Request) (in Inference, err error) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return in, infer.Errorf(infer.Unsupported, "Content-Encoding: expected a body without compression, got '%.40s'", coding)
	}
	conn := http.NewResponseController(w)
	if err := conn.SetReadDeadline(time.Now().Add(stalled)); err != nil {
		return in, err
	}
	in = Inference{
		Model: r.PathValue("name"), Caller: callerOf(r), RequestID: r.Header.Get("X-Request-Id"),
		Body: &timed{r.Body, conn}, Size: r.ContentLength, JSONLength: -1,
	}
	if !infer.ValidName(in.Model) {
		return in, infer.Errorf(infer.Invalid, "'%.255s' is not a valid name for a model", in.Model)
	}
	if text := r.Header.Get(headerJSONLength); text != "" {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return in, infer.Errorf(infer.Invalid, "%s: expected the length of the JSON document in bytes, got '%.40s'", headerJSONLength, text)
		}
		in.JSONLength = int(n) //nolint:gosec // 31 bits
	}
	return in, nil
}

// timed is a body with a deadline, which ends with the body: net/http goes on reading, to learn
// whether the caller has left.
type timed struct {
	body io.Reader
	conn *http.ResponseController
}

// Read implements io.Reader.
func (t *timed) Read(p []byte) (int, error) {
	n, err := t.body.Read(p)
	if err != nil {
		_ = t.conn.SetReadDeadline(time.Time{}) // fails only if the connection is closed
	}
	return n, err
}
