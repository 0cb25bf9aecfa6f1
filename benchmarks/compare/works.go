package main

import (
	"fmt"
	"slices"
	"strings"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/models"
	"sluice.io/sluice/benchmarks/record"
)

// works lists what is asked of every contender. Those of one model stand together:
// raw ONNX Runtime runs it just before them.
func works() []record.Work {
	return []record.Work{
		work("lin", true, 64, 1), work("lin", false, 64, 1), work("lin", true, 1, 1), work("lin", true, 64, 16), work("lin", true, 64, 256),
		work("tree", true, 64, 1),
		work("mlp", true, 64, 1), work("mlp", false, 64, 1), work("mlp", true, 64, 16), work("mlp", true, 64, 256),
		work("three", true, 64, 1),
		work("cnn", true, 8, 1),
		work("big", true, 8, 1),
		work("enc", true, 8, 1), work("enc", true, 16, 1),
	}
}

func work(model string, binary bool, conns, rows int) record.Work {
	form, many := "JSON", ""
	if binary {
		form = "binary"
	}
	if rows > 1 {
		many = fmt.Sprintf(" rows=%d", rows)
	}
	return record.Work{Name: fmt.Sprintf("%s %s c=%d%s", model, form, conns, many), Model: model, Binary: binary, Conns: conns, Rows: rows}
}

// chooseWorks returns the works whose name begins with one of the given ones,
// parted by commas; all of them for "".
func chooseWorks(names string) ([]record.Work, error) {
	if names == "" {
		return works(), nil
	}
	chosen := map[string]bool{}
	for name := range strings.SplitSeq(names, ",") {
		found := false
		for _, w := range works() {
			if strings.HasPrefix(w.Name, strings.TrimSpace(name)) {
				chosen[w.Name], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("no work begins with %q; there are %s", name, strings.Join(workNames(works()), ", "))
		}
	}
	return slices.DeleteFunc(works(), func(w record.Work) bool { return !chosen[w.Name] }), nil
}

func workNames(list []record.Work) []string {
	names := make([]string, len(list))
	for i, w := range list {
		names[i] = w.Name
	}
	return names
}

// workModels returns the models of works, each once, in their order.
func workModels(list []record.Work) (names []string) {
	for _, w := range list {
		if !slices.Contains(names, w.Model) {
			names = append(names, w.Model)
		}
	}
	return names
}

// rawBatches are the batch sizes at which raw ONNX Runtime runs a model: the
// usual three and the rows of the requests.
func rawBatches(list []record.Work, model string) []int {
	batches := []int{1, 8, 32}
	for _, w := range list {
		if w.Model == model && !slices.Contains(batches, w.Rows) {
			batches = append(batches, w.Rows)
		}
	}
	slices.Sort(batches)
	return batches
}

// stickyHeader bears the key by which the gateway's routes are sticky. All
// contenders get it, so that the requests are the same bytes.
const stickyHeader, stickyKey = "X-User-Id", "u1"

// target is a work's request to a URL.
func target(url string, w record.Work) (loadgen.Target, error) {
	m, ok := models.ByName(w.Model)
	if !ok {
		return loadgen.Target{}, fmt.Errorf("there is no model %q", w.Model)
	}
	shape := slices.Clone(m.Shape)
	shape[0] = int64(w.Rows)
	t := loadgen.FP32Target("", w.Model, m.Input, shape, w.Binary)
	t.URL, t.Headers[stickyHeader] = url, stickyKey
	return t, nil
}
