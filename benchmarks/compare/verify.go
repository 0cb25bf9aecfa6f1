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
	"slices"
	"strconv"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/models"
	"sluice.io/sluice/benchmarks/peers"
	"sluice.io/sluice/benchmarks/record"
)

// expect asks raw ONNX Runtime for the outputs of all works.
func (b *bench) expect(ctx context.Context) error {
	b.expected = map[string][]peers.Output{}
	for _, w := range b.o.works {
		t, err := target("", w)
		if err != nil {
			return err
		}
		input, err := tensorOf(t)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		m, _ := models.ByName(w.model) // target knew it
		shape := slices.Clone(m.Shape)
		shape[0] = int64(w.rows)
		out, err := b.command(ctx, input, b.o.rawort, "-library", b.o.library, "-verify", "-", "-model", b.modelFile(w.model), "-shape", dims(shape))
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
		if err != nil || n > len(t.Body) {
			return nil, fmt.Errorf("a header of %s bytes in a body of %d", text, len(t.Body))
		}
		return t.Body[n:], nil
	}
	var doc struct{ Inputs []struct{ Data []float32 } }
	if err := json.Unmarshal(t.Body, &doc); err != nil {
		return nil, err
	}
	if len(doc.Inputs) != 1 {
		return nil, fmt.Errorf("%d inputs, want 1", len(doc.Inputs))
	}
	return binary.Append(nil, binary.LittleEndian, doc.Inputs[0].Data)
}

// verify compares a server's answers with raw ONNX Runtime's on the same inputs.
// What a server of others cannot do, or does wrong, is left out, and the results
// say why; of the gateway it is an error.
func (b *bench) verify(ctx context.Context, s *server) error {
	for _, w := range b.o.works {
		to, ok := s.at[w.name]
		if !ok {
			continue
		}
		t, err := target(to.url, w)
		if err != nil {
			return err
		}
		diff, err := peers.Verify(ctx, t, b.expected[w.name], peers.Tolerance(w.model))
		switch {
		case err == nil:
			s.maxDiff[w.name] = diff
		case s.ours():
			return fmt.Errorf("%s: %w", w.name, err)
		default:
			fmt.Fprintf(b.log, "%s: %s leaves out %s: %v\n", b.setup, s.name, w.name, err)
			s.leaveOut(w, err)
			continue
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
	if err != nil {
		return f, err
	}
	f.size = int(n)
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		if name != "Content-Length" && name != "Connection" && name != "Date" {
			f.fields = append(f.fields, name+": "+resp.Header.Get(name))
		}
	}
	return f, nil
}
