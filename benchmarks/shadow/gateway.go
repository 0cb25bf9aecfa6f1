package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
)

// running is a gateway that was started for one set-up.
type running struct {
	http, admin string // addresses
	pid         int
	stop        func() error
}

// settings of the gateway. A model that hangs can be neither probed nor warmed up,
// and requests are not joined, so that each run takes the same time.
const settings = `repository: {path: %q}
server: {http: {address: %q}, drain_timeout: 2s}
admin: {address: %q}
log: {level: error}
models: {slow: {versions: [1], batching: {enabled: 'false'}, warmup: false}}
routes: {slow: {variants: [{version: 1, weight: 100%%}]%s}}
`

func (b *bench) start(s setup) (*running, error) {
	free, err := process.FreeAddresses(2)
	if err != nil {
		return nil, err
	}
	shadows := ""
	if s.shadow != 0 {
		shadows = fmt.Sprintf(", shadows: [{version: %d, sample: 100%%}]", s.shadow)
	}
	file := filepath.Join(b.dir, "sluice.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, settings, b.dir, free[0], free[1], shadows), 0o600); err != nil {
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

func (g *running) target() loadgen.Target {
	return loadgen.FP32Target("http://"+g.http, "slow", "input", []int64{1, 4}, true)
}

func (g *running) shadowStats() (api.ShadowStats, error) {
	resp, err := http.Get("http://" + g.admin + "/api/v1/routes/slow/stats")
	if err != nil {
		return api.ShadowStats{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var stats api.RouteStats
	if err := json.NewDecoder(resp.Body).Decode(&stats); err != nil {
		return api.ShadowStats{}, err
	}
	if len(stats.Shadows) != 1 {
		return api.ShadowStats{}, fmt.Errorf("status %d with %d shadows", resp.StatusCode, len(stats.Shadows))
	}
	return stats.Shadows[0], nil
}

// resident returns the bytes of memory that the gateway holds; 0 if there is no
// /proc to ask.
func (g *running) resident() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", g.pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// background returns the processor time of the gateway's threads of the lowest
// priority.
func (g *running) background() (sum time.Duration) {
	const lowest = 19
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", g.pid))
	for _, file := range files {
		if s, err := process.ReadStat(file); err == nil && s.Nice == lowest { // else it has ended
			sum += s.CPU
		}
	}
	return sum
}
