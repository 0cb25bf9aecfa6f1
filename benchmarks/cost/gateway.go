package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/process"
)

// running is a gateway that was started for one point.
type running struct {
	http, admin string // addresses
	pid         int
	stop        func() error
}

// start runs the gateway as the point says, over what prepare has put into dir.
func (b *bench) start(p *point, dir string) (*running, error) {
	free, err := process.FreeAddresses(2)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "sluice.yaml")
	if err := os.WriteFile(file, []byte(p.config(dir, free[0], free[1])), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(b.gateway, "serve", "-c", file) //nolint:gosec // the operator's own binary
	if b.serverCPUs != "" {
		cmd = exec.Command("taskset", "-c", b.serverCPUs, b.gateway, "serve", "-c", file) //nolint:gosec // as above; it becomes the gateway
	}
	stop, err := process.Start(cmd, "http://"+free[0]+"/v2/health/ready")
	if err != nil {
		return nil, err
	}
	return &running{free[0], free[1], cmd.Process.Pid, stop}, nil
}

// config is the gateway's file.
func (p *point) config(dir, httpAddr, adminAddr string) string {
	access, level := "{enabled: false}", "warn"
	if p.log > 0 {
		access, level = fmt.Sprintf("{enabled: true, sample_every: %d}", p.log), "info"
	}
	text := fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: %q}, drain_timeout: 2s, access_log: %s}\nadmin: {address: %q}\nlog: {level: %s}\n%s\n%s\n",
		filepath.Join(dir, "models"), httpAddr, access, adminAddr, level, p.models, p.routes)
	return strings.ReplaceAll(text, profileFile, strconv.Quote(filepath.Join(dir, "profile.json")))
}

// counted is what the gateway has counted since its start.
type counted struct {
	requests, mallocs     float64
	runs, members         float64 // runs of models, requests that took part in them
	driftRows, driftDrops float64
}

// scrape asks for the metrics.
func (g *running) scrape() (c counted, err error) {
	resp, err := http.Get("http://" + g.admin + "/metrics")
	if err != nil {
		return c, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	return readMetrics(resp.Body)
}

// readMetrics adds up the series that are of interest. A request that was not
// answered OK is an error.
func readMetrics(in io.Reader) (c counted, err error) {
	sums := map[string]*float64{
		"sluice_requests_total": &c.requests, "go_memstats_mallocs_total": &c.mallocs,
		"sluice_runs_total": &c.runs, "sluice_run_requests_total": &c.members,
		"sluice_drift_rows_total": &c.driftRows, "sluice_drift_dropped_rows_total": &c.driftDrops,
	}
	s := bufio.NewScanner(in)
	for s.Scan() {
		name, _, _ := strings.Cut(strings.ReplaceAll(s.Text(), " ", "{"), "{")
		sum := sums[name]
		if sum == nil {
			continue
		}
		value, err := strconv.ParseFloat(s.Text()[strings.LastIndexByte(s.Text(), ' ')+1:], 64)
		if err != nil {
			return c, err
		}
		if sum == &c.requests && !strings.Contains(s.Text(), `code="ok"`) {
			return c, fmt.Errorf("not all requests were answered OK: %s", s.Text())
		}
		*sum += value
	}
	return c, s.Err()
}

// snapshot is where a gateway stands at a time.
type snapshot struct {
	counted
	cpu time.Duration
	at  time.Time
}
