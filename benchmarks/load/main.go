// Command load sends requests to a running gateway and prints throughput, latencies and
// errors: for models with one FP32 input, whose name and shape it asks for. load -h shows its
// flags.
//
//	go run ./load -model iris -c 64 -d 10s     # closed loop: 64 requests in flight
//	go run ./load -model iris -rate 5000       # open loop: 5,000 a second at random times
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/internal/wire/oip"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var p loadgen.Plan
	url := flag.String("url", "http://127.0.0.1:8000", "the server")
	model := flag.String("model", "", "the name of the model")
	asJSON := flag.Bool("json", false, "a JSON body, not binary tensors")
	rows := flag.Int64("rows", 1, "rows of a request; the length of other open dimensions too")
	header := flag.String("header", "", "a further header, 'name: value'")
	flag.IntVar(&p.Conns, "c", 64, "requests in flight or, with -rate, connections at most")
	flag.Float64Var(&p.Rate, "rate", 0, "requests a second, an open loop; 0: a closed one")
	flag.BoolVar(&p.Asleep, "asleep", true, "an open loop sleeps while it waits; false: it sends on time and takes all of a core")
	flag.DurationVar(&p.Warmup, "warmup", time.Second, "time that is not counted")
	flag.DurationVar(&p.Duration, "d", 5*time.Second, "the counted time")
	flag.Parse()
	text, _, err := process.Ask(ctx, http.MethodGet, *url+"/v2/models/"+*model, "", nil)
	if err != nil {
		return err
	}
	var meta oip.ModelMetadata
	if err := json.Unmarshal(text, &meta); err != nil {
		return err
	}
	if len(meta.Inputs) != 1 || meta.Inputs[0].Datatype != "FP32" {
		return errors.New("the model needs one input, of FP32")
	}
	shape := meta.Inputs[0].Shape
	for i := range shape {
		if shape[i] < 0 {
			shape[i] = *rows
		}
	}
	t := loadgen.FP32Target(*url, *model, meta.Inputs[0].Name, shape, !*asJSON)
	if name, value, ok := strings.Cut(*header, ":"); ok {
		t.Headers[name] = strings.TrimSpace(value)
	}
	p.Targets = []loadgen.Target{t}
	r, err := loadgen.Run(ctx, p)
	if err != nil {
		return err
	}
	at := func(q float64) time.Duration { return time.Duration(r.Latency.ValueAtQuantile(q)) * time.Microsecond }
	fmt.Printf("%.0f requests/s answered, p50 %v, p99 %v, p99.9 %v; errors by status %v\n", r.Rate(), at(50), at(99), at(99.9), r.Errors)
	if text := r.GeneratorBound(); text != "" {
		fmt.Println("generator-bound:", text)
	}
	return nil
}
