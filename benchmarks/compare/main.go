// Command compare measures the gateway beside its two limits, raw ONNX Runtime and
// a no-op HTTP server, and beside other servers: every work against every
// contender in turn, in rounds, first with client and server on the same cores and
// then with a core for each. It writes what it saw as JSON lines, which report
// renders.
//
//	go run ./compare -out results/compare.jsonl
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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

// options are what a run is asked for.
type options struct {
	gateway, noop, rawort, library string
	out, modelDir                  string
	peersFile, peersCache          string
	works                          []work
	contenders, setups             []string
	rounds                         int
	cell, raw, sweep               time.Duration
	noisyAbove                     float64
	peers                          string
	setup                          bool
}

// tritonVariable holds the address of a Triton that runs already.
const tritonVariable = "TRITON_URL"

// bench is a run. All from setup on belongs to the set-up that runs.
type bench struct {
	o                    options
	dir, models, profile string
	expected             map[string][]peers.Output // raw ONNX Runtime's, by work
	out                  *record.File
	log                  io.Writer

	setup    string
	started  []*process.Server
	servers  []*server
	answers  map[string]answerForm // the gateway's, by work
	repeated int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, o, os.Stderr)
	}
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.StringVar(&o.gateway, "gateway", "../bin/gateway", "the gateway's binary")
	f.StringVar(&o.noop, "noop", "bin/noop", "the no-op server's binary")
	f.StringVar(&o.rawort, "rawort", "bin/rawort", "the binary that runs raw ONNX Runtime")
	f.StringVar(&o.library, "library", cmp.Or(os.Getenv("SLUICE_ORT_LIBRARY"), "../.deps/onnxruntime/lib/libonnxruntime.so"), "ONNX Runtime's library")
	f.StringVar(&o.out, "out", "results/compare.jsonl", "the results; those of a former run are overwritten")
	f.StringVar(&o.modelDir, "models", "", "the folder to write the models to, for a Triton that reads them there; empty: one that is removed at the end")
	works := f.String("works", "", "what works begin with, parted by commas: lin, 'enc binary c=16'; empty: all")
	contenders := f.String("contenders", "gateway,noop,raw", "who is measured, parted by commas: gateway, gateway-plain, noop, raw")
	setups := f.String("setups", "shared,pinned", "client and server on the same cores, or a core for each")
	f.StringVar(&o.peers, "peers", "", "other servers, parted by commas, as they are named in -peers-file; or all")
	f.StringVar(&o.peersFile, "peers-file", "peers/peers.txt", "the file of other servers")
	f.BoolVar(&o.setup, "setup", false, "only install the -peers")
	f.StringVar(&o.peersCache, "peers-cache", "../.cache/peers", "the folder that they are installed into")
	f.IntVar(&o.rounds, "rounds", 5, "rounds")
	f.DurationVar(&o.cell, "d", time.Second, "how long a work runs against a contender in a round")
	f.DurationVar(&o.raw, "raw", 150*time.Millisecond, "how long raw ONNX Runtime runs a batch size in a round")
	f.DurationVar(&o.sweep, "sweep", 3*time.Second, "how long each load of a sweep is kept; 0: no sweeps")
	f.Float64Var(&o.noisyAbove, "noisy", 0.1, "how much of a core others may use before a cell is repeated")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.rounds < 1 || o.cell <= 0 || o.raw <= 0 || o.sweep < 0 {
		return o, errors.New("rounds and durations must be above 0")
	}
	var err error
	if o.works, err = chooseWorks(*works); err != nil {
		return o, err
	}
	if o.peers == "all" {
		if o.peers, err = allPeers(o.peersFile, o.peersCache); err != nil {
			return o, err
		}
	}
	o.contenders = chooseContenders(*contenders, o.peers, os.Getenv(tritonVariable) != "")
	o.setups, err = chooseSetups(*setups, runtime.NumCPU())
	return o, err
}

// chooseContenders returns the names of all who take part.
func chooseContenders(own, peers string, triton bool) []string {
	list := strings.FieldsFunc(own+","+peers, func(c rune) bool { return c == ',' || c == ' ' })
	if triton && !slices.Contains(list, record.Triton) {
		list = append(list, record.Triton)
	}
	return list
}

// chooseSetups returns set-ups in the order in which they are run: the client
// cannot get back the cores that it gave up.
func chooseSetups(names string, cores int) ([]string, error) {
	wanted := strings.Split(names, ",")
	for _, name := range wanted {
		if name != record.Shared && name != record.Pinned {
			return nil, fmt.Errorf("set-up %q; there are %s and %s", name, record.Shared, record.Pinned)
		}
	}
	var list []string
	if slices.Contains(wanted, record.Shared) || cores < 2 {
		list = append(list, record.Shared)
	}
	if slices.Contains(wanted, record.Pinned) && cores > 1 {
		list = append(list, record.Pinned)
	}
	return list, nil
}

func run(ctx context.Context, o options, log io.Writer) (err error) {
	if o.setup {
		return setUp(ctx, o)
	}
	file, err := record.Create(o.out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	b := &bench{o: o, out: file, log: log}
	if b.dir, err = os.MkdirTemp("", "sluice-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir) //nolint:errcheck // a temporary folder
	if err := b.prepare(ctx); err != nil {
		return err
	}
	for i, setup := range o.setups {
		if err := b.run(ctx, setup, i == len(o.setups)-1); err != nil {
			return fmt.Errorf("%s: %w", setup, err)
		}
	}
	return nil
}

// prepare writes the models, the profile and the results' first line.
func (b *bench) prepare(ctx context.Context) error {
	b.models = cmp.Or(b.o.modelDir, b.dir+"/models")
	var list []models.Model
	for _, name := range workModels(b.o.works) {
		m, ok := models.ByName(name)
		if !ok {
			return fmt.Errorf("there is no model %q", name)
		}
		list = append(list, m)
	}
	if err := models.Write(b.models, list...); err != nil {
		return err
	}
	if slices.Contains(workModels(b.o.works), profileOf) {
		if err := b.makeProfile(ctx); err != nil {
			return err
		}
	}
	if err := b.expect(ctx); err != nil {
		return err
	}
	about := record.New("run", "rounds", b.o.rounds, "cell_ms", b.o.cell.Milliseconds(), "raw_ms", b.o.raw.Milliseconds(), "sweep_ms", b.o.sweep.Milliseconds(),
		"setups", strings.Join(b.o.setups, ","), "contenders", strings.Join(b.o.contenders, ","), "works", strings.Join(workNames(b.o.works), ","),
		"noisy_above", b.o.noisyAbove)
	about.Host = record.ThisHost()
	about.Host.ORT = record.LibraryVersion(b.o.library)
	return b.out.Add(about)
}

// run runs a set-up. The load is swept in the last: there the client has a core
// of its own where there are two.
func (b *bench) run(ctx context.Context, setup string, last bool) (err error) {
	b.setup, b.answers, b.repeated = setup, map[string]answerForm{}, 0
	if setup == record.Pinned {
		if err := process.Pin(clientCore); err != nil {
			return err
		}
		runtime.GOMAXPROCS(1)
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.start(ctx); err != nil {
		return err
	}
	if err := b.rounds(ctx); err != nil {
		return err
	}
	if last && b.o.sweep > 0 {
		return b.sweep(ctx)
	}
	return nil
}
