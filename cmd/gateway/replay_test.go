//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"
)

// table is a file of numbers. Its rows are sent to a gateway again and again.
type table struct {
	names []string
	rows  [][]float32
	next  int
	rng   *rand.Rand // draws rows; nil: they come in their order
}

func readTable(t *testing.T, file string) *table {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	x := &table{names: lines[0]}
	for _, line := range lines[1:] {
		row := make([]float32, len(line))
		for i, text := range line {
			v, err := strconv.ParseFloat(text, 32)
			if err != nil {
				t.Fatal(err)
			}
			row[i] = float32(v)
		}
		x.rows = append(x.rows, row)
	}
	return x
}

func (x *table) row() []float32 {
	i := x.next
	if x.next = (i + 1) % len(x.rows); x.rng != nil {
		i = x.rng.IntN(len(x.rows))
	}
	return slices.Clone(x.rows[i])
}

// fault spoils a row; n is its number since the fault began.
type fault func(row []float32, n int)

// shifted moves a feature by a number of its standard deviations.
func (x *table) shifted(feature string, by float64) fault {
	at := slices.Index(x.names, feature)
	var sum, squares float64
	for _, row := range x.rows {
		sum += float64(row[at])
		squares += float64(row[at]) * float64(row[at])
	}
	n := float64(len(x.rows))
	sd := math.Sqrt((squares - sum*sum/n) / (n - 1))
	return func(row []float32, _ int) { row[at] += float32(by * sd) }
}

// stuck gives every row the feature's value in the first row.
func (x *table) stuck(feature string) fault {
	at := slices.Index(x.names, feature)
	var value float32
	return func(row []float32, n int) {
		if n == 0 {
			value = row[at]
		}
		row[at] = value
	}
}

// missing makes every fifth value NaN.
func (x *table) missing(feature string) fault {
	at := slices.Index(x.names, feature)
	return func(row []float32, n int) {
		if n%5 == 0 {
			row[at] = float32(math.NaN())
		}
	}
}

// requestRows is the number of rows of a request: the max at which the gateway counts every row.
const requestRows = 16

// send sends rows to a model; first is the number of the first since the fault began.
func (x *table) send(ctx context.Context, url, model string, rows, first int, spoil fault) error {
	for sent := 0; sent < rows; {
		n := min(requestRows, rows-sent)
		var data []byte
		for i := range n {
			row := x.row()
			if spoil != nil {
				spoil(row, first+sent+i)
			}
			for _, v := range row {
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
			}
		}
		if err := post(ctx, url+"/v2/models/"+model+"/infer", n, len(x.names), data); err != nil {
			return err
		}
		sent += n
	}
	return nil
}

// post sends one request in binary, since JSON has no NaN.
func post(ctx context.Context, url string, rows, columns int, data []byte) error {
	head, err := json.Marshal(map[string]any{"inputs": []any{map[string]any{
		"name": "input", "shape": []int{rows, columns}, "datatype": "FP32", "parameters": map[string]any{"binary_data_size": len(data)},
	}}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(append(slices.Clip(head), data...)))
	if err != nil {
		return err
	}
	req.Header.Set("Inference-Header-Content-Length", strconv.Itoa(len(head)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %.300s", resp.StatusCode, text)
	}
	return err
}
