package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// The events that an answer holds: unless asked, and at most.
const (
	defaultEvents = 1_000
	maxEvents     = 10_000
)

// maxTypes is how many types of events one request may name.
const maxTypes = 64

func (s *Server) journal(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	query, err := queryOf(r, "after", "limit", "subject", "type", "since", "until")
	if err != nil {
		return err
	}
	after, limit := int64(0), int64(defaultEvents)
	if text := query["after"]; text != nil {
		if after, err = strconv.ParseInt(text[0], 10, 64); err != nil || after < 0 {
			return infer.Errorf(infer.Invalid, "after: expected the number of an event, 0 or more, got '%.40s'", text[0])
		}
	}
	if text := query["limit"]; text != nil {
		if limit, err = strconv.ParseInt(text[0], 10, 64); err != nil || limit < 1 || limit > maxEvents {
			return infer.Errorf(infer.Invalid, "limit: expected 1 to %d, got '%.40s'", maxEvents, text[0])
		}
	}
	filter := EventFilter{Subject: query.Get("subject")}
	if query.Has("type") {
		filter.Types = strings.Split(query.Get("type"), ",")
		if len(filter.Types) > maxTypes || slices.Contains(filter.Types, "") {
			return infer.Errorf(infer.Invalid, "type: expected 1 to %d types with commas between them, such as route.set,version. (a dot at the end stands for all that begin so)", maxTypes)
		}
	}
	if filter.Since, err = timeOf(query, "since"); err != nil {
		return err
	}
	if filter.Until, err = timeOf(query, "until"); err != nil {
		return err
	}
	events, err := s.opts.Routes.Events(after, int(limit), filter)
	if err != nil {
		return err
	}
	return answer(w, append([]api.Event{}, events...)) // [] rather than null
}

func (s *Server) verifyJournal(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	if !s.verifying.TryLock() { // it reads all, and one says as much as many
		return infer.Errorf(infer.Overloaded, "the journal is being verified for another caller; try again later")
	}
	defer s.verifying.Unlock()
	report, err := s.opts.Routes.VerifyJournal(r.Context())
	if err != nil {
		return err
	}
	return answer(w, report)
}

// timeOf returns the time that a parameter gives, the zero time if it is not there.
func timeOf(query url.Values, name string) (time.Time, error) {
	if !query.Has(name) {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, query.Get(name))
	if err != nil {
		return time.Time{}, infer.Errorf(infer.Invalid, "%s: expected a time as in RFC 3339, such as 2026-11-30T12:00:00Z, got '%.40s'", name, query.Get(name))
	}
	return at, nil
}

// queryOf returns the parameters of a request, each of which may be given once.
// Others are refused: a misspelt dry_run must not become a change.
func queryOf(r *http.Request, known ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, infer.Errorf(infer.Invalid, "the part of the address after '?' cannot be read: %v", err)
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
