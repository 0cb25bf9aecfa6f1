package tracing

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// newClient returns the client of the receiver. It retries within the timeout of an export.
func newClient(o *Options) (otlptrace.Client, error) { //nolint:ireturn // the exporter takes an interface
	url := strings.Contains(o.Endpoint, "://")
	retry := otlptracegrpc.RetryConfig{Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 5 * time.Second, MaxElapsedTime: o.Timeout}
	// grpc-go's own wait for a receiver that has come back is up to two minutes.
	reconnect := grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: time.Second, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second}, MinConnectTimeout: 5 * time.Second}
	switch o.Protocol {
	case GRPC:
		opts := []otlptracegrpc.Option{otlptracegrpc.WithTimeout(o.Timeout), otlptracegrpc.WithRetry(retry), otlptracegrpc.WithDialOption(grpc.WithConnectParams(reconnect))}
		switch {
		case url:
			opts = append(opts, otlptracegrpc.WithEndpointURL(o.Endpoint))
		case o.Endpoint != "":
			opts = append(opts, otlptracegrpc.WithEndpoint(o.Endpoint))
		}
		if o.Insecure {
			opts = append(opts, otlptracegrpc.WithInsecure())
		}
		if len(o.Headers) > 0 {
			opts = append(opts, otlptracegrpc.WithHeaders(o.Headers))
		}
		return otlptracegrpc.NewClient(opts...), nil
	case HTTP:
		opts := []otlptracehttp.Option{otlptracehttp.WithTimeout(o.Timeout), otlptracehttp.WithRetry(otlptracehttp.RetryConfig(retry))}
		switch {
		case url:
			opts = append(opts, otlptracehttp.WithEndpointURL(o.Endpoint))
		case o.Endpoint != "":
			opts = append(opts, otlptracehttp.WithEndpoint(o.Endpoint))
		}
		if o.Insecure {
			opts = append(opts, otlptracehttp.WithInsecure())
		}
		if len(o.Headers) > 0 {
			opts = append(opts, otlptracehttp.WithHeaders(o.Headers))
		}
		return otlptracehttp.NewClient(opts...), nil
	default:
		return nil, fmt.Errorf("tracing: the protocol is %q, expected %s or %s", o.Protocol, GRPC, HTTP)
	}
}

// provider returns the provider of spans, whose attributes say who sends them. The variables
// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go first.
func (t *Tracer) provider(ctx context.Context, to sdk.SpanProcessor) *sdk.TracerProvider {
	r, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithSchemaURL(semconv.SchemaURL),
		resource.WithAttributes(semconv.ServiceName(t.opts.Service), semconv.ServiceVersion(t.opts.Version), semconv.ServiceInstanceID(uuid.NewString())),
		resource.WithFromEnv())
	if err != nil { // r has the rest
		t.log.Warn("OTEL_RESOURCE_ATTRIBUTES is not valid", zap.Error(err))
	}
	return sdk.NewTracerProvider(sdk.WithResource(r), sdk.WithSpanProcessor(to), sdk.WithSampler(sdk.AlwaysSample()), sdk.WithIDGenerator(ids{}))
}
