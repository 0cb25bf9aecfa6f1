package main

import (
	"context"
	"fmt"
	"time"

	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// setup is a gateway as a scenario wants it.
type setup struct {
	Models []process.Version
	HTTP   string // settings of server.http besides the address, as YAML in braces has them
	Limits string // those of server.limits, in the same way
	Repo   string // those of repository besides the path
	Rest   string // whole sections
}

// one is version 1 of a model.
func one(g *onnxgen.Graph) process.Version { return process.Version{Graph: g, Number: 1} }

// gateway is one that runs.
type gateway struct{ *process.Gateway }

// start starts a gateway in a process of its own, with a repository of its own.
func (b *bench) start(ctx context.Context, s setup) (*gateway, error) {
	return b.startUntil(ctx, s, process.Ready)
}

// startUntil does so, and waits until a path answers 200.
func (b *bench) startUntil(ctx context.Context, s setup, ready string) (*gateway, error) {
	dir, err := process.Repository(b.dir, s.Models...)
	if err != nil {
		return nil, err
	}
	more := func(settings string) string {
		if settings == "" {
			return ""
		}
		return ", " + settings
	}
	text := fmt.Sprintf("repository: {path: %q%s}\nserver: {http: {address: %s%s}, grpc: {address: none}, limits: {%s}, drain_timeout: 2s}\nadmin: {address: %s}\nlog: {level: error}\n%s\n",
		dir, more(s.Repo), process.HTTPAddress, more(s.HTTP), s.Limits, process.AdminAddress, s.Rest)
	g, err := process.StartGateway(ctx, b.program, dir, text, ready, nil)
	return &gateway{g}, err
}

// with starts a gateway and stops it after f. It is an error if it ended before.
func (b *bench) with(ctx context.Context, s setup, f func(*gateway) error) error {
	g, err := b.start(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = g.Stop() }() // what was done to it may outlast the time for a stop
	if err := f(g); err != nil {
		return err
	}
	_, err = g.Usage()
	return err
}

// usage is what the gateway holds at one moment. Zero is what could not be read.
type usage struct {
	RSS                              float64 // MiB
	Threads, Descriptors, Goroutines int
}

// usage asks the kernel and, for the goroutines, the side port.
func (g *gateway) usage(ctx context.Context) usage {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	u := g.kernelUsage()
	told, _ := g.Metrics(ctx) // under attack it may not answer
	u.Goroutines = int(told.Sum("go_goroutines", ""))
	return u
}

// kernelUsage asks the kernel alone.
func (g *gateway) kernelUsage() usage {
	u, _ := g.OwnUsage()
	return usage{RSS: float64(u.RSS) / (1 << 20), Threads: u.Threads, Descriptors: u.Descriptors}
}

// cpu returns the processor time that the gateway has taken so far.
func (g *gateway) cpu() time.Duration {
	u, _ := g.OwnUsage()
	return u.CPU
}

// busy says whether one of the gateway's threads works for a good part of a moment, as none
// does for a polite caller.
func (g *gateway) busy() bool {
	const moment = 400 * time.Millisecond
	before := g.ThreadTimes(-1)
	time.Sleep(moment)
	for thread, used := range g.ThreadTimes(-1) {
		if was, ok := before[thread]; ok && used-was > moment/4 {
			return true
		}
	}
	return false
}

// watch samples the gateway until the returned func is called, which returns the most that
// was seen of each figure.
func (g *gateway) watch(ctx context.Context) (stop func() usage) {
	ctx, cancel := context.WithCancel(ctx)
	peak, done := usage{}, make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			u := g.kernelUsage()
			if i%10 == 0 {
				u = g.usage(ctx)
			}
			peak = usage{
				max(peak.RSS, u.RSS), max(peak.Threads, u.Threads), max(peak.Descriptors, u.Descriptors), max(peak.Goroutines, u.Goroutines),
			}
			sleep(ctx, 100*time.Millisecond)
		}
	}()
	return func() usage {
		cancel()
		<-done
		return peak
	}
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
