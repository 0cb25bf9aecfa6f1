package rows_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/rows"
)

const benchRows, benchColumns = 1000, 10

// wide has ten inputs of one column each. Two are strings.
func wide() *infer.Model {
	var inputs []infer.TensorSpec
	for i := range benchColumns {
		d := infer.FP32
		if i >= 8 {
			d = infer.Bytes
		}
		inputs = append(inputs, spec(fmt.Sprintf("column_%d", i), d, -1, 1))
	}
	return model(inputs...)
}

// bodies returns a frame as records and as CSV.
func bodies(b *testing.B) (records, csv []byte) {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var list []map[string]any
	var lines strings.Builder
	for i := range benchColumns {
		fmt.Fprintf(&lines, "column_%d,", i)
	}
	header := strings.TrimSuffix(lines.String(), ",") + "\n"
	lines.Reset()
	lines.WriteString(header)
	for range benchRows {
		record := map[string]any{}
		fields := make([]string, 0, benchColumns)
		for i := range benchColumns {
			var v any = float32(rng.NormFloat64())
			if i >= 8 {
				v = fmt.Sprintf("city %d", rng.IntN(100))
			}
			record[fmt.Sprintf("column_%d", i)] = v
			fields = append(fields, fmt.Sprint(v))
		}
		list = append(list, record)
		lines.WriteString(strings.Join(fields, ",") + "\n")
	}
	records, err := json.Marshal(list)
	if err != nil {
		b.Fatal(err)
	}
	return records, []byte(lines.String())
}

// BenchmarkDecode decodes 1,000 rows of ten columns.
func BenchmarkDecode(b *testing.B) {
	records, csv := bodies(b)
	o := &rows.Options{Model: wide(), Limits: limits()}
	o.Limits.MaxRows = benchRows
	f := func(name string, body []byte, decode func() (*rows.Frame, error)) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				t, err := decode()
				if err != nil {
					b.Fatal(err)
				}
				t.Release()
			}
			b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds(), "rows/s")
		})
	}
	f("form=records", records, func() (*rows.Frame, error) { return rows.DecodeJSON(records, o) })
	f("form=csv", csv, func() (*rows.Frame, error) { return rows.DecodeCSV(csv, rows.HeaderPresent, o) })
}

// BenchmarkPredictions encodes 1,000 rows of three numbers.
func BenchmarkPredictions(b *testing.B) {
	resp := infer.NewResponse()
	defer resp.Release()
	data := resp.Add("probabilities", 0, infer.FP32, infer.Shape{benchRows, 3}, benchRows*12)
	rng := rand.New(rand.NewPCG(1, 2))
	copy(data, floats(func() (list []float32) {
		for range benchRows * 3 {
			list = append(list, rng.Float32())
		}
		return list
	}()...))
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = rows.AppendPredictions(dst[:0], resp, &rows.Answer{Rows: benchRows}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds(), "rows/s")
}
