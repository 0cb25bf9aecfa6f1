// Command compare runs the gateway beside a no-op HTTP server that answers a
// constant, in interleaved rounds on the same cores, and prints medians and their
// ratio: how much of what HTTP allows the gateway keeps.
//
//	go run ./compare -gateway ../bin/gateway -noop ./bin/noop
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/internal/onnxgen"
)

// work is one row of the table.
type work struct {
	name  string
	model string
	shape []int64
	conns int
	json  bool
}

// works are the rows; every model has one FP32 input "input".
func works() []work {
	return []work{
		{"lin binary c=64", "lin", []int64{1, 16}, 64, false},
		{"lin JSON c=64", "lin", []int64{1, 16}, 64, true},
		{"mlp binary c=64", "mlp", []int64{1, 64}, 64, false},
		{"cnn binary c=8", "cnn", []int64{1, 3, 32, 32}, 8, false},
	}
}

func main() {
	gateway := flag.String("gateway", "../bin/gateway", "the gateway's binary")
	noop := flag.String("noop", "bin/noop", "the no-op server's binary")
	rounds := flag.Int("rounds", 5, "rounds; the median of each row is printed")
	duration := flag.Duration("d", 2*time.Second, "how long each row runs in a round")
	flag.Parse()
	if err := run(*gateway, *noop, *rounds, *duration, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(gateway, noop string, rounds int, d time.Duration, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	for _, g := range []*onnxgen.Graph{onnxgen.Lin(), onnxgen.MLP(), onnxgen.CNN()} {
		if err := g.Write(dir, 1); err != nil {
			return err
		}
	}
	free, err := process.FreeAddresses(3)
	if err != nil {
		return err
	}
	httpAddr, adminAddr, noopAddr := free[0], free[1], free[2]
	stopGateway, err := process.Start(exec.Command(gateway, "serve", "--model-repository", dir, //nolint:gosec // the operator's own binary
		"--http-address", httpAddr, "--admin-address", adminAddr, "--log-level", "error"), "http://"+httpAddr+"/v2/health/ready")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopGateway()) }()
	stopNoop, err := process.Start(exec.Command(noop, "-address", noopAddr), "http://"+noopAddr+"/") //nolint:gosec // as above
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopNoop()) }()
	return measure(out, "http://"+httpAddr, "http://"+noopAddr, rounds, d)
}

// measure runs every row against both servers in turn, round by round.
func measure(out io.Writer, gateway, noop string, rounds int, d time.Duration) error {
	list := works()
	rates, ceilings := make([][]float64, len(list)), make([][]float64, len(list))
	p99 := make([][]float64, len(list))
	ctx := context.Background()
	for round := range rounds + 1 { // the first warms up
		for i, w := range list {
			target := loadgen.FP32Target(gateway, w.model, "input", w.shape, !w.json)
			ours, err := loadgen.Closed(ctx, target, w.conns, d)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			target.URL = noop + "/v2/models/" + w.model + "/infer"
			ceiling, err := loadgen.Closed(ctx, target, w.conns, d)
			if err != nil {
				return fmt.Errorf("no-op: %w", err)
			}
			if len(ours.Errors) > 0 {
				return fmt.Errorf("%s: errors by status %v", w.name, ours.Errors)
			}
			if round > 0 {
				rates[i] = append(rates[i], ours.Rate())
				ceilings[i] = append(ceilings[i], ceiling.Rate())
				p99[i] = append(p99[i], float64(ours.Latency.ValueAtQuantile(99)))
			}
		}
	}
	fmt.Fprintf(out, "%d cores shared by client and server, %s, %d rounds of %v; medians (range)\n\n", runtime.NumCPU(), runtime.Version(), rounds, d)
	fmt.Fprintln(out, "| work | gateway requests/s | no-op requests/s | R_noop | p99 µs |\n|---|---|---|---|---|")
	for i, w := range list {
		ours, lo, hi := spread(rates[i])
		ceiling, nlo, nhi := spread(ceilings[i])
		tail, _, _ := spread(p99[i])
		fmt.Fprintf(out, "| %s | %.0f (%.0f–%.0f) | %.0f (%.0f–%.0f) | %.2f | %.0f |\n", w.name, ours, lo, hi, ceiling, nlo, nhi, ours/ceiling, tail)
	}
	return nil
}

func spread(values []float64) (median, low, high float64) {
	s := slices.Sorted(slices.Values(values))
	return s[len(s)/2], s[0], s[len(s)-1]
}
