package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// results are the lines of a file.
type results struct {
	About    aboutLine
	Measured []measurement
	Metrics  []observed
}

// aboutLine is the first: what the others were measured with.
type aboutLine struct {
	Part     string        `json:"part"`
	Date     time.Time     `json:"date"`
	Commit   string        `json:"commit"`
	Go       string        `json:"go"`
	CPU      string        `json:"cpu"`
	Cores    int           `json:"cores"`
	Kernel   string        `json:"kernel"`
	Server   string        `json:"server_cpus"` // empty: all
	Client   string        `json:"client_cpus"`
	Rounds   int           `json:"rounds"`
	Duration time.Duration `json:"duration_ns"`
}

// measurement is one round of one point.
type measurement struct {
	Part     string        `json:"part"`
	Curve    string        `json:"curve,omitempty"` // of a growth curve
	X        float64       `json:"x"`               // its place on the curve
	Set      string        `json:"set,omitempty"`   // of features
	Round    int           `json:"round"`
	Requests int64         `json:"requests"`
	Elapsed  time.Duration `json:"elapsed_ns"`
	CPU      time.Duration `json:"cpu_ns"` // of the gateway
	Mallocs  float64       `json:"mallocs"`
	Runs     int64         `json:"runs"`    // of models, without those of shadows
	Members  int64         `json:"members"` // requests that took part in them
	// Rows that the drift tap copied and that were counted, and those that it had no
	// room for.
	DriftRows  int64 `json:"drift_rows,omitempty"`
	DriftDrops int64 `json:"drift_dropped,omitempty"`
}

// observed is what recording a request costs, measured in this process.
type observed struct {
	Part        string  `json:"part"`
	What        string  `json:"what"`
	NS          float64 `json:"ns"`
	Allocations int64   `json:"allocations"`
}

// The parts, by which the lines of a file are told apart.
const (
	partRun      = "run"
	partMeasured = "measured"
	partMetrics  = "metrics"
)

// cpu is the gateway's time per request in nanoseconds.
func (m *measurement) cpu() float64         { return float64(m.CPU) / float64(m.Requests) }
func (m *measurement) allocations() float64 { return m.Mallocs / float64(m.Requests) }
func (m *measurement) rate() float64        { return float64(m.Requests) / m.Elapsed.Seconds() }

func write(file string, r *results) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	lines := append(make([]any, 0, 1+len(r.Measured)+len(r.Metrics)), r.About)
	for i := range r.Measured {
		lines = append(lines, &r.Measured[i])
	}
	for i := range r.Metrics {
		lines = append(lines, &r.Metrics[i])
	}
	for _, line := range lines {
		if err := e.Encode(line); err != nil {
			return err
		}
	}
	return os.WriteFile(file, text.Bytes(), 0o644) //nolint:gosec // to be read by all
}

func read(file string) (*results, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator's own file
	if err != nil {
		return nil, err
	}
	r := &results{}
	for line := range bytes.Lines(text) {
		if err := r.add(line); err != nil {
			return nil, fmt.Errorf("%s: %w in %.80s", file, err, line)
		}
	}
	return r, nil
}

func (r *results) add(line []byte) error {
	var kind struct {
		Part string `json:"part"`
	}
	if err := json.Unmarshal(line, &kind); err != nil {
		return err
	}
	switch kind.Part {
	case partRun:
		return json.Unmarshal(line, &r.About)
	case partMeasured:
		var m measurement
		err := json.Unmarshal(line, &m)
		r.Measured = append(r.Measured, m)
		return err
	case partMetrics:
		var o observed
		err := json.Unmarshal(line, &o)
		r.Metrics = append(r.Metrics, o)
		return err
	default:
		return fmt.Errorf("no such part: %q", kind.Part)
	}
}

func about(b *bench) aboutLine {
	return aboutLine{
		Part: partRun, Date: time.Now().UTC().Truncate(time.Second), Commit: commit(), Go: runtime.Version(),
		CPU: processor(), Cores: runtime.NumCPU(), Kernel: said("uname", "-r"),
		Server: b.serverCPUs, Client: b.clientCPUs, Rounds: b.rounds, Duration: b.duration,
	}
}

// String is the line that stands above the tables.
func (a *aboutLine) String() string {
	where := "the gateway and its client share all cores"
	if a.Server != "" {
		where = fmt.Sprintf("the gateway on core %s, its client on %s", a.Server, a.Client)
	}
	return fmt.Sprintf("%s, commit %s, %s, Linux %s, %d cores of %s; %s; %d rounds of %v.",
		a.Date.Format("2006-01-02"), a.Commit, a.Go, a.Kernel, a.Cores, a.CPU, where, a.Rounds, a.Duration)
}

// commit names what is checked out, with a plus where it was changed since.
func commit() string {
	head := said("git", "rev-parse", "--short", "HEAD")
	if said("git", "status", "--porcelain", "--untracked-files=no") != "" {
		head += "+"
	}
	return head
}

// said is what a command prints; nothing where it fails.
func said(name string, args ...string) string {
	text, _ := exec.Command(name, args...).Output()
	return strings.TrimSpace(string(text))
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, " \t\n:")
		}
	}
	return runtime.GOARCH
}
