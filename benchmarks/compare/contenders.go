package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// server is a contender that runs.
type server struct {
	name, version    string
	at               map[string]endpoint // by work; those that it does not do are missing
	ready            time.Duration       // from its start to its first answer
	instances, batch int                 // runs at once and rows of a run, where known
	gateway          *process.Gateway    // nil for others
	scrapes          told                // what asking for its metrics takes
	foreign          bool                // somebody else started it: what it uses is not known
	maxDiff          map[string]float64
	left             map[string]string
}

// endpoint is where a work is done.
type endpoint struct {
	url     string
	process *process.Server // nil if it is not ours
}

// newServer returns one that does all works, each where url says for its model.
func (b *bench) newServer(name string, url func(model string) string, running *process.Server) *server {
	s := &server{name: name, at: map[string]endpoint{}, maxDiff: map[string]float64{}, left: map[string]string{}}
	for _, w := range b.o.works {
		s.at[w.name] = endpoint{url(w.model), running}
	}
	if running != nil {
		s.ready = running.ReadyAfter()
	}
	return s
}

// ours says whether it is the gateway.
func (s *server) ours() bool { return s.name == record.Gateway || s.name == record.Plain }

// at returns where a server at an address answers V2 requests for a model.
func at(address string) func(model string) string {
	return func(model string) string { return "http://" + address + "/v2/models/" + model + "/infer" }
}

// leaveOut takes a work from a server, which says why in the results.
func (s *server) leaveOut(w work, why error) {
	delete(s.at, w.name)
	s.left[w.name] = why.Error()
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

// launch starts a server of ours on the cores of the set-up. It is stopped with
// the set-up.
func (b *bench) launch(ctx context.Context, spec process.Spec) (*process.Server, error) {
	spec.CPUs = b.serverCPUs()
	spec.Timeout = cmp.Or(spec.Timeout, patience)
	running, err := process.Launch(ctx, spec)
	if err == nil {
		b.started = append(b.started, running)
	}
	return running, err
}

// patience is how long a server may take until it is ready.
const patience = time.Minute

// stop ends what the set-up has started.
func (b *bench) stop() error {
	var err error
	for _, s := range b.started {
		err = errors.Join(err, s.Stop())
	}
	b.started, b.servers = nil, nil
	return err
}

// start starts all contenders of a set-up, checks their answers and writes down
// who takes part. The gateway is first: the no-op server answers as many bytes.
func (b *bench) start(ctx context.Context) error {
	for _, name := range b.o.contenders {
		s, err := b.startOne(ctx, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if s == nil {
			continue
		}
		b.servers = append(b.servers, s)
		if s.name != record.Noop {
			if err := b.verify(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		err = b.out.Add(s.line(b.setup))
		if err != nil {
			return err
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

// startOne returns nil for a contender that does not take part in the set-up.
func (b *bench) startOne(ctx context.Context, name string) (*server, error) {
	switch name {
	case record.Gateway, record.Plain:
		return b.startGateway(ctx, name)
	case record.Noop:
		return b.startNoop(ctx)
	case rawName:
		return nil, nil //nolint:nilnil // it is no server
	}
	return b.startPeer(ctx, name)
}
