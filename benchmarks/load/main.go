// Command load sends one V2 request again and again to a running gateway and
// prints what came back: throughput, latency, errors by status.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
)

func main() {
	base := flag.String("url", "http://127.0.0.1:8000", "the gateway")
	model := flag.String("model", "", "the model to call")
	input := flag.String("input", "input", "its one FP32 input")
	shape := flag.String("shape", "1,16", "the input's shape")
	asJSON := flag.Bool("json", false, "send JSON instead of binary tensors")
	conns := flag.Int("c", 64, "requests in flight")
	duration := flag.Duration("d", 5*time.Second, "for how long")
	output := flag.String("o", "text", "text or json")
	flag.Parse()
	if err := run(*base, *model, *input, *shape, !*asJSON, *conns, *duration, *output); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(base, model, input, shape string, binaryForm bool, conns int, d time.Duration, output string) error {
	var dims []int64
	for part := range strings.SplitSeq(shape, ",") {
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("-shape %q: want dimensions such as 1,16", shape)
		}
		dims = append(dims, n)
	}
	r, err := loadgen.Closed(context.Background(), loadgen.FP32Target(base, model, input, dims, binaryForm), conns, d)
	if err != nil {
		return err
	}
	report := map[string]any{
		"requests_per_second": r.Rate(), "requests": r.Requests, "errors": r.Errors,
		"p50_us": r.Latency.ValueAtQuantile(50), "p99_us": r.Latency.ValueAtQuantile(99), "p999_us": r.Latency.ValueAtQuantile(99.9),
	}
	if output == "json" {
		return json.NewEncoder(os.Stdout).Encode(report)
	}
	fmt.Printf("%.0f requests/s, p50 %d µs, p99 %d µs, p99.9 %d µs, errors by status %v\n",
		r.Rate(), report["p50_us"], report["p99_us"], report["p999_us"], r.Errors)
	return nil
}
