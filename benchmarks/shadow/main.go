// Command shadow measures what callers notice of a shadow that is slow, hangs or
// fails: the same load, half of what the gateway can do, without a shadow and with
// each kind, in interleaved rounds. Rounds without one are run twice, so that the
// difference between the two says what the machine's mood alone does.
//
//	go run ./shadow -gateway ../bin/gateway
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// setup is what the gateway does beside answering: version 1 of the model "slow" answers.
type setup struct {
	name   string
	shadow int64                      // the version that gets copies of all requests; 0 for none
	model  func(int64) *onnxgen.Graph // that version, where version 1 has so many steps
}

// setups are the rows. The first two are the pair that is compared with itself. What
// hangs is a loop that would run for hours; the gateway terminates it when a copy's
// time is over.
func setups() []setup {
	return []setup{
		{"A no shadow", 0, nil},
		{"A' no shadow", 0, nil},
		{"B equal model", 2, onnxgen.Steps},
		{"C 100 × slower", 3, func(steps int64) *onnxgen.Graph { return onnxgen.Steps(100 * steps) }},
		{"D hangs", 4, func(int64) *onnxgen.Graph { return onnxgen.Steps(1e9) }},
		{"E fails", 5, func(int64) *onnxgen.Graph { return fails() }},
	}
}

// fails asks for elements that its input never has.
func fails() *onnxgen.Graph {
	g := onnxgen.New("slow")
	x := g.Input("input", infer.FP32, "N", 4)
	beyond := g.Init(onnxgen.Int64s([]int64{1000, 1000, 1000, 1000}, 4))
	g.Output("output", infer.FP32, g.Op("Gather", x, beyond).Int("axis", 1), "N", 4)
	return g
}

// bench is one whole measurement.
type bench struct {
	gateway  string
	cpus     string
	rounds   int
	duration time.Duration
	load     float64
	rate     float64 // requests per second of the open loop
	steps    int64

	dir, repository string
}

func main() {
	var b bench
	flag.StringVar(&b.gateway, "gateway", "../bin/gateway", "the gateway's binary")
	flag.StringVar(&b.cpus, "server-cpus", "", "the cores of the gateway, with commas between them; empty for all (run this program under taskset as well)")
	flag.IntVar(&b.rounds, "rounds", 7, "rounds; in each every set-up runs once")
	flag.DurationVar(&b.duration, "d", 6*time.Second, "how long a set-up runs in a round")
	flag.Float64Var(&b.load, "load", 0.5, "the load as a share of the peak without a shadow")
	flag.Float64Var(&b.rate, "rate", 0, "the load in requests per second; 0: as -load says")
	flag.Int64Var(&b.steps, "steps", 40, "how long a run of the model takes, in steps of some 10 µs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shadow:", err)
		os.Exit(1) //nolint:gocritic // nothing is deferred that matters now
	}
}

// The connections of both loops. The open loop needs more of them than requests are
// ever in progress at half of the peak.
const (
	closedConns = 8
	openConns   = 64
)

func (b *bench) run(ctx context.Context, out io.Writer) (err error) {
	if b.dir, err = os.MkdirTemp("", "sluice-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir) //nolint:errcheck // a temporary folder
	list := setups()
	versions := []process.Version{{Graph: onnxgen.Steps(b.steps), Number: 1}}
	for _, s := range list {
		if s.shadow != 0 {
			versions = append(versions, process.Version{Graph: s.model(b.steps), Number: s.shadow})
		}
	}
	if b.repository, err = process.Repository(b.dir, versions...); err != nil {
		return err
	}
	host := record.ThisHost()
	fmt.Fprintf(out, "%d cores of %s, gateway on %s, %s, %d rounds of %v\n", host.Cores, host.CPU, cmp.Or(b.cpus, "all of them, as is the client"), host.Go, b.rounds, b.duration)
	if b.rate == 0 {
		peak, single, err := b.peak(ctx)
		if err != nil {
			return err
		}
		b.rate = b.load * peak
		fmt.Fprintf(out, "one request alone takes %d µs; peak %.0f requests/s with %d in flight\n", single, peak, closedConns)
	}
	fmt.Fprintf(out, "open loop at %.0f requests/s\n\n", b.rate)
	var rows record.Rows
	for round := range b.rounds {
		for i := range list {
			s := list[(round+i)%len(list)] // no set-up always follows the same one
			m, err := b.measure(ctx, s, round+1)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			rows = append(rows, m)
			fmt.Fprintf(os.Stderr, "round %d, %s: p50 %.0f µs, p99 %.0f µs\n", round+1, s.name, m.Figures["p50_us"], m.Figures["p99_us"])
		}
	}
	return report(out, rows)
}

// start starts a gateway. A model that hangs can be neither probed nor warmed up, and
// requests are not joined, so that each run takes the same time.
func (b *bench) start(ctx context.Context, shadow int64) (*process.Gateway, loadgen.Target, error) {
	shadows := ""
	if shadow != 0 {
		shadows = fmt.Sprintf(", shadows: [{version: %d, sample: 100%%}]", shadow)
	}
	cpus, err := process.Cores(b.cpus)
	if err != nil {
		return nil, loadgen.Target{}, err
	}
	g, err := process.StartGateway(ctx, process.GatewaySpec{
		Program: b.gateway, CPUs: cpus, File: filepath.Join(b.dir, "sluice.yaml"),
		Config: fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: %s}, drain_timeout: 2s}\nadmin: {address: %s}\nlog: {level: error}\n"+
			"models: {slow: {versions: [1], batching: {enabled: 'false'}, warmup: false}}\nroutes: {slow: {variants: [{version: 1, weight: 100%%}]%s}}\n",
			b.repository, process.HTTPAddress, process.AdminAddress, shadows),
	})
	if err != nil {
		return nil, loadgen.Target{}, err
	}
	return g, loadgen.FP32Target(g.URL(), "slow", "input", []int64{1, 4}, true), nil
}

