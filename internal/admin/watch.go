package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// WatchControl gives the admin port access to what changes.
type WatchControl interface {
	// Watch sends what a query selects to a viewer, until ctx ends or the viewer has an error.
	Watch(ctx context.Context, q api.WatchQuery, to WatchViewer) error
}

// WatchViewer is who gets the messages of a stream.
type WatchViewer interface {
	// Check returns an error if the viewer may not watch any more, and whether it may see other things than
	// at the last call.
	Check() (changed bool, err error)
	// May reports whether the viewer may see the document of a model or route in a collection.
	May(collection, name string) bool
	Send(m api.WatchMessage) error
}

// The limits of a stream.
const (
	watching      = 24 * time.Hour         // its length; a client goes on with another one
	maxUnread     = 10 * time.Second       // how long a piece of a message waits for a client that does not read
	farewell      = 200 * time.Millisecond // for the last message
	pieceBytes    = 64 << 10
	maxWatchNames = 1000 // in a query
)

// WatchCounts are the numbers of watchers.
type WatchCounts struct {
	Open    int   // now
	Slow    int64 // dropped, since they did not read
	Refused int64 // beyond the limit
}

// watchers counts streams.
type watchers struct {
	places        chan struct{} // a token for each
	maxUnread     time.Duration
	slow, refused atomic.Int64
}

// newWatchers returns the streams of a server. They leave connections for others.
func newWatchers(limit, connections int) watchers {
	const kept = 8 // one of eight connections
	return watchers{places: make(chan struct{}, min(limit, connections-connections/kept)), maxUnread: maxUnread}
}

// Watchers returns the numbers of watchers.
func (s *Server) Watchers() WatchCounts {
	return WatchCounts{Open: len(s.watchers.places), Slow: s.watchers.slow.Load(), Refused: s.watchers.refused.Load()}
}

// watch streams what a query selects as server-sent events.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	q, err := watchQuery(r)
	if err != nil {
		return err
	}
	v := &viewer{server: s, w: w, r: r, conn: http.NewResponseController(w), book: s.opts.Callers.Load(), caller: callerOf(r), ctx: r.Context()}
	if err := v.mayWatch(&q); err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		v.begin()
		return nil
	}
	select {
	case s.watchers.places <- struct{}{}:
		defer func() { <-s.watchers.places }()
	default:
		s.watchers.refused.Add(1)
		return infer.Errorf(infer.Overloaded, "%d clients are watching, the max (admin.max_watchers); retry later", cap(s.watchers.places))
	}
	return s.whileServing(v.serve(q))(w, r, api.Actor{})
}

// serve returns the handler of a stream, whose request's context ends when the server stops.
func (v *viewer) serve(q api.WatchQuery) func(http.ResponseWriter, *http.Request, api.Actor) error {
	return func(_ http.ResponseWriter, r *http.Request, _ api.Actor) error {
		v.ctx = r.Context()
		hurry := context.AfterFunc(v.ctx, func() { // a write that waits for a slow client must not delay the stop
			_ = v.conn.SetWriteDeadline(time.Now().Add(farewell)) // fails only if the connection is closed
		})
		defer hurry()
		err := v.server.opts.Watch.Watch(v.ctx, q, v)
		switch {
		case !v.begun:
			return err
		case errors.Is(err, errSlow):
			v.server.watchers.slow.Add(1)
			panic(http.ErrAbortHandler) // net/http would wait for the client again
		}
		v.end(err)
		return nil
	}
}

// watchQuery reads the parameters of a request.
func watchQuery(r *http.Request) (q api.WatchQuery, err error) {
	known := append([]string{"journal", "after", "subject", "type", "every"}, api.WatchCollections()...)
	query, err := queryOf(r, known...)
	if err != nil {
		return q, err
	}
	if err := watchEvents(r, query, &q); err != nil {
		return q, err
	}
	nothing, count := !q.Journal, 0
	for _, collection := range api.WatchCollections() {
		if !query.Has(collection) {
			continue
		}
		names := strings.Split(query.Get(collection), ",")
		if i := slices.IndexFunc(names, func(n string) bool { return n != api.WatchAll && !infer.ValidName(n) }); i >= 0 {
			return q, infer.Errorf(infer.Invalid, "%s: expected names separated by commas, or * for all, got '%.255s'", collection, names[i])
		}
		if count += len(names); count > maxWatchNames {
			return q, infer.Errorf(infer.Invalid, "%s: expected at most %d names in all, or * for all", collection, maxWatchNames)
		}
		*q.Names(collection), nothing = names, false
	}
	if nothing {
		return q, infer.Errorf(infer.Invalid, "expected what to watch: journal=true, or names in %s", strings.Join(api.WatchCollections(), ", "))
	}
	if query.Has("every") {
		q.Every, err = time.ParseDuration(query.Get("every"))
		if err != nil || q.Every < api.MinWatchEvery || q.Every > api.MaxWatchEvery {
			return q, infer.Errorf(infer.Invalid, "every: expected a time from %v to %v, such as 1s, got '%.40s'", api.MinWatchEvery, api.MaxWatchEvery, query.Get("every"))
		}
	}
	return q, nil
}

