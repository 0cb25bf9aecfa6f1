package admin

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// The number of events in an answer: the default and the max.
const (
	defaultEvents = 1_000
	maxEvents     = 10_000
)

// maxTypes is the max number of types of events in a request.
const maxTypes = 64

func (s *Server) journal(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	query, err := queryOf(r, "after", "before", "newest", "limit", "subject", "type", "since", "until")
	if err != nil {
		return err
	}
	limit := int64(defaultEvents)
	if text := query["limit"]; text != nil {
		if limit, err = strconv.ParseInt(text[0], 10, 64); err != nil || limit < 1 || limit > maxEvents {
			return infer.Errorf(infer.Invalid, "limit: expected 1 to %d, got '%.40s'", maxEvents, text[0])
		}
	}
	after, filter, err := eventsOf(query)
	if err != nil {
		return err
	}
	if text := query["before"]; text != nil {
		if filter.Before, err = strconv.ParseInt(text[0], 10, 64); err != nil || filter.Before < 1 {
			return infer.Errorf(infer.Invalid, "before: expected the number of an event, 1 or more, got '%.40s'", text[0])
		}
	}
	if filter.Newest, err = boolOf(query, "newest"); err != nil {
		return err
	}
	events, err := s.opts.Routes.Events(after, int(limit), filter)
	if err != nil {
		return err
	}
	return answer(w, append([]api.Event{}, events...)) // [] instead of null
}

// exportJournal answers with events as JSON lines.
func (s *Server) exportJournal(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	query, err := queryOf(r, "after", "subject", "type", "since", "until")
	if err != nil {
		return err
	}
	after, filter, err := eventsOf(query)
	if err != nil {
		return err
	}
	out := &exportWriter{w: w, ctx: r.Context()}
	err = s.opts.Routes.ExportJournal(after, filter, out)
	if err != nil && out.begun {
		s.log.Warn("an export of the journal was cut off", zap.Error(err))
		panic(http.ErrAbortHandler) // the client must not take it for whole
	}
	if err == nil {
		out.begin()
	}
	return err
}

// exportWriter begins an answer with its first byte, and ends with a context.
type exportWriter struct {
	w     http.ResponseWriter
	ctx   context.Context //nolint:containedctx // of the request that it answers
	begun bool
}

func (e *exportWriter) begin() {
	if !e.begun {
		e.begun = true
		e.w.Header().Set("Content-Type", "application/x-ndjson")
		e.w.WriteHeader(http.StatusOK)
	}
}

// Write implements io.Writer.
func (e *exportWriter) Write(b []byte) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	e.begin()
	return e.w.Write(b)
}

// eventsOf returns which events a query selects.
func eventsOf(query url.Values) (after int64, filter EventFilter, err error) {
	if text := query["after"]; text != nil {
		if after, err = strconv.ParseInt(text[0], 10, 64); err != nil || after < 0 {
			return after, filter, infer.Errorf(infer.Invalid, "after: expected the number of an event, 0 or more, got '%.40s'", text[0])
		}
	}
	filter.Subject = query.Get("subject")
	if filter.Types, err = typesOf(query); err != nil {
		return after, filter, err
	}
	if filter.Since, err = timeOf(query, "since"); err != nil {
		return after, filter, err
	}
	filter.Until, err = timeOf(query, "until")
	return after, filter, err
}

func (s *Server) verifyJournal(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	if !s.verifying.TryLock() { // it reads the whole journal, so one at a time
		return infer.Errorf(infer.Overloaded, "another caller is verifying the journal; retry later")
	}
	defer s.verifying.Unlock()
	report, err := s.opts.Routes.VerifyJournal(r.Context())
	if err != nil {
		return err
	}
	return answer(w, report)
}

// typesOf returns the types in the parameter type, nil if it is missing.
func typesOf(query url.Values) ([]string, error) {
	if !query.Has("type") {
		return nil, nil
	}
	types := strings.Split(query.Get("type"), ",")
	if len(types) > maxTypes || slices.Contains(types, "") {
		return nil, infer.Errorf(infer.Invalid, "type: expected 1 to %d types separated by commas, such as route.set,version. (a type that ends in a dot is a prefix)", maxTypes)
	}
	return types, nil
}

// timeOf returns the time in a parameter, or the zero time if the parameter is missing.
func timeOf(query url.Values, name string) (time.Time, error) {
	if !query.Has(name) {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, query.Get(name))
	if err != nil {
		return time.Time{}, infer.Errorf(infer.Invalid, "%s: expected a time in RFC 3339, such as 2026-11-30T12:00:00Z, got '%.40s'", name, query.Get(name))
	}
	return at, nil
}

// boolOf returns a parameter that is true or false; absent, it is false.
func boolOf(query url.Values, name string) (bool, error) {
	switch given := query[name]; {
	case given == nil || given[0] == "false":
		return false, nil
	case given[0] == "true":
		return true, nil
	default:
		return false, infer.Errorf(infer.Invalid, "%s: expected true or false, got '%.40s'", name, given[0])
	}
}

// queryOf returns the parameters of a request. Each may be given once. It refuses unknown
// parameters: a misspelled dry_run must not make a change.
func queryOf(r *http.Request, known ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, infer.Errorf(infer.Invalid, "the query of the URL, after '?', is not valid: %v", err)
	}
	for name, values := range query {
		if !slices.Contains(known, name) {
			return nil, infer.Errorf(infer.Invalid, "%.40s: unknown parameter; expected %s", name, strings.Join(known, ", "))
		}
		if len(values) > 1 {
			return nil, infer.Errorf(infer.Invalid, "%.40s is given %d times, expected once", name, len(values))
		}
	}
	return query, nil
}
