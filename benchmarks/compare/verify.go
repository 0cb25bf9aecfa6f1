package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/peers"
	"sluice.io/sluice/benchmarks/record"
)

// expect asks raw ONNX Runtime for the outputs of all works.
func (b *bench) expect(ctx context.Context) error {
	b.expected = map[string][]peers.Output{}
	for _, w := range b.works {
		input, err := tensorOf(w.target(""))
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		out, err := b.command(ctx, input, rawProgram, "-library", library, "-verify", "-model", b.modelFile(w.model), "-shape", commas(w.shape()))
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		var answer struct{ Outputs []peers.Output }
		if err := json.Unmarshal(out, &answer); err != nil || len(answer.Outputs) == 0 {
			return fmt.Errorf("%s: rawort printed %.200q: %w", w.name, out, cmp.Or(err, errors.New("no outputs")))
		}
		b.expected[w.name] = answer.Outputs
	}
	return nil
}

// tensorOf returns the input in a request's body as little-endian FP32.
func tensorOf(t loadgen.Target) ([]byte, error) {
	if text := t.Headers["Inference-Header-Content-Length"]; text != "" {
		n, err := strconv.Atoi(text)
		return t.Body[n:], err
	}
	var doc struct{ Inputs []struct{ Data []float32 } }
	if err := json.Unmarshal(t.Body, &doc); err != nil {
		return nil, err
	}
	return binary.Append(nil, binary.LittleEndian, doc.Inputs[0].Data)
}

// verify compares a server's answers with raw ONNX Runtime's on the same inputs. What a
// server of others cannot do, or does wrong, is left out, and the results say why; of the
// gateway it is an error.
func (b *bench) verify(ctx context.Context, s *server) error {
	for _, w := range b.works {
		to, ok := s.at[w.name]
		if !ok {
			continue
		}
		t := w.target(to.base)
		diff, err := peers.Verify(ctx, t, b.expected[w.name], peers.Tolerance(w.model))
		switch {
		case err == nil:
			s.maxDiff[w.name] = diff
		case s.gateway != nil:
			return fmt.Errorf("%s: %w", w.name, err)
		default:
			fmt.Fprintf(os.Stderr, "%s: %s leaves out %s: %v\n", b.setup, s.name, w.name, err)
			s.leaveOut(w, err.Error())
		}
		if s.name == record.Gateway {
			if b.answers[w.name], err = formOfAnswer(ctx, t); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	return nil
}

// answerForm is all of an answer but its content.
type answerForm struct {
	size   int      // of the body
	fields []string // "Name: value", without those that every server sets itself
}

// formOfAnswer asks for it.
func formOfAnswer(ctx context.Context, t loadgen.Target) (f answerForm, err error) {
	resp, err := t.Ask(ctx)
	if err != nil {
		return f, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	n, err := io.Copy(io.Discard, resp.Body)
	f.size = int(n)
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		if name != "Content-Length" && name != "Connection" && name != "Date" {
			f.fields = append(f.fields, name+": "+resp.Header.Get(name))
		}
	}
	return f, err
}

// flags have the no-op server answer like that. Of the request's id only the length matters:
// it is another one in each answer.
func (f answerForm) flags() []string {
	const id = "X-Request-Id: "
	flags := []string{"-size", strconv.Itoa(f.size)}
	for _, field := range f.fields {
		if value, ok := strings.CutPrefix(field, id); ok {
			field = id + strings.Repeat("0", len(value))
		}
		flags = append(flags, "-header", field)
	}
	return flags
}
