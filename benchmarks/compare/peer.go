package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"sluice.io/sluice/benchmarks/peers"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// startPeer starts a server of others, or takes part with one that runs already.
// Nobody knows on which cores that one is, so it is none of the pinned set-up;
// nil says that.
func (b *bench) startPeer(ctx context.Context, name string) (*server, error) {
	chosen, err := choosePeers(b.o.peersFile, b.o.peersCache, name)
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
		if running, port, err = b.launchPeer(ctx, p); err != nil {
			return nil, err
		}
	}
	s := b.newServer(name, func(model string) string { return p.URL(model, port) }, running)
	s.foreign = p.External()
	for _, w := range b.o.works {
		if form := formOf(w); !p.Takes(form) {
			s.leaveOut(w, fmt.Errorf("it takes no %s bodies", form))
		}
	}
	versions, err := p.Versions()
	s.version = strings.Join(versions, ", ")
	return s, err
}

func (b *bench) launchPeer(ctx context.Context, p *peers.Peer) (*process.Server, int, error) {
	if err := p.Setup(ctx); err != nil {
		return nil, 0, err
	}
	free, err := process.FreeAddresses(1)
	if err != nil {
		return nil, 0, err
	}
	_, text, err := net.SplitHostPort(free[0])
	if err != nil {
		return nil, 0, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, 0, err
	}
	running, err := b.launch(ctx, p.Spec(b.models, peers.AllModels, port, b.serverCPUs()))
	return running, port, err
}

// choosePeers returns those of the file that names, with commas between them, ask for.
func choosePeers(file, cache, names string) ([]peers.Peer, error) {
	list, err := peers.Read(file, cache)
	if err != nil {
		return nil, err
	}
	return peers.Choose(list, names)
}

// allPeers returns the names of all other servers that can be measured here.
func allPeers(file, cache string) (string, error) {
	chosen, err := choosePeers(file, cache, "all")
	names := make([]string, len(chosen))
	for i := range chosen {
		names[i] = chosen[i].Name
	}
	return strings.Join(names, ","), err
}

// setUp installs the peers that were asked for.
func setUp(ctx context.Context, o options) error {
	chosen, err := choosePeers(o.peersFile, o.peersCache, o.peers)
	for i := range chosen {
		err = errors.Join(err, chosen[i].Setup(ctx))
	}
	return err
}

func formOf(w work) peers.Form {
	if w.binary {
		return peers.Binary
	}
	return peers.JSON
}
