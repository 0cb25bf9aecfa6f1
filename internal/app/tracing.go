package app

import (
	"context"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/tracing"
	"sluice.io/sluice/internal/wire/front"
)

// newTracer returns what traces requests, nil if nothing does.
func newTracer(cfg *config.Tracing, version string, log *zap.Logger) (*tracing.Tracer, error) {
	if cfg.Exporter == config.TracingNone {
		return nil, nil //nolint:nilnil // none is not an error
	}
	headers := make(map[string]string, len(cfg.Headers))
	for name, value := range cfg.Headers {
		headers[name] = value.Reveal()
	}
	return tracing.New(tracing.Options{
		Protocol: cfg.Protocol, Endpoint: cfg.Endpoint, Insecure: cfg.Insecure, Headers: headers, Sample: cfg.Sample,
		Service: cfg.ServiceName, Version: version, MaxQueue: cfg.MaxQueue, Timeout: cfg.Timeout, Logger: log.Named("tracing"),
	})
}

// frontTracer is a Tracer for the listeners.
type frontTracer struct{ *tracing.Tracer }

// Record implements front.Tracer.
func (t frontTracer) Record(r *front.Trace) { t.Tracer.Record((*tracing.Request)(r)) }

// frontTracer returns the tracer for the listeners, nil if there is none.
func (a *App) frontTracer() front.Tracer {
	if a.tracer == nil {
		return nil
	}
	return frontTracer{a.tracer}
}

// traceRun records a run that joined traced requests.
func (a *App) traceRun(v infer.Version, run batch.Run) {
	began := run.Trace.Started
	a.tracer.RecordRun(&tracing.Run{
		Span: run.Trace.Span, Members: run.Trace.Members, Version: v, Started: began, Ended: began.Add(run.Input + run.Compute + run.Output),
		Joined: run.Members, Rows: run.Rows, Err: run.Err,
	})
}

// traces is what became of traced requests, for the metrics.
func (a *App) traces() map[string]int64 {
	if a.tracer == nil {
		return nil
	}
	exported, failed, dropped := a.tracer.Counts()
	return map[string]int64{"exported": exported, "failed": failed, "dropped": dropped}
}

// runTracing exports traces, if there are any.
func (a *App) runTracing(ctx context.Context) error {
	if a.tracer == nil {
		return nil
	}
	return a.tracer.Run(ctx)
}

// maxFlush is the max time that a stop waits for the export of the last traces.
const maxFlush = time.Second

// endTracing exports the last traces. A receiver that does not take them does not make the stop fail.
func (a *App) endTracing(ctx context.Context) error {
	if a.tracer == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxFlush)
	defer cancel()
	if err := a.tracer.Shutdown(ctx); err != nil {
		a.log.Warn("the last traces were not exported", zap.Error(err))
	}
	return nil
}
