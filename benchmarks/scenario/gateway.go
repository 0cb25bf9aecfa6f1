package scenario

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// Setup is a gateway as a scenario wants it.
type Setup struct {
	Models []process.Version
	HTTP   string // settings of server.http besides the address, as YAML in braces has them
	Limits string // those of server.limits, in the same way
	Repo   string // those of repository besides the path
	Rest   string // whole sections
	CPUs   []int  // the cores that it may use; none: all
}

// One is version 1 of a model.
func One(g *onnxgen.Graph) process.Version { return process.Version{Graph: g, Number: 1} }

// Gateway is one that runs.
type Gateway struct{ *process.Gateway }

// Start starts a gateway in a process of its own, with a repository of its own.
func (b *Bench) Start(ctx context.Context, s Setup) (*Gateway, error) {
	dir, err := process.Repository(b.Dir, s.Models...)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("repository: {path: %q%s}\nserver: {http: {address: %s%s}, limits: {%s}, drain_timeout: 2s}\nadmin: {address: %s}\nlog: {level: error}\n%s\n",
		dir, more(s.Repo), process.HTTPAddress, more(s.HTTP), s.Limits, process.AdminAddress, s.Rest)
	g, err := process.StartGateway(ctx, process.GatewaySpec{Program: b.Gateway, File: filepath.Join(dir, "sluice.yaml"), Config: text, CPUs: s.CPUs})
	return &Gateway{g}, err
}

// With starts a gateway and stops it after f. That it ended before is an error.
func (b *Bench) With(ctx context.Context, s Setup, f func(*Gateway) error) error {
	g, err := b.Start(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = g.Stop() }() // what was done to it may outlast the time for a stop
	if err := f(g); err != nil {
		return err
	}
	_, err = g.Server.Usage()
	return err
}

func more(settings string) string {
	if settings == "" {
		return ""
	}
	return ", " + settings
}

// Usage is what the gateway holds at one moment. Zero is what could not be read.
type Usage struct {
	RSS         float64 // MiB
	Threads     int
	Descriptors int
	Goroutines  int
}

// most keeps the larger of each figure.
func (u *Usage) most(o Usage) {
	u.RSS, u.Threads = max(u.RSS, o.RSS), max(u.Threads, o.Threads)
	u.Descriptors, u.Goroutines = max(u.Descriptors, o.Descriptors), max(u.Goroutines, o.Goroutines)
}

// Usage asks the kernel and, for the goroutines, the side port.
func (g *Gateway) Usage(ctx context.Context) Usage {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	u := g.KernelUsage()
	told, _ := g.Metrics(ctx) // under attack it may not answer
	u.Goroutines = int(told.Sum("go_goroutines", ""))
	return u
}

// KernelUsage asks the kernel alone.
func (g *Gateway) KernelUsage() Usage {
	u, _ := g.OwnUsage()
	return Usage{RSS: float64(u.RSS) / (1 << 20), Threads: u.Threads, Descriptors: u.Descriptors}
}

// CPU returns the processor time that the gateway has taken so far.
func (g *Gateway) CPU() time.Duration {
	u, _ := g.OwnUsage()
	return u.CPU
}

// Busy says whether one of the gateway's threads works for a good part of a
// moment, as none does for a polite caller.
func (g *Gateway) Busy() bool {
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

// Watch samples the gateway until the returned func is called, which returns the
// most that was seen of each figure.
func (g *Gateway) Watch(ctx context.Context) (stop func() Usage) {
	ctx, cancel := context.WithCancel(ctx)
	peak, done := Usage{}, make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			peak.most(g.KernelUsage())
			if i%10 == 0 {
				peak.most(g.Usage(ctx))
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() Usage {
		cancel()
		<-done
		return peak
	}
}
