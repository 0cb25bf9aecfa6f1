package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/config"
)

func TestTracing(t *testing.T) {
	want := config.Tracing{Exporter: "none", Protocol: "grpc", Sample: 0.01, ServiceName: "sluice", MaxQueue: 4096, Timeout: 10 * time.Second}
	if diff := cmp.Diff(want, mustParse(t, "repository: {path: m}").Tracing); diff != "" {
		t.Error(diff)
	}
	cfg := mustParse(t, "repository: {path: m}\ntracing: {exporter: otlp, endpoint: \"https://otel.example/v1/traces\", protocol: http, headers: {X-Api-Key: k}, sample: 1, service_name: shop, max_queue: 10, timeout: 1s}")
	want = config.Tracing{
		Exporter: "otlp", Endpoint: "https://otel.example/v1/traces", Protocol: "http", Headers: map[string]config.Secret{"X-Api-Key": "k"},
		Sample: 1, ServiceName: "shop", MaxQueue: 10, Timeout: time.Second,
	}
	if diff := cmp.Diff(want, cfg.Tracing); diff != "" {
		t.Error(diff)
	}
}

func TestTracingIsRefused(t *testing.T) {
	for setting, want := range map[string]string{
		"exporter: zipkin":                      "tracing.exporter: expected none or otlp",
		"endpoint: collector":                   "tracing.endpoint: expected host:port",
		"endpoint: 'ftp://a'":                   "tracing.endpoint: expected a URL that begins with",
		"endpoint: 'https://u:secret@a'":        "tracing.endpoint: expected a URL that begins with",
		"endpoint: 'https://a', insecure: true": "tracing.insecure: the endpoint is https",
		"headers: {'a b': x}":                   "tracing.headers.\"a b\": expected the name of a header",
		"headers: {a: \"x\\ny\"}":               "tracing.headers.a: the value has a character",
		"sample: 1.5":                           "tracing.sample: expected 0 to 1",
		"service_name: ''":                      "tracing.service_name: expected a name",
		"max_queue: 0":                          "tracing.max_queue: expected",
		"timeout: 1ms":                          "tracing.timeout: expected",
	} {
		_, err := config.Parse("test.yaml", []byte("repository: {path: m}\ntracing: {"+setting+"}"), noEnv)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", setting, err, want)
		}
	}
}
