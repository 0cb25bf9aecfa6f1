package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/api"
)

// The pace of a Watch.
const (
	silence    = time.Minute // without a message, the connection is dead: there are heartbeats
	firstRetry = 250 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// Update is what a Watch has got. One of its fields is not nil.
type Update struct {
	Event  *api.Event
	States *api.WatchStates
	// Gap says which events the gateway cannot send.
	Gap *api.WatchMissing
}

// Watch returns what changes in the gateway, as it changes. If the connection is lost, it connects again and goes on
// after the last event that it has got; states then come as a whole.
//
// It returns an error when a connection is lost or refused. If the refusal is final (a status 4xx other than 429), the
// iteration ends after the error. An Error with status 404 is from a gateway that is too old for this. Otherwise, the
// iteration goes on until the caller ends it or ctx ends, which is not an error.
func (c *Client) Watch(ctx context.Context, q api.WatchQuery) iter.Seq2[Update, error] {
	return func(yield func(Update, error) bool) {
		w := &watch{client: c, query: q, yield: yield}
		for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
			err := w.stream(ctx)
			if errors.Is(err, errEnough) || ctx.Err() != nil || !yield(Update{}, err) || final(err) {
				return
			}
			if w.got {
				w.got, wait = false, firstRetry
			}
			if answer, is := errors.AsType[*Error](err); is {
				wait = max(wait, min(answer.RetryAfter, lastRetry))
			}
			timer := time.NewTimer(wait/2 + rand.N(wait/2+1)) // so that clients do not come back together
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return
			}
		}
	}
}

// errEnough means that the caller has ended the iteration.
var errEnough = errors.New("enough")

// final reports whether another attempt is of no use.
func final(err error) bool {
	answer, is := errors.AsType[*Error](err)
	return is && answer.Status >= 400 && answer.Status < 500 && answer.Status != http.StatusTooManyRequests && answer.Status != http.StatusRequestTimeout
}

// watch is the state of a Watch.
type watch struct {
	client *Client
	query  api.WatchQuery
	yield  func(Update, error) bool
	got    bool // something from this connection
}

// stream reads one connection until its end. It never returns nil.
func (w *watch) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.client.admin+"/api/v1/watch?"+watchValues(&w.query).Encode(), nil)
	if err != nil {
		return err
	}
	w.client.sign(req)
	req.Header.Set("Accept", "text/event-stream")
	dead := time.AfterFunc(silence, cancel)
	defer dead.Stop()
	resp, err := w.client.http.Do(req)
	if err != nil {
		return transportError(req, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read, or nobody wants the rest
	if resp.StatusCode != http.StatusOK {
		body, err := w.client.read(resp)
		if err != nil {
			return transportError(req, err)
		}
		return answerError(resp, body)
	}
	messages := newMessages(resp.Body, w.client.maxAnswer)
	for {
		m, err := messages.next()
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%s has ended the stream", req.URL.Host)
		case err != nil:
			return fmt.Errorf("the stream of %s broke: %w", req.URL.Host, err)
		}
		dead.Reset(silence)
		if err := w.take(req, m); err != nil {
			return err
		}
	}
}

// take yields a message.
func (w *watch) take(req *http.Request, m api.WatchMessage) error {
	var (
		u    Update
		into any
	)
	switch m.Kind {
	case api.WatchJournal:
		u.Event = &api.Event{}
		into = u.Event
	case api.WatchState:
		u.States = &api.WatchStates{}
		into = u.States
	case api.WatchGap:
		u.Gap = &api.WatchMissing{}
		into = u.Gap
	case api.WatchEnd:
		var why api.Error
		if err := unmarshal(req, m.Data, &why); err != nil {
			return err
		}
		return fmt.Errorf("%s has ended the stream: %s", req.URL.Host, why.Error)
	}
	if into != nil {
		if err := unmarshal(req, m.Data, into); err != nil {
			return err
		}
		if !w.yield(u, nil) {
			return errEnough
		}
	}
	w.got = true
	if w.query.Journal { // after the caller has taken it
		w.query.After = m.ID
	}
	return nil
}

// watchValues returns the parameters of a query.
func watchValues(q *api.WatchQuery) url.Values {
	values := url.Values{}
	if q.Journal {
		values.Set("journal", "true")
		if q.After >= 0 {
			values.Set("after", strconv.FormatInt(q.After, 10))
		}
		if q.Subject != "" {
			values.Set("subject", q.Subject)
		}
		if len(q.Types) > 0 {
			values.Set("type", strings.Join(q.Types, ","))
		}
	}
	for _, collection := range api.WatchCollections() {
		if names := *q.Names(collection); len(names) > 0 {
			values.Set(collection, strings.Join(names, ","))
		}
	}
	if q.Every > 0 {
		values.Set("every", q.Every.String())
	}
	return values
}

// messages reads server-sent events.
type messages struct {
	lines *bufio.Scanner
	id    int64 // of the last event that had one
}

// newMessages returns the messages of a stream. A line has at most the given number of bytes.
func newMessages(r io.Reader, longest int64) *messages {
	const most = 1 << 30
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, int(min(longest, most)))
	return &messages{lines: lines}
}

// next returns the next message, also one without data, whose kind is "". The error is io.EOF at the end. It drops a message that is
// cut off.
func (s *messages) next() (m api.WatchMessage, err error) {
	var data []byte
	for s.lines.Scan() {
		line := s.lines.Text()
		if line == "" {
			if m.Data = json.RawMessage(data); len(data) == 0 {
				m.Kind = api.WatchAlive
			}
			m.ID = s.id
			return m, nil
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			m.Kind = value
		case "data":
			if data != nil {
				data = append(data, '\n')
			}
			data = append(data, value...)
		case "id":
			if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= 0 {
				s.id = n
			}
		}
	}
	if err := s.lines.Err(); err != nil {
		return m, err
	}
	return m, io.EOF
}