// watchEvents reads the parameters about the journal. The header Last-Event-ID, which a browser sends when it connects
// again, goes before after.
func watchEvents(r *http.Request, query url.Values, q *api.WatchQuery) (err error) {
	q.After = api.WatchFromNow
	if text := query.Get("journal"); query.Has("journal") {
		if q.Journal, err = strconv.ParseBool(text); err != nil {
			return infer.Errorf(infer.Invalid, "journal: expected true or false, got '%.40s'", text)
		}
	}
	if !q.Journal {
		for _, name := range []string{"after", "subject", "type"} {
			if query.Has(name) {
				return infer.Errorf(infer.Invalid, "%s selects events of the journal: add journal=true", name)
			}
		}
		return nil
	}
	for _, from := range []struct{ name, text string }{{"after", query.Get("after")}, {"Last-Event-ID", r.Header.Get("Last-Event-ID")}} {
		if from.text == "" {
			continue
		}
		if q.After, err = strconv.ParseInt(from.text, 10, 64); err != nil || q.After < 0 {
			return infer.Errorf(infer.Invalid, "%s: expected the number of an event, 0 or more, got '%.40s'", from.name, from.text)
		}
	}
	q.Subject = query.Get("subject")
	q.Types, err = typesOf(query)
	return err
}

// viewer is the caller of a stream.
type viewer struct {
	server  *Server
	w       http.ResponseWriter
	r       *http.Request
	ctx     context.Context //nolint:containedctx // a viewer lives as long as its request. It ends with a stop, too
	conn    *http.ResponseController
	book    *callers.Book // that the caller is of
	caller  *callers.Caller
	checked time.Time // when the caller was identified last
	events  bool      // the journal is watched
	begun   bool
}

// watchAction is what the documents of a collection need.
func watchAction(collection string) callers.Action {
	switch collection {
	case api.WatchModels, api.WatchRoutes, api.WatchRollouts:
		return callers.Metadata
	default:
		return callers.Statistics
	}
}

// mayWatch returns an error if the caller may not see something that a query names. "*" selects what it may see.
func (v *viewer) mayWatch(q *api.WatchQuery) error {
	v.checked, v.events = time.Now(), q.Journal
	if q.Journal {
		if err := v.caller.Meets(callers.OnEvery(callers.Admin), ""); err != nil {
			return err
		}
	}
	for _, collection := range api.WatchCollections() {
		for _, name := range *q.Names(collection) {
			need := callers.On(watchAction(collection))
			if name == api.WatchAll {
				need.Scope = callers.Some
			}
			if err := v.caller.Meets(need, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// recheck is how often a caller is identified again: a token expires.
const recheck = 10 * time.Second

// Check implements WatchViewer.
func (v *viewer) Check() (changed bool, err error) {
	book := v.server.opts.Callers.Load()
	if book == v.book && time.Since(v.checked) < recheck {
		return false, nil
	}
	caller, err := v.server.authorize(v.r, watchNeed())
	if err == nil && v.events {
		err = caller.Meets(callers.OnEvery(callers.Admin), "")
	}
	if err != nil {
		return false, err
	}
	changed = caller != v.caller
	v.book, v.caller, v.checked = book, caller, time.Now()
	return changed, nil
}

// watchNeed is what the endpoint needs. Its parameters need more.
func watchNeed() callers.Need { return callers.OnSome(callers.Metadata) }

// May implements WatchViewer.
func (v *viewer) May(collection, name string) bool {
	return v.caller.Can(watchAction(collection), name)
}

// errSlow means that a client did not read.
var errSlow = infer.Errorf(infer.Deadline, "the client did not read")

// begin answers the head.
func (v *viewer) begin() {
	v.begun = true
	h := v.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would keep messages back
	v.w.WriteHeader(http.StatusOK)
}

// Send implements WatchViewer.
func (v *viewer) Send(m api.WatchMessage) error {
	var b bytes.Buffer
	if !v.begun {
		v.begin()
		b.WriteString("retry: 2000\n")
	}
	if v.events {
		b.WriteString("id: " + strconv.FormatInt(m.ID, 10) + "\n")
	}
	if m.Kind == api.WatchAlive {
		b.WriteString(": alive\n\n")
	} else {
		b.WriteString("event: " + m.Kind + "\ndata: ")
		b.Write(m.Data)
		b.WriteString("\n\n")
	}
	return v.write(b.Bytes())
}

// write writes text piece by piece, each in its time.
func (v *viewer) write(text []byte) error {
	for piece := range slices.Chunk(text, pieceBytes) {
		if err := v.conn.SetWriteDeadline(time.Now().Add(v.server.watchers.maxUnread)); err != nil {
			return err
		}
		if err := v.ctx.Err(); err != nil { // after the deadline, since that of the end must not be replaced
			return err
		}
		_, err := v.w.Write(piece)
		if err == nil {
			err = v.conn.Flush()
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && !v.isStopping(): // net/http has ended the context too
			return errSlow
		default:
			return infer.Errorf(infer.Canceled, "the client has gone")
		}
	}
	return nil
}

// end tells a client why its stream ends. The client may not get it.
func (v *viewer) end(err error) {
	if v.r.Context().Err() != nil && !v.isStopping() && !errors.Is(v.r.Context().Err(), context.DeadlineExceeded) {
		return // it has gone
	}
	why := infer.Message(err)
	switch {
	case v.isStopping():
		why = "the gateway is stopping"
	case errors.Is(err, context.DeadlineExceeded):
		why = "the stream has lasted for a day; watch again"
	case infer.CodeOf(err) == infer.Internal:
		v.server.log.Error("a stream has ended", zap.Error(err))
		why = "internal error"
	}
	text, _ := json.Marshal(api.Error{Error: why}) // a string always encodes
	if v.conn.SetWriteDeadline(time.Now().Add(farewell)) == nil {
		_, _ = v.w.Write([]byte("event: " + api.WatchEnd + "\ndata: " + string(text) + "\n\n")) // fails only if the client has gone
		_ = v.conn.Flush()
	}
}

func (v *viewer) isStopping() bool {
	select {
	case <-v.server.stopping:
		return true
	default:
		return false
	}
}
