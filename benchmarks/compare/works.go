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

// works lists what is asked of every contender. Those of one model stand together: raw ONNX
// Runtime runs it just before them.
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

// chooseWorks returns the works whose name begins with one of the given ones; all of them
// for none.
func chooseWorks(names []string) (chosen []work, err error) {
	for _, w := range works() {
		if len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(w.name, name) }) {
			chosen = append(chosen, w)
		}
	}
	if len(chosen) == 0 {
		err = fmt.Errorf("there is no such work; there are %s", strings.Join(workNames(works()), ", "))
	}
	return chosen, err
}

func workNames(list []work) (names []string) {
	for _, w := range list {
		names = append(names, w.name)
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

// stickyHeader bears the key by which the gateway's routes are sticky. All contenders get
// it, so that the requests are the same bytes.
const stickyHeader = "X-User-Id"

// shape is that of the work's input.
func (w work) shape() []int64 {
	shape := slices.Clone(models.ByName(w.model).Shape)
	shape[0] = int64(w.rows)
	return shape
}

// target is a work's request to a server.
func (w work) target(base string) loadgen.Target {
	t := loadgen.FP32Target(base, w.model, models.Input, w.shape(), w.binary)
	t.Headers[stickyHeader] = "u1"
	return t
}
