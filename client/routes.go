package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/api"
)

// AnyRevision makes a change to whatever the route is now.
const AnyRevision = -1

// EditOptions say how a route is changed.
type EditOptions struct {
	// Revision is the one that the change is made to. Where the route is at another
	// by now, the change is refused: an Error with status 412. 0 is a route that is
	// not declared yet.
	Revision int64
	DryRun   bool // tell what would be, and change nothing
	// Actor is who makes this change, if not the client's; Reason is why. Both are
	// one line of text.
	Actor, Reason string
}

// Routes returns every route, those included that are not declared: a model
// without one serves its newest version.
func (c *Client) Routes(ctx context.Context) (routes []api.Route, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/routes", true, &routes)
	return routes, err
}

// Route returns a route with its revision. An unknown one is an Error with
// status 404.
func (c *Client) Route(ctx context.Context, name string) (route api.Route, err error) {
	err = c.call(ctx, http.MethodGet, c.routeURL(name), true, &route)
	return route, err
}

// RouteStats returns what the variants and shadows of a route did.
func (c *Client) RouteStats(ctx context.Context, name string) (stats api.RouteStats, err error) {
	err = c.call(ctx, http.MethodGet, c.routeURL(name)+"/stats", true, &stats)
	return stats, err
}

// SetRoute replaces the route of that name, and returns once the new one serves.
func (c *Client) SetRoute(ctx context.Context, route api.Route, o EditOptions) (api.RouteResult, error) {
	body, err := json.Marshal(route)
	if err != nil {
		return api.RouteResult{}, err
	}
	return c.edit(ctx, http.MethodPut, route.Name, body, o)
}

// DeleteRoute makes the name serve the newest version of the model of that name
// again.
func (c *Client) DeleteRoute(ctx context.Context, name string, o EditOptions) (api.RouteResult, error) {
	return c.edit(ctx, http.MethodDelete, name, nil, o)
}

func (c *Client) edit(ctx context.Context, method, name string, body []byte, o EditOptions) (result api.RouteResult, err error) {
	target := c.routeURL(name)
	if o.DryRun {
		target += "?dry_run=true"
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return result, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	match := "*"
	if o.Revision != AnyRevision {
		match = strconv.Quote(strconv.FormatInt(o.Revision, 10))
	}
	req.Header.Set("If-Match", match)
	c.authorize(req)
	if o.Actor != "" {
		req.Header.Set("Sluice-Actor", o.Actor)
	}
	if o.Reason != "" {
		req.Header.Set("Sluice-Change-Reason", o.Reason)
	}
	err = c.decode(req, &result)
	return result, err
}

// ServedAt returns what served a route, or a model by its own name, at a time. It is
// an Error with status 404 if nothing is known of the name or of that time.
func (c *Client) ServedAt(ctx context.Context, name string, at time.Time) (served api.ServedAt, err error) {
	query := url.Values{"at": {timeText(at)}}
	err = c.call(ctx, http.MethodGet, c.routeURL(name)+"?"+query.Encode(), true, &served)
	return served, err
}

// EventFilter says which events are asked for. Its zero value is all.
type EventFilter struct {
	Subject      string    // "routes/iris"; one that ends in "/" stands for all that begin with it
	Types        []string  // any of these; one that ends in "." stands for all that begin with it
	Since, Until time.Time // both included; zero is no bound
}

// Events returns the changes after a sequence number that a filter chooses, the oldest
// first. limit 0 leaves to the gateway how many, and of large ones there are fewer than
// asked for; none means that there are no more.
func (c *Client) Events(ctx context.Context, after int64, limit int, filter EventFilter) (events []api.Event, err error) {
	query := url.Values{"after": {strconv.FormatInt(after, 10)}}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	if filter.Subject != "" {
		query.Set("subject", filter.Subject)
	}
	if len(filter.Types) > 0 {
		query.Set("type", strings.Join(filter.Types, ","))
	}
	if !filter.Since.IsZero() {
		query.Set("since", timeText(filter.Since))
	}
	if !filter.Until.IsZero() {
		query.Set("until", timeText(filter.Until))
	}
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/journal?"+query.Encode(), true, &events)
	return events, err
}

// VerifyJournal has the gateway read its whole journal, archived events included. The
// report says what is wrong with it, if anything is.
func (c *Client) VerifyJournal(ctx context.Context) (report api.JournalReport, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/journal/verify", true, &report)
	return report, err
}

func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func (c *Client) routeURL(name string) string {
	return c.admin + "/api/v1/routes/" + url.PathEscape(name)
}
