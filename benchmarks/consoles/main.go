// Command consoles measures what watchers of the overview cost the data plane. It loads a gateway with and without them in turn,
// round by round, and prints the medians and the ratio of each round.
//
//	cd benchmarks && go run ./consoles -out results/consoles.md
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/models"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// bench is a measurement.
type bench struct {
	program          string
	watchers, models int
	rounds           int
	duration         time.Duration
	rate             float64
}

// round is what one round has measured.
type round struct {
	// Without and with watchers: answers a second in a closed loop, seconds at the open loop's rate, and CPU seconds of the gateway
	// in a second with quietRate requests.
	peak, p99, cpu [2]float64
	messages       int64 // that the watchers have read
}

func main() {
	b := bench{}
	flag.StringVar(&b.program, "gateway", "../bin/gateway", "the gateway's binary")
	flag.IntVar(&b.watchers, "watchers", 200, "streams of the overview")
	flag.IntVar(&b.models, "models", 40, "models, all with traffic and all of them watched")
	flag.IntVar(&b.rounds, "rounds", 7, "rounds")
	flag.DurationVar(&b.duration, "d", 5*time.Second, "counted time of each measurement")
	flag.Float64Var(&b.rate, "rate", 0, "requests per second of the open loop; 0: a third of the first round's peak")
	out := flag.String("out", "", "the page to write; empty: standard output")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	text, err := b.run(ctx)
	stop()
	if err == nil && *out != "" {
		err = os.WriteFile(*out, []byte(text), 0o644) //nolint:gosec // a page for everybody
	} else if err == nil {
		_, err = io.WriteString(os.Stdout, text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "consoles:", err)
		os.Exit(1)
	}
}

// run starts a gateway, measures, and returns the page.
func (b *bench) run(ctx context.Context) (text string, err error) {
	dir, err := os.MkdirTemp("", "consoles-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	lin := models.ByName("lin")
	var list []process.Version
	for i := range b.models {
		list = append(list, process.Version{Graph: lin.Graph().As(name(i)), Number: 1})
	}
	repository, err := process.Repository(dir, list...)
	if err != nil {
		return "", err
	}
	config := fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: %q}, grpc: {address: none}, access_log: {enabled: false}}\nadmin: {address: %q, max_connections: %d, max_watchers: %d}\nlog: {level: warn}\n",
		repository, process.HTTPAddress, process.AdminAddress, 4*b.watchers+16, 2*b.watchers) // those of the round before may still end
	gateway, err := process.StartGateway(ctx, b.program, filepath.Clean(dir), config, process.Ready, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, gateway.Stop()) }()
	var rounds []round
	for i := range b.rounds {
		r, err := b.round(ctx, gateway, i%2 == 1)
		if err != nil {
			return "", err
		}
		rounds = append(rounds, r)
		fmt.Fprintf(os.Stderr, "round %d: %.0f and %.0f/s, p99 %.0f and %.0f µs, CPU %.0f and %.0f ms/s, %d messages\n",
			i+1, r.peak[0], r.peak[1], 1e6*r.p99[0], 1e6*r.p99[1], 1e3*r.cpu[0], 1e3*r.cpu[1], r.messages)
	}
	return b.page(rounds), nil
}

func name(i int) string { return fmt.Sprintf("lin-%02d", i) }

