package main

import (
	"fmt"
	"slices"
	"strings"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/models"
)

// work is what is asked of a server.
type work struct {
	name, model string
	binary      bool
	conns, rows int // in flight; of a request
}

// params are a work's, as lines of results have them.
func (w work) params() []any {
	return []any{"work", w.name, "model", w.model, "binary", w.binary, "conns", w.conns, "rows", w.rows}
}

// works lists what is asked of every contender. Those of one model stand together:
// raw ONNX Runtime runs it just before them.
func works() []work {
	return []work{
		newWork("lin", true, 64, 1), newWork("lin", false, 64, 1), newWork("lin", true, 1, 1), newWork("lin", true, 64, 16), newWork("lin", true, 64, 256),
		newWork("tree", true, 64, 1),
		newWork("mlp", true, 64, 1), newWork("mlp", false, 64, 1), newWork("mlp", true, 64, 16), newWork("mlp", true, 64, 256),
		newWork("three", true, 64, 1),
		newWork("cnn", true, 8, 1),
		newWork("big", true, 8, 1),
		newWork("enc", true, 8, 1), newWork("enc", true, 16, 1),
	}
}

// moreWorks are measured only if they are named in full: those in which servers of others
// may answer wrongly too.
func moreWorks() (list []work) {
	for _, model := range []string{"three", "tree", "big", "cnn", "enc", "encdyn"} {
		list = append(list, newWork(model, false, 8, 1))
	}
	return append(list, newWork("encdyn", true, 8, 1))
}

func newWork(model string, binary bool, conns, rows int) work {
	form, many := "JSON", ""
	if binary {
		form = "binary"
	}
	if rows > 1 {
		many = fmt.Sprintf(" rows=%d", rows)
	}
	return work{name: fmt.Sprintf("%s %s c=%d%s", model, form, conns, many), model: model, binary: binary, conns: conns, rows: rows}
}

// chooseWorks returns the works whose name begins with one of the given ones,
// parted by commas; all of them for "".
func chooseWorks(names string) ([]work, error) {
	if names == "" {
		return works(), nil
	}
	var chosen []work
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		before := len(chosen)
		for _, w := range works() {
			if strings.HasPrefix(w.name, name) {
				chosen = append(chosen, w)
			}
		}
		for _, w := range moreWorks() {
			if w.name == name {
				chosen = append(chosen, w)
			}
		}
		if len(chosen) == before {
			return nil, fmt.Errorf("no work begins with %q; there are %s", name, strings.Join(workNames(append(works(), moreWorks()...)), ", "))
		}
	}
	return slices.DeleteFunc(append(works(), moreWorks()...), func(w work) bool { return !slices.Contains(chosen, w) }), nil
}

func workNames(list []work) []string {
	names := make([]string, len(list))
	for i, w := range list {
		names[i] = w.name
	}
	return names
}

// workModels returns the models of works, each once, in their order.
func workModels(list []work) (names []string) {
	for _, w := range list {
		if !slices.Contains(names, w.model) {
			names = append(names, w.model)
		}
	}
	return names
}

// rawBatches are the batch sizes at which raw ONNX Runtime runs a model: the
// usual three and the rows of the requests.
func rawBatches(list []work, model string) []int {
	batches := []int{1, 8, 32}
	for _, w := range list {
		if w.model == model && !slices.Contains(batches, w.rows) {
			batches = append(batches, w.rows)
		}
	}
	slices.Sort(batches)
	return batches
}

// stickyHeader bears the key by which the gateway's routes are sticky. All
// contenders get it, so that the requests are the same bytes.
const stickyHeader, stickyKey = "X-User-Id", "u1"

// target is a work's request to a URL.
func target(url string, w work) (loadgen.Target, error) {
	m, ok := models.ByName(w.model)
	if !ok {
		return loadgen.Target{}, fmt.Errorf("there is no model %q", w.model)
	}
	shape := slices.Clone(m.Shape)
	shape[0] = int64(w.rows)
	t := loadgen.FP32Target("", w.model, m.Input, shape, w.binary)
	t.URL, t.Headers[stickyHeader] = url, stickyKey
	return t, nil
}
