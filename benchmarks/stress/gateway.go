package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// setup is a gateway as a scenario wants it.
type setup struct {
	models []process.Version
	http   string // settings of server.http besides the address, as YAML in braces has them
	limits string // those of server.limits, in the same way
	repo   string // those of repository besides the path
	rest   string // whole sections
	settle bool   // whether goroutines that an attack leaves are waited for
}

func one(g *onnxgen.Graph) process.Version { return process.Version{Graph: g, Number: 1} }

// gateway is one that runs.
type gateway struct{ *process.Gateway }

// start starts a gateway in a process of its own, with a repository of its own.
func (b *bench) start(ctx context.Context, s setup) (*gateway, error) {
	dir, err := process.Repository(b.dir, s.models...)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("repository: {path: %q%s}\nserver: {http: {address: %s%s}, limits: {%s}, drain_timeout: 2s}\nadmin: {address: %s}\nlog: {level: error}\n%s\n",
		dir, more(s.repo), process.HTTPAddress, more(s.http), s.limits, process.AdminAddress, s.rest)
	g, err := process.StartGateway(ctx, process.GatewaySpec{Program: b.gateway, File: filepath.Join(dir, "sluice.yaml"), Config: text})
	return &gateway{g}, err
}

// with starts a gateway and stops it after f.
func (b *bench) with(ctx context.Context, s setup, f func(*gateway) error) error {
	g, err := b.start(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = g.Stop() }() // an attack may outlast the time for a stop
	return f(g)
}

func more(settings string) string {
	if settings == "" {
		return ""
	}
	return ", " + settings
}

// usage is what the gateway holds at one moment. Zero is what could not be read.
type usage struct {
	RSS         float64 // MiB
	Threads     int
	Descriptors int
	Goroutines  int
}

// most keeps the larger of each figure.
func (u *usage) most(o usage) {
	u.RSS, u.Threads = max(u.RSS, o.RSS), max(u.Threads, o.Threads)
	u.Descriptors, u.Goroutines = max(u.Descriptors, o.Descriptors), max(u.Goroutines, o.Goroutines)
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

func (g *gateway) kernelUsage() usage {
	u, _ := g.OwnUsage()
	return usage{RSS: float64(u.RSS) / (1 << 20), Threads: u.Threads, Descriptors: u.Descriptors}
}

// cpu returns the processor time that the gateway has taken so far.
func (g *gateway) cpu() time.Duration {
	u, _ := g.OwnUsage()
	return u.CPU
}

// busy says whether one of the gateway's threads works for a good part of a
// moment, as none does for a polite caller.
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

// watch samples the gateway until the returned func is called, which returns the
// most that was seen of each figure.
func (g *gateway) watch(ctx context.Context) (stop func() usage) {
	ctx, cancel := context.WithCancel(ctx)
	peak, done := usage{}, make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			peak.most(g.kernelUsage())
			if i%10 == 0 {
				peak.most(g.usage(ctx))
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() usage {
		cancel()
		<-done
		return peak
	}
}

// usages is the table of what the gateway held.
func usages(before, peak, after usage) record.Table {
	t := record.Table{Title: "The gateway", Columns: []string{"", "RSS MiB", "threads", "goroutines", "descriptors"}}
	for i, u := range []usage{before, peak, after} {
		t.Add([]string{"before", "peak", "after"}[i], u.RSS, u.Threads, u.Goroutines, u.Descriptors)
	}
	return t
}
