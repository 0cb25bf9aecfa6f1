package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// The types of events, those of the logger of KServe.
const (
	requestEvent  = "org.kubeflow.serving.inference.request"
	responseEvent = "org.kubeflow.serving.inference.response"
)

// EventOptions configure events of captured requests, which are sent as KServe's logger does. All are
// required.
type EventOptions struct {
	URL                 string // http or https
	Requests, Responses bool
	Source, Namespace   string
	MaxBuffer           int64 // of what waits to be sent
	Timeout             time.Duration
	// Encode returns a request or its answer as JSON of the Open Inference Protocol.
	Encode func(m *infer.Model, r *Request, answer bool) ([]byte, error)
}

// The limits of events.
const (
	eventSenders = 4
	maxEvents    = 1 << 14 // requests that wait
	maxAnswer    = 64 << 10
)

// events sends captured requests to a receiver. What has no room or is not taken is dropped.
type events struct {
	o      EventOptions
	key    []byte
	agent  string
	log    *zap.Logger
	client *http.Client
	queue  chan taken
	held   atomic.Int64
	down   atomic.Bool // the last event was not taken
}

// taken is a request that waits to be sent. Files may have the same record.
type taken struct {
	t      *Tap
	record []byte
}

// eventCounts count events.
type eventCounts struct{ sent, full, unwritten, failed atomic.Uint64 }

func newEvents(o *EventOptions, s *Options) *events {
	if o.URL == "" || !o.Requests && !o.Responses || o.Source == "" || o.Namespace == "" || o.MaxBuffer <= 0 || o.Timeout <= 0 || o.Encode == nil {
		panic("BUG: capture.New needs complete options of events")
	}
	agent := "sluice"
	if s.Version != "" {
		agent += "/" + s.Version
	}
	return &events{
		o: *o, key: s.HashKey, agent: agent, log: s.Logger, queue: make(chan taken, maxEvents),
		client: &http.Client{
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: eventSenders, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxAnswer},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// each returns the number of events of a request.
func (e *events) each() uint64 {
	if e.o.Requests && e.o.Responses {
		return 2
	}
	return 1
}

// reserve takes room for a record. A nil receiver has none.
func (e *events) reserve(c *counts, size int) bool {
	switch {
	case e == nil:
		return false
	case !reserve(&e.held, e.o.MaxBuffer, size):
		c.events.full.Add(e.each())
		return false
	}
	return true
}

// push queues a record whose bytes are reserved. It does not wait.
func (e *events) push(t *Tap, record []byte) {
	select {
	case e.queue <- taken{t, record}:
	default:
		e.held.Add(-int64(len(record) + recordBeside))
		t.counts.events.full.Add(e.each())
	}
}

// run sends until ctx ends, and then what waits for at most a time.
func (e *events) run(ctx context.Context, flush time.Duration) {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var senders sync.WaitGroup
	for range eventSenders {
		senders.Go(func() { e.work(ctx, sending) })
	}
	<-ctx.Done()
	timer := time.AfterFunc(flush, cancel)
	defer timer.Stop()
	senders.Wait()
	e.client.CloseIdleConnections()
}

func (e *events) work(ctx, sending context.Context) {
	for {
		select {
		case q := <-e.queue:
			e.send(sending, q)
			continue
		case <-ctx.Done():
		}
		for {
			select {
			case q := <-e.queue:
				e.send(sending, q)
			default:
				return
			}
		}
	}
}

// send sends the events of a request.
func (e *events) send(ctx context.Context, q taken) {
	defer e.held.Add(-int64(len(q.record) + recordBeside))
	c, m := &q.t.counts.events, q.t.l.model
	r := decodeRecord(q.record, m)
	h := hider{q.t.l, e.key}
	if err := h.hide(r); err != nil {
		c.unwritten.Add(e.each())
		return
	}
	for _, answer := range []bool{false, true} {
		if answer && !e.o.Responses || !answer && !e.o.Requests {
			continue
		}
		body, err := e.o.Encode(m, r, answer)
		if err != nil {
			c.unwritten.Add(1)
			continue
		}
		err = e.post(ctx, e.event(m, r, answer), body)
		e.report(m.Name, err)
		if err != nil {
			c.failed.Add(1)
		} else {
			c.sent.Add(1)
		}
	}
}

// event returns the event of a request or of its answer, without data.
func (e *events) event(m *infer.Model, r *Request, answer bool) *event.Event {
	v := event.New(event.CloudEventsVersionV1)
	v.SetID(r.ID)
	v.SetSource(e.o.Source)
	v.SetType(requestEvent)
	v.SetTime(r.Time)
	if answer {
		v.SetType(responseEvent)
		v.SetTime(r.Time.Add(r.Duration))
	}
	endpoint := "default"
	if r.Role == api.RoleCanary {
		endpoint = api.RoleCanary
	}
	v.SetExtension("inferenceservicename", m.Name)
	v.SetExtension("namespace", e.o.Namespace)
	v.SetExtension("component", "predictor")
	v.SetExtension("endpoint", endpoint)
	v.SetExtension("metadata", `{"Sluice-Version":["`+strconv.FormatInt(m.Version, 10)+`"]}`) // headers by name, as KServe has them
	return &v
}

// post sends an event in the binary mode of HTTP, as KServe's logger does.
func (e *events) post(ctx context.Context, v *event.Event, body []byte) error {
	if err := v.SetData(event.ApplicationJSON, body); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.o.URL, nil)
	if err != nil {
		return err
	}
	if err := cehttp.WriteRequest(binding.WithForceBinary(ctx), binding.ToMessage(v), req); err != nil {
		return err
	}
	req.Header.Set("User-Agent", e.agent)
	resp, err := e.client.Do(req)
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the URL may have a token
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // so that the connection can be used again
	if err = errors.Join(err, resp.Body.Close()); err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("the receiver answered %d", resp.StatusCode)
	}
	return err
}

// report logs that the receiver takes no events, once until it does.
func (e *events) report(model string, err error) {
	switch down := err != nil; {
	case down && !e.down.Swap(true):
		e.log.Warn("events of captured requests are not taken by their receiver, and are dropped", zap.String("model", model), zap.Error(err))
	case !down && e.down.Swap(false):
		e.log.Info("events of captured requests are taken again")
	}
}
