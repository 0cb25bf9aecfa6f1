package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/api"
)

// AnyRevision is the Revision of EditOptions that accepts any revision of the route.
const AnyRevision = -1

// EditOptions are the conditions of a change of a route.
type EditOptions struct {
	// Revision is the revision to change. If the route has another one, the gateway refuses
	// the change: an Error with status 412. 0 is for a route that is not declared yet.
	Revision int64
	DryRun   bool // return the result without changing anything
	// Actor is the name of the person or program that makes this change, if it is not
	// Options.Actor. Reason is why. Both are one line of text.
	Actor, Reason string
}

// Routes returns every declared and implied route. A model without a declared route has an
// implied one, which serves its newest version.
func (c *Client) Routes(ctx context.Context) (routes []api.Route, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/routes", true, &routes)
	return routes, err
}

// Route returns a route with its revision. For an unknown route it returns an Error with
// status 404.
func (c *Client) Route(ctx context.Context, name string) (route api.Route, err error) {
	err = c.call(ctx, http.MethodGet, c.routeURL(name), true, &route)
	return route, err
}

// RouteStats returns the counts of the variants and shadows of a route.
func (c *Client) RouteStats(ctx context.Context, name string) (stats api.RouteStats, err error) {
	err = c.call(ctx, http.MethodGet, c.routeURL(name)+"/stats", true, &stats)
	return stats, err
}

// ShadowReport compares the answers of a route's shadows with those that callers got.
func (c *Client) ShadowReport(ctx context.Context, name string) (report api.ShadowReport, err error) {
	err = c.call(ctx, http.MethodGet, c.routeURL(name)+"/shadows", true, &report)
	return report, err
}

// SetRoute replaces or declares the route with the name in route, and returns when the new one
// serves.
func (c *Client) SetRoute(ctx context.Context, route api.Route, o EditOptions) (api.RouteResult, error) {
	body, err := json.Marshal(route)
	if err != nil {
		return api.RouteResult{}, err
	}
	return c.edit(ctx, http.MethodPut, route.Name, body, o)
}

// DeleteRoute deletes a route. After that, the name serves the newest version of the model
// with that name.
func (c *Client) DeleteRoute(ctx context.Context, name string, o EditOptions) (api.RouteResult, error) {
	return c.edit(ctx, http.MethodDelete, name, nil, o)
}

func (c *Client) edit(ctx context.Context, method, name string, body []byte, o EditOptions) (result api.RouteResult, err error) {
	err = c.change(ctx, method, c.routeURL(name), body, o, &result)
	return result, err
}

// conditions adds the conditions of a change to its request.
func (c *Client) conditions(req *http.Request, o EditOptions) {
	if req.ContentLength > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	match := "*"
	if o.Revision != AnyRevision {
		match = strconv.Quote(strconv.FormatInt(o.Revision, 10))
	}
	req.Header.Set("If-Match", match)
	c.signWith(req, o.Reason)
	if o.Actor != "" {
		req.Header.Set("Sluice-Actor", o.Actor)
	}
}

// ServedAt returns what served a route, or a model by its own name, at a time. If the journal
// does not know the name or the time, it returns an Error with status 404.
func (c *Client) ServedAt(ctx context.Context, name string, at time.Time) (served api.ServedAt, err error) {
	query := url.Values{"at": {timeText(at)}}
	err = c.call(ctx, http.MethodGet, c.routeURL(name)+"?"+query.Encode(), true, &served)
	return served, err
}

// EventFilter selects events. Its zero value selects all.
type EventFilter struct {
	Subject      string    // such as "routes/iris"; one that ends in "/" is a prefix
	Types        []string  // any of these; one that ends in "." is a prefix
	Since, Until time.Time // both inclusive; zero is not a bound
	Before       int64     // only events before the one with this number; 0 is not a bound
	Newest       bool      // the newest ones first; not for exports
}

// Events returns up to limit events after a sequence number that a filter selects, the oldest
// first. If limit is 0, the gateway decides. If events are large it returns fewer. It returns
// none only if there are no more.
func (c *Client) Events(ctx context.Context, after int64, limit int, filter EventFilter) (events []api.Event, err error) {
	query := filter.values(after)
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/journal?"+query.Encode(), true, &events)
	return events, err
}

// ExportJournal writes the events after a sequence number that a filter selects, the oldest first: JSON lines with the hash
// of each event and of the one before it.
func (c *Client) ExportJournal(ctx context.Context, after int64, filter EventFilter, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.admin+"/api/v1/journal/export?"+filter.values(after).Encode(), nil)
	if err != nil {
		return err
	}
	c.sign(req)
	resp, err := c.http.Do(req)
	if err != nil {
		return transportError(req, err)
	}
	defer resp.Body.Close() //nolint:errcheck // the body was read
	if resp.StatusCode != http.StatusOK {
		body, err := c.read(resp)
		if err != nil {
			return transportError(req, err)
		}
		return answerError(resp, body)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("the export of %s is incomplete: %w", req.URL.Host, err)
	}
	return nil
}

// values returns the parameters of a filter.
func (filter *EventFilter) values(after int64) url.Values {
	query := url.Values{"after": {strconv.FormatInt(after, 10)}}
	if filter.Before > 0 {
		query.Set("before", strconv.FormatInt(filter.Before, 10))
	}
	if filter.Newest {
		query.Set("newest", "true")
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
	return query
}

// VerifyJournal makes the gateway read its whole journal, with archived events. The report
// has the problem if there is one.
func (c *Client) VerifyJournal(ctx context.Context) (report api.JournalReport, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/journal/verify", true, &report)
	return report, err
}

func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func (c *Client) routeURL(name string) string {
	return c.admin + "/api/v1/routes/" + url.PathEscape(name)
}
