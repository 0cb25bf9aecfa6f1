package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// HistoryControl gives the admin port access to rates and latencies over time.
type HistoryControl interface {
	// MaxHistory returns the longest span that can be asked for.
	MaxHistory() time.Duration
	// History leaves out names that do not exist.
	History(ctx context.Context, q api.HistoryQuery) (api.History, error)
}

func (s *Server) history(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	q, err := historyQuery(r, s.opts.History.MaxHistory())
	if err != nil {
		return err
	}
	name := func(s *string) string { return *s }
	q.Models, q.Routes = visible(r, callers.Statistics, q.Models, name), visible(r, callers.Statistics, q.Routes, name)
	doc, err := s.opts.History.History(r.Context(), q)
	if err != nil {
		return err
	}
	return answer(w, doc)
}

// historyQuery reads the parameters of a request.
func historyQuery(r *http.Request, longest time.Duration) (q api.HistoryQuery, err error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, infer.Errorf(infer.Invalid, "the query is not valid: %v", err)
	}
	q = api.HistoryQuery{Span: min(api.HistorySpan, longest), Points: api.HistoryPoints}
	for name, values := range query {
		switch {
		case name == "model":
			q.Models = values
		case name == "route":
			q.Routes = values
		case name != "span" && name != "points":
			return q, infer.Errorf(infer.Invalid, "the parameter '%.100s' is not known; expected model, route, span or points", name)
		case len(values) > 1:
			return q, infer.Errorf(infer.Invalid, "%s: expected one value, got %d", name, len(values))
		case name == "span":
			const shortest = 5 * time.Second
			if q.Span, err = time.ParseDuration(values[0]); err != nil || q.Span < shortest || q.Span > longest {
				return q, infer.Errorf(infer.Invalid, "span: expected a time from %v to %v, such as 1h, got '%.40s'", shortest, longest, values[0])
			}
		default:
			if q.Points, err = strconv.Atoi(values[0]); err != nil || q.Points < 1 || q.Points > api.MaxHistoryPoints {
				return q, infer.Errorf(infer.Invalid, "points: expected a number from 1 to %d, got '%.40s'", api.MaxHistoryPoints, values[0])
			}
		}
	}
	if n := len(q.Models) + len(q.Routes); n < 1 || n > api.MaxHistoryNames {
		return q, infer.Errorf(infer.Invalid, "expected 1 to %d parameters model and route, got %d", api.MaxHistoryNames, n)
	}
	for _, list := range [][]string{q.Models, q.Routes} {
		for _, name := range list {
			if !infer.ValidName(name) {
				return q, infer.Errorf(infer.Invalid, "'%.255s' is not a valid name for a model or route", name)
			}
		}
	}
	return q, nil
}