// peak returns the most requests per second that the gateway answers without a
// shadow, and the median of what one alone takes, in microseconds.
func (b *bench) peak(ctx context.Context) (rate float64, single int64, err error) {
	g, target, err := b.start(ctx, 0)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, g.Stop()) }()
	alone, err := loadgen.Closed(ctx, target, 1, time.Second)
	if err != nil {
		return 0, 0, err
	}
	r, err := loadgen.Closed(ctx, target, closedConns, 3*time.Second)
	return r.Rate(), alone.Latency.ValueAtQuantile(50), err
}

// measure runs a set-up once, in a process of its own, so that nothing of one
// that hung is left over.
func (b *bench) measure(ctx context.Context, s setup, round int) (m record.Record, err error) {
	m = record.New("shadow", "set", s.name, "round", round)
	g, target, err := b.start(ctx, s.shadow)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, g.Stop()) }()
	before, began := background(g), time.Now()
	r, err := loadgen.Run(ctx, loadgen.Plan{
		Targets: []loadgen.Target{target}, Conns: openConns, Rate: b.rate, Asleep: true, Warmup: time.Second, Duration: b.duration,
	})
	if err != nil {
		return m, err
	}
	if r.Requests == 0 || len(r.Errors) > 0 {
		return m, fmt.Errorf("%d requests were answered 200; errors by status %v", r.Requests, r.Errors)
	}
	used, err := g.OwnUsage()
	if err != nil {
		return m, err
	}
	m.Figures["core"] = float64(background(g)-before) / float64(time.Since(began))
	m.Figures["p50_us"], m.Figures["p99_us"] = float64(r.Latency.ValueAtQuantile(50)), float64(r.Latency.ValueAtQuantile(99))
	m.Figures["resident_mib"] = float64(used.RSS >> 20)
	for _, bar := range r.Latency.Distribution() {
		if bar.Count > 0 {
			m.Figures[fmt.Sprintf("latency_%d", bar.To)] = float64(bar.Count)
		}
	}
	if s.shadow != 0 {
		err = copies(ctx, g, m.Figures)
	}
	return m, err
}

// background returns the processor time of the gateway's threads of the lowest
// priority.
func background(g *process.Gateway) (sum time.Duration) {
	const lowest = 19
	for _, used := range g.ThreadTimes(lowest) {
		sum += used
	}
	return sum
}

// copies asks what became of the copies.
func copies(ctx context.Context, g *process.Gateway, figures map[string]float64) error {
	text, _, err := process.Ask(ctx, http.MethodGet, g.AdminURL()+"/api/v1/routes/slow/stats", "", nil)
	if err != nil {
		return err
	}
	var stats api.RouteStats
	if err := json.Unmarshal(text, &stats); err != nil {
		return err
	}
	if len(stats.Shadows) != 1 {
		return fmt.Errorf("the route has %d shadows", len(stats.Shadows))
	}
	s := &stats.Shadows[0]
	figures["answered"], figures["failed"] = float64(s.Answered-s.Errors), float64(s.Errors)
	for reason, n := range s.Dropped {
		figures["dropped "+reason] = float64(n)
	}
	return nil
}
