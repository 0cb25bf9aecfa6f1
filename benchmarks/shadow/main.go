// Command shadow measures what callers notice of a shadow that is slow, hangs or
// fails: the same load, half of what the gateway can do, without a shadow and with
// each kind, in interleaved rounds. Rounds without one are run twice, so that the
// difference between the two says what the machine's mood alone does.
//
//	go run ./shadow -gateway ../bin/gateway
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
)

// setup is what the gateway does beside answering.
type setup struct {
	name   string
	shadow int64 // the version that gets copies of all requests; 0 for none
}

// setups are the rows. The first two are the pair that is compared with itself.
func setups() []setup {
	return []setup{
		{"A no shadow", 0},
		{"A' no shadow", 0},
		{"B equal model", versionEqual},
		{"C 100 × slower", versionSlow},
		{"D hangs", versionHangs},
		{"E fails", versionFails},
	}
}

func main() {
	var b bench
	flag.StringVar(&b.gateway, "gateway", "../bin/gateway", "the gateway's binary")
	flag.StringVar(&b.serverCPUs, "server-cpus", "", "the cores of the gateway, as taskset takes them; empty for all (run this program under taskset as well)")
	flag.IntVar(&b.rounds, "rounds", 7, "rounds; in each every set-up runs once")
	flag.DurationVar(&b.duration, "d", 6*time.Second, "how long a set-up runs in a round")
	flag.Float64Var(&b.load, "load", 0.5, "the load as a share of the peak without a shadow")
	flag.Float64Var(&b.rate, "rate", 0, "the load in requests per second; 0: as -load says")
	flag.Int64Var(&b.steps, "steps", 40, "how long a run of the model takes, in steps of some 10 µs")
	flag.Parse()
	if err := b.run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shadow:", err)
		os.Exit(1)
	}
}

// bench is one whole measurement.
type bench struct {
	gateway, serverCPUs string
	rounds              int
	duration            time.Duration
	load                float64
	rate                float64 // requests per second of the open loop
	steps               int64

	dir string // the models
}

// conns are the connections of both loops. The open loop needs more of them than
// requests are ever in progress at half of the peak.
const (
	closedConns = 8
	openConns   = 64
)

func (b *bench) run(out io.Writer) (err error) {
	if b.dir, err = os.MkdirTemp("", "sluice-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir) //nolint:errcheck // a temporary folder
	if err := writeModels(b.dir, b.steps); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d cores, gateway on %s, %s, %d rounds of %v\n", runtime.NumCPU(), orAll(b.serverCPUs), runtime.Version(), b.rounds, b.duration)
	if b.rate == 0 {
		peak, single, err := b.peak()
		if err != nil {
			return err
		}
		b.rate = b.load * peak
		fmt.Fprintf(out, "one request alone takes %d µs; peak %.0f requests/s with %d in flight\n", single, peak, closedConns)
	}
	fmt.Fprintf(out, "open loop at %.0f requests/s\n\n", b.rate)
	list := setups()
	measured := make([][]measurement, len(list))
	for round := range b.rounds {
		for i := range list {
			at := (round + i) % len(list) // no set-up always follows the same one
			m, err := b.measure(list[at])
			if err != nil {
				return fmt.Errorf("%s: %w", list[at].name, err)
			}
			measured[at] = append(measured[at], m)
			fmt.Fprintf(os.Stderr, "round %d, %s: p50 %d µs, p99 %d µs\n", round+1, list[at].name, m.p50, m.p99)
		}
	}
	report(out, list, measured)
	return nil
}

func orAll(cpus string) string {
	if cpus == "" {
		return "all of them, as is the client"
	}
	return cpus
}

// peak returns the most requests per second that the gateway answers without a
// shadow, and the median of what one alone takes, in microseconds.
func (b *bench) peak() (rate float64, single int64, err error) {
	g, err := b.start(setup{})
	if err != nil {
		return 0, 0, err
	}
	ctx := context.Background()
	alone, err := loadgen.Closed(ctx, g.target(), 1, time.Second)
	var r *loadgen.Result
	if err == nil {
		r, err = loadgen.Closed(ctx, g.target(), closedConns, 3*time.Second)
	}
	if serr := g.stop(); err == nil {
		err = serr
	}
	if err != nil {
		return 0, 0, err
	}
	return r.Rate(), alone.Latency.ValueAtQuantile(50), nil
}

// measure runs a set-up once, in a process of its own, so that nothing of one
// that hung is left over.
func (b *bench) measure(s setup) (m measurement, err error) {
	g, err := b.start(s)
	if err != nil {
		return m, err
	}
	defer func() {
		if serr := g.stop(); err == nil {
			err = serr
		}
	}()
	before, began := g.background(), time.Now()
	r, err := loadgen.Run(context.Background(), loadgen.Plan{
		Targets: []loadgen.Target{g.target()}, Conns: openConns, Rate: b.rate, Asleep: true, Warmup: time.Second, Duration: b.duration,
	})
	if err != nil {
		return m, err
	}
	if r.Requests == 0 || len(r.Errors) > 0 {
		return m, fmt.Errorf("%d requests were answered 200; errors by status %v", r.Requests, r.Errors)
	}
	m = measurement{
		p50: r.Latency.ValueAtQuantile(50), p99: r.Latency.ValueAtQuantile(99), latency: r.Latency,
		core: float64(g.background()-before) / float64(time.Since(began)), resident: g.resident(),
	}
	if s.shadow != 0 {
		m.shadow, err = g.shadowStats()
	}
	return m, err
}
