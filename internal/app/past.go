package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/history"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/promquery"
)

// past asks a Prometheus server for what is older than package history keeps.
type past struct {
	client *promquery.Client
	places chan struct{} // a token for each query in progress
	log    *zap.Logger
}

// The bounds of questions to Prometheus.
const (
	maxPast        = 31 * 24 * time.Hour
	maxPastQueries = 8       // at the same time
	maxPastAnswer  = 8 << 20 // bytes of one
	minPastStep    = 15 * time.Second
	minRateWindow  = 2 * time.Minute // a rate needs two scrapes
)

// newPast returns nil if no server is configured.
func newPast(c *config.Prometheus, log *zap.Logger) (*past, error) {
	if c.URL == "" {
		return nil, nil //nolint:nilnil // no server is not an error
	}
	client, err := promquery.New(promquery.Options{URL: c.URL, Token: c.Token.Reveal(), Timeout: c.Timeout, MaxAnswer: maxPastAnswer})
	if err != nil {
		return nil, err
	}
	return &past{client, make(chan struct{}, maxPastQueries), log.Named("history")}, nil
}

// pastQuery is a query for series by their labels. %[1]s is the names, and %[2]s the window of rates.
type pastQuery struct {
	text string
	to   func(*api.Series) *api.Points
	role string // of what has no label role
}

// failures are the codes of a version's own failures.
func failures() string {
	return strings.Join([]string{infer.Internal.String(), infer.Deadline.String(), infer.Unavailable.String(), infer.Overloaded.String()}, "|")
}

func quantileOf(percent, by, name, names string) string {
	return "histogram_quantile(0." + percent + ", sum by (" + by + ", le) (rate(sluice_" + name + "_bucket{" + names + "=~%[1]s}[%[2]s])))"
}

// pastQueries returns the queries for models, or those for routes.
func pastQueries(models bool) []pastQuery {
	requests := func(s *api.Series) *api.Points { return &s.Requests }
	errs := func(s *api.Series) *api.Points { return &s.Errors }
	p50 := func(s *api.Series) *api.Points { return &s.P50 }
	p99 := func(s *api.Series) *api.Points { return &s.P99 }
	if models {
		return []pastQuery{
			{"sum by (model) (rate(sluice_requests_total{model=~%[1]s}[%[2]s]))", requests, ""},
			{"sum by (model) (rate(sluice_requests_total{model=~%[1]s,code=~\"" + failures() + "\"}[%[2]s]))", errs, ""},
			{quantileOf("5", "model", "request_duration_seconds", "model"), p50, ""},
			{quantileOf("99", "model", "request_duration_seconds", "model"), p99, ""},
			{"sum by (model) (max_over_time(sluice_queued_requests{model=~%[1]s}[%[2]s]))", func(s *api.Series) *api.Points { return &s.Queue }, ""},
		}
	}
	const variant, shadow = "route, version, role", "route, version"
	return []pastQuery{
		{"sum by (" + variant + ") (rate(sluice_route_requests_total{route=~%[1]s}[%[2]s]))", requests, ""},
		{"sum by (" + variant + ") (rate(sluice_route_errors_total{route=~%[1]s}[%[2]s]))", errs, ""},
		{quantileOf("5", variant, "route_request_duration_seconds", "route"), p50, ""},
		{quantileOf("99", variant, "route_request_duration_seconds", "route"), p99, ""},
		{"sum by (" + shadow + ") (rate(sluice_shadow_requests_total{route=~%[1]s}[%[2]s]))", requests, api.RoleShadow},
		{"sum by (" + shadow + ") (rate(sluice_shadow_requests_total{route=~%[1]s,code!~\"ok|canceled\"}[%[2]s]))", errs, api.RoleShadow},
		{quantileOf("5", shadow, "shadow_duration_seconds", "route"), p50, api.RoleShadow},
		{quantileOf("99", shadow, "shadow_duration_seconds", "route"), p99, api.RoleShadow},
	}
}

// read returns the values of series over a span up to now.
func (p *past) read(ctx context.Context, q api.HistoryQuery, keys []history.Key) (history.Window, []api.Series, error) {
	step := max(minPastStep, (q.Span/time.Duration(q.Points) + history.Step - 1).Truncate(history.Step))
	steps := int(q.Span / step)
	first := time.Now().Truncate(step).Add(-time.Duration(steps-1) * step) // the end of the first step
	w := history.Window{From: first.Add(-step), Step: step, Since: first.Add(-step)}
	list := make([]api.Series, len(keys))
	at, names := map[history.Key][]*api.Series{}, map[bool][]string{} // a model and the route of its name have the same key
	for i, k := range keys {
		for _, points := range []*api.Points{&list[i].Requests, &list[i].Errors, &list[i].P50, &list[i].P99, &list[i].Queue} {
			*points = make(api.Points, steps)
			for j := range *points {
				(*points)[j] = math.NaN()
			}
		}
		at[k] = append(at[k], &list[i])
		if of, name := names[k.Model != ""], regexp.QuoteMeta(k.Model+k.Route); !slices.Contains(of, name) {
			names[k.Model != ""] = append(of, name)
		}
	}
	var mu sync.Mutex // guards list and err
	var err error
	var asked sync.WaitGroup
	for models, of := range names {
		matcher, window := strconv.Quote(strings.Join(of, "|")), fmt.Sprintf("%ds", int(max(step, minRateWindow).Seconds()))
		for _, query := range pastQueries(models) {
			asked.Go(func() {
				series, failed := p.ask(ctx, fmt.Sprintf(query.text, matcher, window), first, step, steps)
				mu.Lock()
				defer mu.Unlock()
				err = errors.Join(err, failed)
				for _, s := range series {
					for _, to := range at[keyOf(s.Labels, query.role, models)] {
						*query.to(to) = s.Values
					}
				}
			})
		}
	}
	asked.Wait()
	if err != nil {
		p.log.Warn("prometheus does not answer about the past", zap.Error(err))
		return w, nil, infer.Errorf(infer.Unavailable, "the Prometheus server, which has what is older than %v, does not answer as expected; the log says why", history.Span)
	}
	return w, list, nil
}

// keyOf returns the key of a series by its labels.
func keyOf(labels map[string]string, role string, model bool) history.Key {
	if model {
		return history.Key{Model: labels["model"]}
	}
	version, _ := strconv.ParseInt(labels["version"], 10, 64) // 0 is no key
	if role == "" {
		role = labels["role"]
	}
	return history.Key{Route: labels["route"], Variant: history.Variant{Version: version, Role: role}}
}

// ask waits for a place and asks.
func (p *past) ask(ctx context.Context, query string, first time.Time, step time.Duration, steps int) ([]promquery.Series, error) {
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return p.client.Range(ctx, query, first, step, steps)
}
