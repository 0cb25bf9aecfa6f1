package config

import (
	"net/url"
	"strings"
	"time"
)

// The choices of tracing.exporter and tracing.protocol.
const (
	TracingNone = "none"
	TracingOTLP = "otlp"
	TracingGRPC = "grpc"
	TracingHTTP = "http"
)

// Tracing configures the export of traces.
type Tracing struct {
	Exporter    string            `yaml:"exporter" default:"none" enum:"none|otlp" doc:"none: requests are not traced. otlp: traced requests are sent to a receiver, such as an OpenTelemetry Collector."`
	Endpoint    string            `yaml:"endpoint" default:"\"\"" doc:"The receiver: host:port, or a URL (https://host/path), whose path is used as it is. Empty: what the environment variables OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT say, or else port 4317 (grpc) or 4318 (http) on this host."`
	Protocol    string            `yaml:"protocol" default:"grpc" enum:"grpc|http" doc:"OTLP over gRPC, or over HTTP with protobuf."`
	Insecure    bool              `yaml:"insecure" default:"false" doc:"true: without TLS. In a URL the scheme says it."`
	Headers     map[string]Secret `yaml:"headers" doc:"Headers of each export, such as the key of a service."`
	Sample      float64           `yaml:"sample" restart:"false" default:"0.01" min:"0" max:"1" doc:"Share of the requests that are traced if the caller has not decided. A caller decides with the header traceparent: its request is traced if that says sampled, and is not traced otherwise."`
	ServiceName string            `yaml:"service_name" default:"sluice" doc:"The attribute service.name of the spans. The environment variable OTEL_SERVICE_NAME takes precedence."`
	MaxQueue    int               `yaml:"max_queue" default:"4096" min:"1" max:"1000000" doc:"Max number of traced requests and runs that wait for their export. Further ones are dropped and counted."`
	Timeout     time.Duration     `yaml:"timeout" default:"10s" min:"10ms" doc:"Max time of one export, including its retries."`
}

func (d *decoder) tracing() {
	t := &d.cfg.Tracing
	d.tracingEndpoint(t)
	if t.ServiceName == "" {
		d.problemAt("tracing.service_name", "expected a name")
	}
	for _, name := range sortedKeys(t.Headers) {
		path := child("tracing.headers", name)
		switch value := t.Headers[name].Reveal(); {
		case d.failed(path):
		case name == "" || strings.IndexFunc(name, notHeaderLetter) >= 0:
			d.problemAt(path, "expected the name of a header, got %s", clip(name))
		case strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) >= 0:
			d.problemAt(path, "the value has a character that a header cannot have")
		}
	}
}

func (d *decoder) tracingEndpoint(t *Tracing) {
	if t.Endpoint == "" {
		return
	}
	if !strings.Contains(t.Endpoint, "://") {
		if _, err := parseAddress(t.Endpoint); err != nil {
			d.problemAt("tracing.endpoint", "%v, or a URL", err)
		}
		return
	}
	u, err := url.Parse(t.Endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil:
		d.problemAt("tracing.endpoint", "expected a URL that begins with http:// or https:// and has no password, got %s", clip(t.Endpoint))
	case t.Insecure && u.Scheme == "https":
		d.problemAt("tracing.insecure", "the endpoint is https, which is with TLS")
	}
}
