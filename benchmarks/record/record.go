// Package record is the form of a comparison's raw results: JSON lines, of which
// the first says on what machine and with what settings all others were measured.
package record

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// The two set-ups.
const (
	Shared = "shared" // client and server share all cores
	Pinned = "pinned" // the server on core 0, the client on core 1
)

// The contenders that the report knows by name; peers have names of their own.
const (
	Gateway = "gateway"
	Plain   = "gateway-plain"
	Noop    = "noop"
	Triton  = "triton"
)

// Line is one line: exactly one of its fields is set.
type Line struct {
	Machine   *Machine   `json:"machine,omitempty"`
	Contender *Contender `json:"contender,omitempty"`
	Raw       *Raw       `json:"raw,omitempty"`
	Cell      *Cell      `json:"cell,omitempty"`
	Point     *Point     `json:"point,omitempty"`
}

// Machine is where and how the run was made.
type Machine struct {
	Date     string   `json:"date"` // day, UTC
	CPU      string   `json:"cpu"`
	Cores    int      `json:"cores"`
	Kernel   string   `json:"kernel"`
	MemoryMB int      `json:"memory_mb"`
	Go       string   `json:"go"`
	ORT      string   `json:"onnxruntime"`
	Revision string   `json:"gateway"` // of the repository, with "+" where files differ from it
	Settings Settings `json:"settings"`
}

// Settings are what the run was asked for.
type Settings struct {
	Rounds     int      `json:"rounds"`
	CellMS     int64    `json:"cell_ms"`
	RawMS      int64    `json:"raw_ms"`
	SweepMS    int64    `json:"sweep_ms"`
	Setups     []string `json:"setups"`
	Contenders []string `json:"contenders"`
	Works      []string `json:"works"`
	NoisyAbove float64  `json:"noisy_above"` // cores that others may use
}

// Contender is a server that took part in a set-up.
type Contender struct {
	Setup     string             `json:"setup"`
	Name      string             `json:"name"`
	Version   string             `json:"version,omitempty"`
	ReadyMS   float64            `json:"ready_ms"`           // from its start to its first answer; 0 if it ran already
	Instances int                `json:"slots,omitempty"`    // runs at the same time, if known; the key is that of recorded results
	Batch     int                `json:"batch,omitempty"`    // most rows of a run, where known
	MaxDiff   map[string]float64 `json:"max_diff,omitempty"` // to raw ONNX Runtime, by work
	Left      map[string]string  `json:"left_out,omitempty"` // why a work was not measured
}

// Raw is ONNX Runtime in a loop, without a server.
type Raw struct {
	Setup   string  `json:"setup"`
	Round   int     `json:"round"`
	Model   string  `json:"model"`
	Threads int     `json:"threads"`
	Batch   int     `json:"batch"`
	Arena   bool    `json:"arena"`
	Runs    float64 `json:"runs_per_second"` // of all threads together
	Others  float64 `json:"others"`
	Noisy   bool    `json:"noisy,omitempty"`
}

// Work is what is asked of a server.
type Work struct {
	Name   string `json:"work"`
	Model  string `json:"model"`
	Binary bool   `json:"binary"`
	Conns  int    `json:"conns"`
	Rows   int    `json:"rows"` // of a request
}

// Latency holds quantiles in microseconds.
type Latency struct {
	P50  int64 `json:"p50"`
	P99  int64 `json:"p99"`
	P999 int64 `json:"p999"`
}

// Usage is what was used meanwhile. Shares are cores: 1 is one core all the time.
type Usage struct {
	Server    float64 `json:"server"`    // the contender's share
	Client    float64 `json:"client"`    // the load generator's
	Others    float64 `json:"others"`    // everybody else's, and what the hypervisor took
	ServerUS  float64 `json:"server_us"` // the contender's CPU time for a request
	RSSMB     float64 `json:"rss_mb"`
	Threads   int     `json:"threads"`
	Generator bool    `json:"generator_bound,omitempty"` // the client, not the server, set the rate
	Noisy     bool    `json:"noisy,omitempty"`           // others used more than they may
}

// Cell is one contender at one work in one round.
type Cell struct {
	Setup     string           `json:"setup"`
	Round     int              `json:"round"`
	Contender string           `json:"contender"`
	Attempt   int              `json:"attempt"` // counted from 1; noisy ones are repeated
	Rate      float64          `json:"requests_per_second"`
	Errors    map[string]int64 `json:"errors,omitempty"` // by status; 0 for a broken connection
	Work
	Latency
	Usage
	Go *GoStats `json:"go,omitempty"`
}

// GoStats is what a gateway tells of itself.
type GoStats struct {
	Allocs float64 `json:"allocs,omitempty"`      // objects allocated for a request; 0: there were too few requests to tell
	Bytes  float64 `json:"alloc_bytes,omitempty"` // bytes allocated for a request
	GCs    float64 `json:"gcs_per_second"`        // garbage collections
	Batch  float64 `json:"batch,omitempty"`       // rows in a run, on average
}

// The kinds of sweeps.
const (
	Open  = "open"  // a rate is kept, whatever the server does
	Conns = "conns" // a number of requests is kept in flight
)

// Point is one load of a sweep.
type Point struct {
	Kind      string           `json:"kind"`
	Setup     string           `json:"setup"`
	Contender string           `json:"contender"`
	Load      float64          `json:"load,omitempty"` // open: share of the peak
	Peak      float64          `json:"peak,omitempty"` // open: requests per second of a closed loop just before
	Asked     float64          `json:"asked,omitempty"`
	Rate      float64          `json:"requests_per_second"`
	Errors    map[string]int64 `json:"errors,omitempty"`
	Work
	Latency
	Usage
}

// Writer writes lines and hands each to the file at once, so that a run that is
// broken off has left what it measured.
type Writer struct{ enc *json.Encoder }

// NewWriter returns a writer of lines to w.
func NewWriter(w io.Writer) *Writer { return &Writer{json.NewEncoder(w)} }

// Write adds a line.
func (w *Writer) Write(l Line) error { return w.enc.Encode(l) }

// Run is all that one run measured.
type Run struct {
	Machine    Machine
	Contenders []Contender
	Raw        []Raw
	Cells      []Cell
	Points     []Point
}

// ReadFile reads the results in a file.
func ReadFile(path string) (*Run, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	run, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return run, nil
}

// Read reads what a Writer wrote. A line of no known kind is an error.
func Read(r io.Reader) (*Run, error) {
	const longest = 1 << 20
	var run Run
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longest)
	for n := 1; lines.Scan(); n++ {
		var l Line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if (n == 1) != (l.Machine != nil) {
			return nil, fmt.Errorf("line %d: the first line, and no other, tells the machine", n)
		}
		if err := run.add(l); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if run.Machine.Cores == 0 {
		return nil, errors.New("no results")
	}
	return &run, nil
}

func (r *Run) add(l Line) error {
	switch {
	case l.Machine != nil:
		r.Machine = *l.Machine
	case l.Contender != nil:
		r.Contenders = append(r.Contenders, *l.Contender)
	case l.Raw != nil:
		r.Raw = append(r.Raw, *l.Raw)
	case l.Cell != nil:
		r.Cells = append(r.Cells, *l.Cell)
	case l.Point != nil:
		r.Points = append(r.Points, *l.Point)
	default:
		return errors.New("neither machine, contender, raw, cell nor point")
	}
	return nil
}
