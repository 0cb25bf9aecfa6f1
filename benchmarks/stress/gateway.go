package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// setup is a gateway as a scenario wants it.
type setup struct {
	models []versioned
	http   string // settings of server.http besides the address, as YAML in braces has them
	limits string // those of server.limits, in the same way
	repo   string // those of repository besides the path
	rest   string // whole sections
	settle bool   // whether goroutines that an attack leaves are waited for
}

type versioned struct {
	graph   *onnxgen.Graph
	version int64
}

func one(g *onnxgen.Graph) versioned { return versioned{g, 1} }

// gateway is one that runs.
type gateway struct {
	http, admin string // addresses
	file        string // its configuration
	pid         int
	stop        func() error
}

// start starts a gateway in a process of its own, with a repository of its own.
func (b *bench) start(s setup) (*gateway, error) {
	dir, err := os.MkdirTemp(b.dir, "gateway-")
	if err != nil {
		return nil, err
	}
	for _, m := range s.models {
		if err := m.graph.Write(dir, m.version); err != nil {
			return nil, err
		}
	}
	free, err := process.FreeAddresses(2)
	if err != nil {
		return nil, err
	}
	g := &gateway{http: free[0], admin: free[1], file: filepath.Join(dir, "sluice.yaml")}
	if s.http != "" {
		s.http = ", " + s.http
	}
	if s.repo != "" {
		s.repo = ", " + s.repo
	}
	text := fmt.Sprintf("repository: {path: %q%s}\nserver: {http: {address: %q%s}, limits: {%s}, drain_timeout: 2s}\nadmin: {address: %q}\nlog: {level: error}\n%s\n",
		dir, s.repo, g.http, s.http, s.limits, g.admin, s.rest)
	if err := os.WriteFile(g.file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(b.gateway, "serve", "-c", g.file) //nolint:gosec // the operator's own binary
	if g.stop, err = process.Start(cmd, "http://"+g.http+"/v2/health/ready"); err != nil {
		return nil, err
	}
	g.pid = cmd.Process.Pid
	return g, nil
}

func (g *gateway) url() string { return "http://" + g.http }

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
func (g *gateway) usage(ctx context.Context) (u usage) {
	u = g.kernelUsage()
	u.Goroutines = int(g.metric(ctx, "go_goroutines"))
	return u
}

func (g *gateway) kernelUsage() (u usage) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.pid))
	if err != nil {
		return u
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		first, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		n, _ := strconv.Atoi(first)
		switch name {
		case "VmRSS":
			u.RSS = float64(n) / 1024
		case "Threads":
			u.Threads = n
		}
	}
	if open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.pid)); err == nil {
		u.Descriptors = len(open)
	}
	return u
}

// metric returns the value of a series of the gateway; 0 if it is missing.
func (g *gateway) metric(ctx context.Context, name string) float64 {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.admin+"/metrics", nil)
	if err != nil {
		return 0
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			v, _ := strconv.ParseFloat(rest, 64)
			return v
		}
	}
	return 0
}

// cpu returns the processor time that the gateway has taken so far.
func (g *gateway) cpu() time.Duration {
	return processorTime(fmt.Sprintf("/proc/%d/stat", g.pid))
}

// processorTime is that of a process or a thread, by the kernel's file about it.
func processorTime(file string) time.Duration {
	s, _ := process.ReadStat(file) // nothing of one that has ended
	return s.CPU
}

// busy says whether one of the gateway's threads works for a good part of a
// moment, as none does for a polite caller.
func (g *gateway) busy() bool {
	const moment = 400 * time.Millisecond
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", g.pid))
	before := map[string]time.Duration{}
	for _, file := range files {
		before[file] = processorTime(file)
	}
	time.Sleep(moment)
	for file, was := range before {
		if processorTime(file)-was > moment/4 {
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
func usages(before, peak, after usage) Table {
	t := Table{Title: "The gateway", Columns: []string{"", "RSS MiB", "threads", "goroutines", "descriptors"}}
	for _, row := range []struct {
		when string
		usage
	}{{"before", before}, {"peak", peak}, {"after", after}} {
		t.add(row.when, row.RSS, row.Threads, row.Goroutines, row.Descriptors)
	}
	return t
}
