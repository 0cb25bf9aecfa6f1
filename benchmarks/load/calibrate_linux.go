package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
)

// enough is how many times what a no-op server can do the generator must be able
// to do, so that it is not what is measured.
const enough = 1.2

// calibration is what -calibrate finds.
type calibration struct {
	PerSecond float64 `json:"requests_per_second"` // the two together
	// The share of a core that each used, and what each could do with a whole one.
	GeneratorCore float64 `json:"generator_core"`
	ServerCore    float64 `json:"noop_core"`
	Generator     float64 `json:"generator_ceiling"`
	Server        float64 `json:"noop_ceiling"`
	Ratio         float64 `json:"ratio"`
	Enough        bool    `json:"enough"` // at least 1.2
}

// calibrate runs this program twice, as a no-op server on one core and as a closed
// loop on another, and compares the processor time that a request costs each. The
// comparison holds even where neither could use the whole of its core.
func calibrate(ctx context.Context, o *options, out io.Writer) error {
	var usable unix.CPUSet
	if err := unix.SchedGetaffinity(0, &usable); err != nil {
		return err
	}
	var cpus []int
	for cpu := range len(usable) * 64 {
		if usable.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	if len(cpus) < 2 {
		return errors.New("-calibrate needs two cores: one for the generator, one for the no-op server")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	server := exec.CommandContext(ctx, self, noopArg) //nolint:gosec // this program
	alive, err := server.StdinPipe()
	if err != nil {
		return err
	}
	said, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := process.StartOn(server, cpus[0]); err != nil {
		return err
	}
	defer func() {
		_ = alive.Close() // it ends
		_ = server.Wait()
	}()
	address, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the no-op server: %w", err)
	}
	c, err := o.against(ctx, self, strings.TrimSpace(address), server.Process.Pid, cpus[len(cpus)-1])
	if err != nil {
		return err
	}
	return c.write(out, o.output)
}

// against runs a closed loop on a core of its own.
func (o *options) against(ctx context.Context, self, address string, pid, cpu int) (*calibration, error) {
	file, err := os.CreateTemp("", "sluice-load-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // a temporary file
	_, err = file.Write(loadgen.FP32Target("", "noop", "input", []int64{1, 16}, true).Body)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	var said strings.Builder
	client := exec.CommandContext(ctx, self, "-url", "http://"+address+"/v2/models/noop/infer", "-body", file.Name(), //nolint:gosec // this program
		"-c", strconv.Itoa(o.p.Conns), "-threads", "1", "-warmup", "0s", "-d", o.p.Duration.String(), "-o", "json")
	client.Stdout, client.Stderr = &said, os.Stderr
	stat := fmt.Sprintf("/proc/%d/stat", pid)
	before, err := process.ReadStat(stat)
	if err != nil {
		return nil, err
	}
	if err := process.StartOn(client, cpu); err != nil {
		return nil, err
	}
	if err := client.Wait(); err != nil {
		return nil, err
	}
	after, err := process.ReadStat(stat)
	if err != nil {
		return nil, err
	}
	var r report
	if err := json.Unmarshal([]byte(said.String()), &r); err != nil {
		return nil, err
	}
	c := &calibration{PerSecond: r.PerSecond, GeneratorCore: r.ClientBusy, ServerCore: (after.CPU - before.CPU).Seconds() / r.ElapsedS}
	if c.PerSecond == 0 || c.GeneratorCore == 0 || c.ServerCore == 0 {
		return nil, errors.New("the no-op server or the generator had no core: the machine is too busy, or -d too short")
	}
	c.Generator, c.Server = c.PerSecond/c.GeneratorCore, c.PerSecond/c.ServerCore
	c.Ratio = c.Generator / c.Server
	c.Enough = c.Ratio >= enough
	return c, nil
}

func (c *calibration) write(out io.Writer, form string) error {
	if form == "json" {
		return json.NewEncoder(out).Encode(c)
	}
	verdict := "enough"
	if !c.Enough {
		verdict = "too little: measure tiny models with more cores for the generator than for the server"
	}
	fmt.Fprintf(out, "%.0f requests/s; the generator used %.0f %% of its core, the no-op server %.0f %% of its own\n",
		c.PerSecond, 100*c.GeneratorCore, 100*c.ServerCore)
	fmt.Fprintf(out, "a core is worth %.0f requests/s to the generator and %.0f to the no-op server: %.2f times as many (want %.1f): %s\n",
		c.Generator, c.Server, c.Ratio, enough, verdict)
	return nil
}
