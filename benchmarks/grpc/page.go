package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"sluice.io/sluice/benchmarks/record"
)

// ratios are what the page compares, with what should be reached. The first side is divided by the second.
var ratios = [...]struct{ what, of, to, target string }{
	{"a call over gRPC, to an echo", "gRPC, gateway", "gRPC, echo", "≥ 0.85"},
	{"a stream, to an echo", "gRPC stream, gateway", "gRPC stream, echo", ""},
	{"a stream, to calls", "gRPC stream, gateway", "gRPC, gateway", "≥ 1.3"},
	{"a call over gRPC, to HTTP", "gRPC, gateway", "HTTP, gateway", ""},
	{"HTTP over TLS, to plain", "HTTP, gateway, TLS", "HTTP, gateway", "≥ 0.8"},
	{"a call over gRPC and TLS, to plain", "gRPC, gateway, TLS", "gRPC, gateway", "≥ 0.8"},
	{"a stream over TLS, to plain", "gRPC stream, gateway, TLS", "gRPC stream, gateway", "≥ 0.8"},
	{"HTTP, to the same again: the noise", "HTTP, gateway again", "HTTP, gateway", ""},
	{"a call over gRPC, to the same again: the noise", "gRPC, gateway again", "gRPC, gateway", ""},
	{"HTTP with a key, to without", "HTTP, gateway, key", "HTTP, gateway", "within the noise"},
	{"HTTP with a key and limits, to without", "HTTP, gateway, key and limits", "HTTP, gateway", "within the noise"},
	{"HTTP with idle tracing, to without", "HTTP, gateway, idle tracing", "HTTP, gateway", "within the noise"},
	{"a call over gRPC with a key, to without", "gRPC, gateway, key", "gRPC, gateway", "within the noise"},
	{"a call over gRPC with a key and limits, to without", "gRPC, gateway, key and limits", "gRPC, gateway", "within the noise"},
	{"a call over gRPC with idle tracing, to without", "gRPC, gateway, idle tracing", "gRPC, gateway", "within the noise"},
	{"a call over gRPC, to an older build", "gRPC, gateway", "gRPC, before", "≥ 1"},
	{"a stream, to an older build", "gRPC stream, gateway", "gRPC stream, before", "≥ 1"},
	{"HTTP, to an older build", "HTTP, gateway", "HTTP, before", "≥ 1"},
}

// page writes the results.
func page(w io.Writer, o *options, sides []*side) error {
	h := record.ThisHost()
	var b strings.Builder
	fmt.Fprintf(&b, `# gRPC beside an echo, streams, HTTP, TLS, keys, limits and tracing

%s, revision %s, %d cores of %s that servers and client share, Linux %s, %s; `+"`make bench-grpc`"+`.
Model %s, one row, %d in flight, gRPC over %d connections, a stream over one. %d rounds of %v, all sides in turn in each; medians, in brackets the least and the
most. The echo is a grpc-go server with its defaults that decodes nothing and answers a constant of the same size.

| | requests/s | µs of CPU of the server a request |
|---|---|---|
`, h.Date, h.Revision, h.Cores, h.CPU, h.Kernel, h.Go, o.model, o.flying, o.conns, o.rounds, o.duration)
	byName := map[string]*side{}
	for _, s := range sides {
		byName[s.name] = s
		fmt.Fprintf(&b, "| %s | %s | %s |\n", s.name, spread(s.rates, "%.0f"), spread(s.cpu, "%.1f"))
	}
	b.WriteString("\nRatios of each round:\n\n| | requests/s | target | CPU |\n|---|---|---|---|\n")
	for _, r := range ratios {
		of, to := byName[r.of], byName[r.to]
		if of == nil || to == nil { // only some sides were measured
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.what, spread(divided(of.rates, to.rates), "%.2f"), r.target, spread(divided(of.cpu, to.cpu), "%.2f"))
	}
	b.WriteString("\n[ADR 36](../../docs/adr/0036-grpc-go.md) says where the time of a call goes.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// divided returns the ratios of the rounds.
func divided(of, to []float64) []float64 {
	list := make([]float64, len(of))
	for i := range of {
		list[i] = of[i] / to[i]
	}
	return list
}

// spread writes the median, the least and the most.
func spread(list []float64, format string) string {
	list = slices.Sorted(slices.Values(list))
	return fmt.Sprintf(format+" ("+format+" to "+format+")", list[len(list)/2], list[0], list[len(list)-1])
}
