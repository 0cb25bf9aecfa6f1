package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sluice.io/sluice/benchmarks/models"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// rawName is the contender that is no server.
const rawName = "raw"

// raw runs a model in a loop without a server, with one thread and, where there
// are more cores, with one for each of two.
func (b *bench) raw(ctx context.Context, round int, model string) error {
	if !slices.Contains(b.o.contenders, rawName) {
		return nil
	}
	m, ok := models.ByName(model)
	if !ok {
		return fmt.Errorf("there is no model %q", model)
	}
	for threads := 1; threads <= min(2, b.cores()); threads++ {
		if err := b.rawCell(ctx, round, m, threads); err != nil {
			return err
		}
	}
	return nil
}

// rawCell runs all batch sizes with so many threads, and again while others disturb
// them.
func (b *bench) rawCell(ctx context.Context, round int, m models.Model, threads int) error {
	for attempt := 1; ; attempt++ {
		before, err := now()
		if err != nil {
			return err
		}
		lines, err := b.runRaw(ctx, m, threads, rawBatches(b.o.works, m.Name))
		if err != nil {
			return err
		}
		after, err := now()
		if err != nil || round == 0 {
			return err
		}
		busy := others(before, after)
		noisy := busy > b.o.noisyAbove
		for _, l := range lines {
			l.Params["setup"], l.Params["round"], l.Figures["others"] = b.setup, strconv.Itoa(round), busy
			if noisy {
				l.Figures["noisy"] = 1
			}
			if err := b.out.Add(l); err != nil {
				return err
			}
		}
		if !noisy || attempt > maxRepeats || !b.mayRepeat() {
			return nil
		}
	}
}

func (b *bench) modelFile(name string) string {
	return filepath.Join(b.models, name, "1", "model.onnx")
}

func dims(shape []int64) string {
	text := make([]string, len(shape))
	for i, d := range shape {
		text[i] = strconv.FormatInt(d, 10)
	}
	return strings.Join(text, ",")
}

func (b *bench) runRaw(ctx context.Context, m models.Model, threads int, batches []int) (record.Rows, error) {
	sizes := make([]int64, len(batches))
	for i, n := range batches {
		sizes[i] = int64(n)
	}
	const warm = 10 // that much of the time before it is counted
	out, err := b.command(ctx, nil, b.o.rawort, "-library", b.o.library, "-model", b.modelFile(m.Name), "-shape", dims(m.Shape),
		"-threads", strconv.Itoa(threads), "-batch", dims(sizes), "-d", b.o.raw.String(), "-warmup", (b.o.raw / warm).String(), "-arena", "both")
	if err != nil {
		return nil, err
	}
	return parseRaw(out, m.Name)
}

// parseRaw reads what rawort printed.
func parseRaw(out []byte, model string) (list record.Rows, err error) {
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var l struct {
			Threads int
			Batch   int
			Arena   bool
			Runs    float64 `json:"runs_per_second"` // of all threads together
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("rawort printed %q: %w", lines.Text(), err)
		}
		if l.Runs <= 0 || l.Batch < 1 || l.Threads < 1 {
			return nil, fmt.Errorf("rawort printed %q", lines.Text())
		}
		r := record.New("raw", "model", model, "threads", l.Threads, "batch", l.Batch, "arena", l.Arena)
		r.Figures["runs_per_second"] = l.Runs
		list = append(list, r)
	}
	if len(list) == 0 {
		return nil, errors.New("rawort printed nothing")
	}
	return list, nil
}

// command runs a program on the server's cores, with an input, and returns what it
// printed.
func (b *bench) command(ctx context.Context, input []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // the operator's own binary
	cmd.Stdin = bytes.NewReader(input)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := process.StartOn(cmd, b.serverCPUs()...)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", name, err, said.String())
	}
	return out.Bytes(), nil
}