// round measures without and with watchers, in one order or the other.
func (b *bench) round(ctx context.Context, gateway *process.Gateway, watchedFirst bool) (r round, err error) {
	order := []int{0, 1}
	if watchedFirst {
		order = []int{1, 0}
	}
	for _, with := range order {
		end := func() int64 { return 0 }
		if with == 1 {
			if end, err = b.watch(ctx, gateway); err != nil {
				return r, err
			}
		}
		r.peak[with], r.p99[with], r.cpu[with], err = b.load(ctx, gateway)
		r.messages += end()
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// quietRate is how many requests per second change the counters of all models in each second, and cost little themselves.
const quietRate = 400

// load sends requests to all models: as fast as they are answered, at a rate, and at quietRate.
func (b *bench) load(ctx context.Context, gateway *process.Gateway) (peak, p99, cpu float64, err error) {
	var targets []loadgen.Target
	for i := range b.models {
		targets = append(targets, loadgen.FP32Target(gateway.URL(), name(i), models.Input, []int64{1, 16}, false))
	}
	plan := loadgen.Plan{Targets: targets, Conns: 16, Warmup: time.Second, Duration: b.duration}
	closed, err := loadgen.Run(ctx, plan)
	if err != nil {
		return 0, 0, 0, err
	}
	if b.rate == 0 {
		b.rate = math.Round(closed.Rate() / 3)
	}
	plan.Rate, plan.Asleep = b.rate, true
	open, err := loadgen.Run(ctx, plan)
	if err != nil {
		return 0, 0, 0, err
	}
	before, err := gateway.OwnUsage()
	if err != nil {
		return 0, 0, 0, err
	}
	began := time.Now()
	plan.Rate = quietRate
	quiet, err := loadgen.Run(ctx, plan)
	took := time.Since(began)
	if err != nil {
		return 0, 0, 0, err
	}
	after, err := gateway.OwnUsage()
	for _, result := range []*loadgen.Result{closed, open, quiet} {
		if len(result.Errors) > 0 {
			err = errors.Join(err, fmt.Errorf("requests failed: %v", result.Errors))
		}
	}
	return closed.Rate(), float64(open.Latency.ValueAtQuantile(99)) / 1e6, (after.CPU - before.CPU).Seconds() / took.Seconds(), err
}

// watch opens the streams and waits until each has its first message of states. end closes them, and returns how many messages
// they have read.
func (b *bench) watch(ctx context.Context, gateway *process.Gateway) (end func() int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	transport := &http.Transport{MaxConnsPerHost: b.watchers + 1}
	var messages atomic.Int64
	var streams sync.WaitGroup
	end = func() int64 {
		cancel()
		streams.Wait()
		transport.CloseIdleConnections()
		return messages.Load()
	}
	started := make(chan error, b.watchers)
	for range b.watchers {
		streams.Go(func() {
			seen := false
			err := stream(ctx, transport, gateway.AdminURL()+"/api/v1/watch?models=*&counters=*&every=1s", func() {
				messages.Add(1)
				if !seen {
					seen = true
					started <- nil
				}
			})
			if !seen {
				started <- errors.Join(err, errors.New("a stream has ended without states"))
			}
		})
	}
	for range b.watchers {
		err = errors.Join(err, <-started)
	}
	if err != nil {
		end()
	}
	return end, err
}

// stream reads a stream to its end, and calls message for each message of states.
func stream(ctx context.Context, transport http.RoundTripper, url string, message func()) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("a watcher was answered %s", resp.Status)
	}
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if bytes.HasPrefix(line, []byte("event: state")) {
			message()
		}
	}
}

// page says what was measured.
func (b *bench) page(rounds []round) string {
	var peaks, p99s, cpus [3][]float64 // without, with, and the ratio; of cpus the cost of a watcher
	var messages int64
	for _, r := range rounds {
		for i := range 2 {
			peaks[i], p99s[i], cpus[i] = append(peaks[i], r.peak[i]), append(p99s[i], 1e6*r.p99[i]), append(cpus[i], 1e3*r.cpu[i])
		}
		peaks[2], p99s[2] = append(peaks[2], r.peak[1]/r.peak[0]), append(p99s[2], r.p99[1]/r.p99[0])
		cpus[2] = append(cpus[2], 1e6*(r.cpu[1]-r.cpu[0])/float64(b.watchers))
		messages += r.messages
	}
	host := record.ThisHost()
	var w strings.Builder
	fmt.Fprintf(&w, "# Cost of open consoles for the data plane\n\n%s, %d cores of %s that gateway, load and watchers share, Linux %s, %s; `make bench-consoles`: %d rounds, each without and with %d watchers of the overview (`models=*&counters=*&every=1s`, %d models with traffic), %v for each number. Throughput in a closed loop of 16 connections, p99 in an open loop at %.0f requests/s, CPU time of the gateway's process at %d requests/s, which change all counters. Medians and ranges of the rounds:\n\n",
		host.Date, host.Cores, host.CPU, host.Kernel, host.Go, len(rounds), b.watchers, b.models, b.duration, b.rate, quietRate)
	w.WriteString("| | without | with | ratio of each round |\n|---|---|---|---|\n")
	row := func(what, verb string, columns [3][]float64) {
		fmt.Fprintf(&w, "| %s | %s | %s | %s |\n", what, record.SpreadOf(columns[0]).Text(verb), record.SpreadOf(columns[1]).Text(verb), record.SpreadOf(columns[2]).Text("%.2f"))
	}
	row("requests/s", "%.0f", peaks)
	row("p99, µs", "%.0f", p99s)
	fmt.Fprintf(&w, "| CPU, ms per s | %s | %s | %s µs per s and watcher |\n", record.SpreadOf(cpus[0]).Text("%.0f"), record.SpreadOf(cpus[1]).Text("%.0f"), record.SpreadOf(cpus[2]).Text("%.0f"))
	fmt.Fprintf(&w, "\nThe watchers have read %d messages of states.\n", messages)
	return w.String()
}
