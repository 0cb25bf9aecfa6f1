package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"sluice.io/sluice/benchmarks/record"
)

const bracketBytes = 16 << 20

// bracketBodies are bodies of 16 MB of little but brackets, by what they are.
func bracketBodies() map[string][]byte {
	fill := func(head, unit, tail string) []byte {
		n := (bracketBytes - len(head) - len(tail)) / len(unit)
		return append(append([]byte(head), bytes.Repeat([]byte(unit), n)...), tail...)
	}
	const tensor = `{"inputs":[{"name":"input","shape":[1,16],"datatype":"FP32","data":`
	nest := string(bytes.Repeat([]byte("["), 90)) + string(bytes.Repeat([]byte("]"), 90)) + ","
	return map[string][]byte{
		"brackets alone":                    fill("", "[", ""),
		"braces and brackets":               fill("", `{"a":[`, ""),
		"nested data":                       fill(tensor, "[", ""),
		"data of empty lists":               fill(tensor+"[", "[],", "[]]}]}"),
		"an unknown member, nested":         fill(`{"x":`, "[", ""),
		"an unknown member, 90 deep, often": fill(`{"x":[`, nest, `[]],"inputs":[]}`),
		"parameters of empty lists":         fill(`{"parameters":{"x":[`, "[],", `[]]},"inputs":[]}`),
	}
}

// brackets sends them from several clients at once, one kind after the other.
func (b *bench) brackets(ctx context.Context, r *record.Record) error {
	const bracketClients = 16
	bodies := bracketBodies()
	r.Params["what"] = fmt.Sprintf("%d clients each send bodies of %d MiB that hold little but brackets, one after the other for %v, each kind in turn.",
		bracketClients, bracketBytes>>20, b.scale(2*time.Second))
	t := record.Table{Title: "Answers", Columns: []string{"body", "answers", "status and text", "p50 ms", "latest ms", "gateway's CPU ms of each"}}
	wrong := 0
	memory, err := b.beside(ctx, r, setup{}, func(ctx context.Context, o *ordeal) error {
		for _, name := range slices.Sorted(maps.Keys(bodies)) {
			o.mark("attack: " + name)
			ends := newTally()
			before := o.g.cpu()
			target := politeTarget(o.g.URL())
			target.Body, target.Headers = bodies[name], nil
			keepAsking(ctx, target, bracketClients, b.scale(2*time.Second), ends)
			cpu := o.g.cpu() - before // the polite caller's is in it
			o.mark("")                // what waits is answered before the next kind begins
			time.Sleep(b.scale(time.Second))
			for _, ending := range slices.Sorted(maps.Keys(ends.after)) {
				list := ends.after[ending]
				t.Add(name, len(list), ending, quantile(list, 0.5), quantile(list, 1), millis(cpu)/float64(ends.total))
			}
			wrong += ends.total - ends.count(http.StatusBadRequest, "")
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.Tables = append(r.Tables, t)
	r.AtMost("answers that are no 400", float64(wrong), 0, "")
	r.AtMost("most memory, as three bodies of each client", memory, 3*bracketClients*bracketBytes>>20, "MiB")
	return nil
}
