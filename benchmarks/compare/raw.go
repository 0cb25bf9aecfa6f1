package main

import (
	"bytes"
	"context"
	"encoding/json"
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

// rawName is the contender that is not a server.
const rawName = "raw"

// rawCell runs a model in a loop without a server, with so many threads, at the usual batch
// sizes and at the rows of the requests.
func (b *bench) rawCell(ctx context.Context, round int, model string, threads int) (list record.Rows, err error) {
	batches := []int64{1, 8, 32}
	for _, w := range b.works {
		if w.model == model && !slices.Contains(batches, int64(w.rows)) {
			batches = append(batches, int64(w.rows))
		}
	}
	slices.Sort(batches)
	before, err := now()
	if err != nil {
		return nil, err
	}
	out, err := b.command(ctx, nil, rawProgram, "-library", library, "-model", b.modelFile(model), "-shape", commas(models.ByName(model).Shape),
		"-threads", strconv.Itoa(threads), "-batch", commas(batches), "-d", b.raw.String(), "-warmup", (b.raw / 10).String())
	if err != nil {
		return nil, err
	}
	after, err := now()
	if err != nil {
		return nil, err
	}
	for text := range bytes.Lines(out) {
		var l struct {
			Batch int
			Arena bool
			Runs  float64 `json:"runs_per_second"` // of all threads together
		}
		if err := json.Unmarshal(text, &l); err != nil || l.Runs <= 0 {
			return nil, fmt.Errorf("rawort printed %q: %w", text, err)
		}
		r := record.New("raw", "setup", b.setup, "round", round, "model", model, "threads", threads, "batch", l.Batch, "arena", l.Arena)
		r.Figures["runs_per_second"], r.Figures["others"] = l.Runs, others(before, after)
		if r.Figures["others"] > noisyAbove {
			r.Figures["noisy"] = 1
		}
		list = append(list, r)
	}
	return list, nil
}

func (b *bench) modelFile(name string) string {
	return filepath.Join(b.models, name, "1", "model.onnx")
}

func commas(list []int64) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]")
}

// command runs a program on the server's cores, with an input, and returns what it printed.
func (b *bench) command(ctx context.Context, input []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // our own
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
