// Command compare measures the gateway beside its two limits, raw ONNX Runtime and a no-op
// HTTP server, and beside other servers: every work against every contender in turn, in
// rounds, first with client and server on the same cores and then with a core for each. It
// writes what it saw as JSON lines, which report renders.
//
//	go run ./compare -out results/compare.jsonl
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"sluice.io/sluice/benchmarks/models"
	"sluice.io/sluice/benchmarks/peers"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// The programs that are run.
const (
	gatewayProgram = "../bin/gateway"
	noopProgram    = "bin/noop"
	rawProgram     = "bin/rawort"
	library        = "../.deps/onnxruntime/lib/libonnxruntime.so"
)

// noisyAbove is how much of a core others may use before a cell is repeated.
const noisyAbove = 0.1

// bench is a run. All from setup on belongs to the set-up that runs.
type bench struct {
	works                []work
	contenders           []string
	rounds               int
	cell, raw, sweep     time.Duration // how long each is measured
	dir, models, profile string
	expected             map[string][]peers.Output // raw ONNX Runtime's, by work
	out                  *record.File

	setup    string
	started  []*process.Server
	servers  []*server
	answers  map[string]answerForm // the gateway's, by work
	repeated int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1) //nolint:gocritic // the process ends: nothing is left to undo
	}
}

func run(ctx context.Context) error {
	var b bench
	out := flag.String("out", "results/compare.jsonl", "the results; those of a former run are overwritten")
	works := flag.String("works", "", "what works begin with, with commas between them: lin, 'enc binary c=16'; empty: all")
	contenders := flag.String("contenders", "gateway,noop,raw", "who is measured, with commas between them: gateway, noop, raw")
	others := flag.String("peers", "", "other servers, with commas between them; or all")
	setups := flag.String("setups", "shared,pinned", "client and server on the same cores, or a core for each")
	install := flag.Bool("setup", false, "only install the -peers")
	flag.StringVar(&b.models, "models", "", "the folder to write the models to, for a Triton that reads them there; empty: one that is removed at the end")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds")
	flag.DurationVar(&b.cell, "d", time.Second, "how long a work runs against a contender in a round")
	flag.DurationVar(&b.raw, "raw", 150*time.Millisecond, "how long raw ONNX Runtime runs a batch size in a round")
	flag.DurationVar(&b.sweep, "sweep", 3*time.Second, "how long each load of a sweep is kept; 0: no sweeps")
	flag.Parse()
	names := parts(*others)
	if os.Getenv(peers.TritonVariable) != "" && !slices.Contains(names, record.Triton) && !slices.Contains(names, "all") {
		names = append(names, record.Triton)
	}
	chosen, err := peers.Choose(names...)
	if err != nil {
		return err
	}
	if *install {
		for i := range chosen {
			err = errors.Join(err, chosen[i].Setup(ctx))
		}
		return err
	}
	b.contenders = parts(*contenders)
	for i := range chosen {
		b.contenders = append(b.contenders, chosen[i].Name)
	}
	if b.works, err = chooseWorks(parts(*works)); err != nil {
		return err
	}
	if b.out, err = record.Create(*out); err != nil {
		return err
	}
	return errors.Join(b.runAll(ctx, *setups), b.out.Close())
}

func parts(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == ',' })
}

// runAll runs the set-ups. The client cannot get back the cores that it gave up, so pinned
// is the last; with one core there is only the first.
func (b *bench) runAll(ctx context.Context, wanted string) (err error) {
	if b.dir, err = os.MkdirTemp("", "sluice-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir) //nolint:errcheck // a temporary folder
	var setups []string
	if runtime.NumCPU() < 2 || strings.Contains(wanted, record.Shared) {
		setups = append(setups, record.Shared)
	}
	if runtime.NumCPU() > 1 && strings.Contains(wanted, record.Pinned) {
		setups = append(setups, record.Pinned)
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	about := record.New("run", "rounds", b.rounds, "cell_ms", b.cell.Milliseconds(), "raw_ms", b.raw.Milliseconds(), "sweep_ms", b.sweep.Milliseconds(),
		"setups", strings.Join(setups, ","), "contenders", strings.Join(b.contenders, ","), "works", strings.Join(workNames(b.works), ","), "noisy_above", noisyAbove)
	about.Host = record.ThisHost()
	about.Host.ORT = record.LibraryVersion(library)
	if err := b.out.Add(about); err != nil {
		return err
	}
	for i, setup := range setups {
		if err := b.runSetup(ctx, setup, i == len(setups)-1); err != nil {
			return fmt.Errorf("%s: %w", setup, err)
		}
	}
	return nil
}

// prepare writes the models and the profile, and asks raw ONNX Runtime for all outputs.
func (b *bench) prepare(ctx context.Context) error {
	b.models = cmp.Or(b.models, b.dir+"/models")
	for _, name := range workModels(b.works) {
		if err := models.ByName(name).Graph().Write(b.models, 1); err != nil {
			return err
		}
	}
	if slices.Contains(workModels(b.works), profileOf) {
		if err := b.makeProfile(ctx); err != nil {
			return err
		}
	}
	return b.expect(ctx)
}

// runSetup runs a set-up. The load is swept in the last: there the client has a core of its
// own if there are two.
func (b *bench) runSetup(ctx context.Context, setup string, last bool) (err error) {
	b.setup, b.answers, b.repeated = setup, map[string]answerForm{}, 0
	if setup == record.Pinned {
		if err := process.Pin(clientCore); err != nil {
			return err
		}
		runtime.GOMAXPROCS(1)
	}
	defer func() {
		for _, s := range b.started {
			err = errors.Join(err, s.Stop())
		}
		b.started, b.servers = nil, nil
	}()
	if err := b.start(ctx); err != nil {
		return err
	}
	for round := range b.rounds + 1 {
		fmt.Fprintf(os.Stderr, "%s: round %d of %d\n", setup, round, b.rounds)
		if err := b.round(ctx, round); err != nil {
			return err
		}
	}
	if last && b.sweep > 0 {
		return b.sweepAll(ctx)
	}
	return nil
}
