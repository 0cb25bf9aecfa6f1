package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/peers"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// server is a contender that runs.
type server struct {
	name, version    string
	at               map[string]endpoint // by work; those that it does not do are missing
	ready            time.Duration       // from its start to its first answer; 0 if it ran already
	instances, batch int                 // runs at once and rows of a run, if known
	gateway          *process.Gateway    // nil for others
	scrapes          float64             // what asking for its metrics allocates
	maxDiff          map[string]float64
	left             map[string]string // works that it leaves out, and why
}

// endpoint is where a work is done.
type endpoint struct {
	base    string
	process *process.Server // nil if it is not ours
}

// newServer returns one that does all works at an address.
func (b *bench) newServer(name, base string, running *process.Server) *server {
	s := &server{name: name, at: map[string]endpoint{}, maxDiff: map[string]float64{}, left: map[string]string{}}
	for _, w := range b.works {
		s.at[w.name] = endpoint{base, running}
	}
	if running != nil {
		s.ready = running.Ready
	}
	return s
}

// leaveOut takes a work from a server, which says why in the results.
func (s *server) leaveOut(w work, why string) {
	delete(s.at, w.name)
	s.left[w.name] = why
}

// The cores of the pinned set-up.
const serverCore, clientCore = 0, 1

// serverCPUs are the cores that a server may use; nil are all.
func (b *bench) serverCPUs() []int {
	if b.setup == record.Pinned {
		return []int{serverCore}
	}
	return nil
}

// cores is how many cores a server has.
func (b *bench) cores() int {
	if b.setup == record.Pinned {
		return 1
	}
	return runtime.NumCPU()
}

// launch starts a server of ours on the cores of the set-up. It is stopped with the set-up.
func (b *bench) launch(ctx context.Context, spec process.Spec) (*process.Server, error) {
	spec.CPUs = b.serverCPUs()
	running, err := process.Launch(ctx, spec)
	if err == nil {
		b.started = append(b.started, running)
	}
	return running, err
}

// start starts all contenders of a set-up, checks their answers and writes down who takes
// part. The gateway is first: the no-op server answers as many bytes.
func (b *bench) start(ctx context.Context) error {
	for _, name := range b.contenders {
		var s *server
		var err error
		switch name {
		case rawName: // it is not a server
		case record.Gateway:
			s, err = b.startGateway(ctx)
		case record.Noop:
			s, err = b.startNoop(ctx)
		default:
			s, err = b.startPeer(ctx, name)
		}
		if err == nil && s != nil {
			b.servers = append(b.servers, s)
			if s.name != record.Noop {
				err = b.verify(ctx, s)
			}
			err = errors.Join(err, b.out.Add(s.line(b.setup)))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// line is what the results say of it.
func (s *server) line(setup string) record.Record {
	r := record.New("contender", "setup", setup, "contender", s.name, "version", s.version)
	r.Figures = map[string]float64{"ready_ms": float64(s.ready.Microseconds()) / 1e3, "instances": float64(s.instances), "batch_rows": float64(s.batch)}
	for work, diff := range s.maxDiff {
		r.Figures["max_diff "+work] = diff
	}
	for work, why := range s.left {
		r.Params["left_out "+work] = why
	}
	return r
}

// profileOf is the model that is watched for drift.
const profileOf = "lin"

// gatewayConfig is the gateway's file, with every feature on.
func (b *bench) gatewayConfig() string {
	var routes []string
	for _, name := range workModels(b.works) {
		routes = append(routes, fmt.Sprintf("%s: {variants: [{version: 1, weight: 100%%}], sticky: {header: %s}}", name, stickyHeader))
	}
	text := fmt.Sprintf("repository: {path: %q}\nadmin: {address: %s}\nserver: {grpc: {address: none}, http: {address: %s}, access_log: {enabled: true, sample_every: 1000}}\nroutes: {%s}\n",
		b.models, process.AdminAddress, process.HTTPAddress, strings.Join(routes, ", "))
	if b.profile != "" {
		text += fmt.Sprintf("models: {%s: {drift: {profile: %q}}}\n", profileOf, b.profile)
	}
	return text
}

func (b *bench) startGateway(ctx context.Context) (*server, error) {
	g, err := process.StartGateway(ctx, gatewayProgram, b.dir, b.gatewayConfig(), process.Ready, b.serverCPUs())
	if err != nil {
		return nil, err
	}
	b.started = append(b.started, g.Server)
	const defaultBatch = 256 // batching.max_size
	s := b.newServer(record.Gateway, g.URL(), g.Server)
	s.version, s.gateway, s.instances, s.batch = record.ThisHost().Revision, g, b.cores(), defaultBatch
	s.scrapes, err = scrapeCost(ctx, g)
	return s, err
}

// makeProfile makes the profile of rows like those that are sent.
func (b *bench) makeProfile(ctx context.Context) error {
	const rows, columns = 4000, 16
	rng := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // no secret
	var table strings.Builder
	for range rows {
		for c := range columns {
			if c > 0 {
				table.WriteByte(',')
			}
			fmt.Fprintf(&table, "%.6g", rng.NormFloat64())
		}
		table.WriteByte('\n')
	}
	b.profile = filepath.Join(b.dir, "profile.json")
	cmd := exec.CommandContext(ctx, gatewayProgram, "profile", "build", "-", "--header", "no", "--model-repository", b.models, "--model", profileOf, "-o", b.profile) //nolint:gosec // our own
	cmd.Stdin = strings.NewReader(table.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("gateway profile: %w: %s", err, out)
	}
	return nil
}

// startNoop starts a no-op server for each form of answer that the gateway gave.
func (b *bench) startNoop(ctx context.Context) (*server, error) {
	if len(b.answers) == 0 {
		return nil, errors.New("the no-op server answers as much as the gateway, which has to be a contender before it")
	}
	s := b.newServer(record.Noop, "", nil)
	started := map[string]endpoint{} // by their flags
	for _, w := range b.works {
		flags := b.answers[w.name].flags()
		key := strings.Join(flags, " ")
		if _, ok := started[key]; !ok {
			address, err := process.FreeAddress()
			if err != nil {
				return nil, err
			}
			running, err := b.launch(ctx, process.Spec{Command: append([]string{noopProgram, "-address", address}, flags...), Ready: "http://" + address + "/"})
			if err != nil {
				return nil, err
			}
			started[key], s.ready = endpoint{"http://" + address, running}, running.Ready
		}
		s.at[w.name] = started[key]
	}
	return s, nil
}

// startPeer starts a server of others, or takes part with one that runs already. Nobody
// knows on which cores that one is, so it has no part in the pinned set-up; nil says that.
func (b *bench) startPeer(ctx context.Context, name string) (*server, error) {
	chosen, err := peers.Choose(name)
	if err != nil {
		return nil, err
	}
	p := &chosen[0]
	if p.External() && b.setup == record.Pinned {
		return nil, nil //nolint:nilnil // it does not take part
	}
	var running *process.Server
	port := 0
	if !p.External() {
		address, err := process.FreeAddress()
		if err := errors.Join(err, p.Setup(ctx)); err != nil {
			return nil, err
		}
		_, text, _ := net.SplitHostPort(address)
		port, _ = strconv.Atoi(text)
		if running, err = b.launch(ctx, p.Spec(b.models, port, b.cores())); err != nil {
			return nil, err
		}
	}
	s := b.newServer(name, p.URL(port), running)
	s.version = p.Versions()
	for _, w := range b.works {
		if !p.Takes(w.binary) {
			s.leaveOut(w, "it takes no binary bodies")
		}
	}
	return s, nil
}
