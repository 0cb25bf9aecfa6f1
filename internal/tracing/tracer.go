package tracing

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
)

// The protocols of an exporter.
const (
	GRPC = "grpc"
	HTTP = "http"
)

// Options are the inputs of a Tracer. Endpoint, Insecure, Headers, Sample and Version may
// be zero.
type Options struct {
	Protocol string // GRPC or HTTP
	// Endpoint is host:port, or a URL. Empty: as the variables OTEL_EXPORTER_OTLP_… of the
	// environment say, or else the usual port on this host.
	Endpoint string
	Insecure bool // without TLS; a URL says it itself
	Headers  map[string]string
	Sample   float64 // share of the requests whose caller has not decided, 0 to 1
	Service  string  // service.name
	Version  string  // of the program
	MaxQueue int     // records that wait
	Timeout  time.Duration
	Logger   *zap.Logger
}

const (
	exportEvery = time.Second // at most that long a span waits for others
	exportSpans = 512         // spans of one export, about
)

// Tracer selects requests and exports them as spans. Its methods may be called from any goroutine.
type Tracer struct {
	opts     Options
	log      *zap.Logger
	exporter *otlptrace.Exporter
	queue    chan any // *Request or *Run

	mu     sync.Mutex
	layers layers // guarded by mu
	rules  atomic.Pointer[rules]

	exported, failed, dropped atomic.Int64 // records
	failing                   bool         // the last export failed; of the goroutine of Run

	started  atomic.Bool
	stopping chan struct{} // closed by Shutdown
	stop     sync.Once
	ended    chan struct{}   // closed when Run returns
	cut      context.Context //nolint:containedctx // ends when exports must end at once
	cancel   context.CancelFunc
}

// New checks the options. It connects to nothing.
func New(o Options) (*Tracer, error) {
	if o.Service == "" || o.MaxQueue < 1 || o.Timeout <= 0 || o.Logger == nil || o.Sample < 0 || o.Sample > 1 {
		panic("BUG: tracing.New needs a service, limits, a share and a logger")
	}
	client, err := newClient(&o)
	if err != nil {
		return nil, err
	}
	t := &Tracer{
		opts: o, log: o.Logger, exporter: otlptrace.NewUnstarted(client), queue: make(chan any, o.MaxQueue),
		stopping: make(chan struct{}), ended: make(chan struct{}),
	}
	t.cut, t.cancel = context.WithCancel(context.Background()) //nolint:forbidigo // Shutdown ends it
	t.layers.file.rate = &o.Sample
	t.rules.Store(t.layers.rules())
	return t, nil
}

// Samples reports whether a request to a called name is traced. parent says that its caller has
// decided, and sampled what.
func (t *Tracer) Samples(model string, parent, sampled bool) bool {
	return t.rules.Load().of(model).samples(parent, sampled)
}

// Record exports a request that has ended. It never waits, and the request must not change
// afterwards.
func (t *Tracer) Record(r *Request) { t.put(r) }

// RecordRun is Record for a run.
func (t *Tracer) RecordRun(r *Run) { t.put(r) }

func (t *Tracer) put(record any) {
	select {
	case t.queue <- record:
	default:
		t.dropped.Add(1)
	}
}

// Counts returns the number of requests and runs that were exported, that a receiver has not
// accepted, and that had no place in the queue.
func (t *Tracer) Counts() (exported, failed, dropped int64) {
	return t.exported.Load(), t.failed.Load(), t.dropped.Load()
}

// Run exports what is recorded until Shutdown, or until ctx ends.
func (t *Tracer) Run(ctx context.Context) error {
	if !t.started.CompareAndSwap(false, true) {
		return errors.New("tracing: Run was called before")
	}
	defer close(t.ended)
	defer context.AfterFunc(ctx, t.cancel)()
	if err := t.exporter.Start(ctx); err != nil {
		return err
	}
	collected := &collector{}
	spans := newSpans(t.provider(ctx, collected))
	ticker := time.NewTicker(exportEvery)
	defer ticker.Stop()
	for !t.over() {
		select {
		case record := <-t.queue:
			spans.make(record)
			if collected.records++; len(collected.spans) >= exportSpans {
				t.export(collected)
			}
		case <-ticker.C:
			t.export(collected)
		case <-t.stopping:
		case <-t.cut.Done():
		}
	}
	t.drain(spans, collected)
	return t.close()
}

func (t *Tracer) over() bool {
	select {
	case <-t.stopping:
		return true
	default:
		return t.cut.Err() != nil
	}
}

// drain exports what waits.
func (t *Tracer) drain(spans *spans, collected *collector) {
	for t.cut.Err() == nil {
		select {
		case record := <-t.queue:
			spans.make(record)
			if collected.records++; len(collected.spans) >= exportSpans {
				t.export(collected)
			}
			continue
		default:
			t.export(collected)
		}
		break
	}
	t.dropped.Add(int64(len(t.queue) + collected.records))
}

// export sends what is collected. The log has the first failure of several, and their end.
func (t *Tracer) export(c *collector) {
	if len(c.spans) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(t.cut, t.opts.Timeout)
	defer cancel()
	err := t.exporter.ExportSpans(ctx, c.spans)
	if err == nil {
		t.exported.Add(int64(c.records))
	} else {
		t.failed.Add(int64(c.records))
	}
	switch was := t.failing; {
	case err != nil && !was:
		t.log.Warn("traces could not be exported", zap.Int("requests", c.records), zap.Error(err))
	case err == nil && was:
		t.log.Info("traces are exported again")
	}
	t.failing = err != nil
	c.reset()
}

// close ends the connection to the receiver.
func (t *Tracer) close() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.cut), time.Second)
	defer cancel()
	return t.exporter.Shutdown(ctx)
}

// Shutdown exports what waits until ctx ends, and drops the rest, which is its error. What is
// recorded afterwards is not exported. Run must have been called or be about to be called.
func (t *Tracer) Shutdown(ctx context.Context) error {
	t.stop.Do(func() { close(t.stopping) })
	defer t.cancel()
	select {
	case <-t.ended:
		return nil
	case <-ctx.Done():
	}
	t.cancel()
	if t.started.Load() {
		<-t.ended
	}
	return ctx.Err()
}

// collector is the span processor of the provider: it keeps the spans that have ended. Only the
// goroutine of Run uses it.
type collector struct {
	spans   []sdk.ReadOnlySpan
	records int // that the spans are of
}

// OnStart implements sdk.SpanProcessor.
func (c *collector) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd implements sdk.SpanProcessor.
func (c *collector) OnEnd(s sdk.ReadOnlySpan) { c.spans = append(c.spans, s) }

// Shutdown implements sdk.SpanProcessor.
func (c *collector) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdk.SpanProcessor.
func (c *collector) ForceFlush(context.Context) error { return nil }

func (c *collector) reset() {
	clear(c.spans)
	c.spans, c.records = c.spans[:0], 0
}
