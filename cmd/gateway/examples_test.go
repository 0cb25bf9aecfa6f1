package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sluice.io/sluice/client"
)

var (
	examplesDir       = flag.String("examples", filepath.Join("..", "..", "examples"), "the folder of the examples that TestExamples serves")
	examplesTolerance = flag.Float64("examples-tolerance", 0, "how far their answers may be from the recorded ones; 0 is what each says. The programs are then not run")
)

// example is a folder of examples: a model, and the answers of its library from the export.
type example struct {
	name      string
	Tolerance float64
	Inputs    map[string][]any // rows
	Outputs   map[string][]any // rows
	datatypes map[string]string
}

// rows returns the number of rows of the recorded answers.
func (e *example) rows() int {
	for _, rows := range e.Inputs {
		return len(rows)
	}
	return 0
}

// TestExamples serves the models in the examples and compares with the answers of the libraries
// that trained them: all rows in one request, and one by one from several callers. The programs
// beside the models must print the text in their README.md.
func TestExamples(t *testing.T) {
	examples := readExamples(t)
	data, _ := served(t, *examplesDir, "")
	c, err := client.New(client.Options{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, e := range examples {
		e.describe(t, c)
		e.check(t, c, 0, e.rows())
	}
	t.Run("callers", func(t *testing.T) {
		var wg sync.WaitGroup
		for caller := range 4 {
			wg.Go(func() {
				for i := range 20 {
					for _, e := range examples {
						row := (caller + i) % e.rows()
						e.check(t, c, row, row+1)
					}
				}
			})
		}
		wg.Wait()
	})
	t.Run("programs", func(t *testing.T) {
		if *examplesTolerance != 0 {
			t.Skip("they print what the committed models answer")
		}
		bin := t.TempDir()
		build := exec.Command("go", "build", "-o", bin+"/", "./examples/...")
		build.Dir = filepath.Join("..", "..")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, e := range examples {
			e.call(t, filepath.Join(bin, e.name), data)
		}
	})
}

func readExamples(t *testing.T) []*example {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(*examplesDir, "*", "answers.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples in %s: %v", *examplesDir, err)
	}
	var list []*example
	for _, file := range files {
		e := &example{name: filepath.Base(filepath.Dir(file))}
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, e)
		}
		if err != nil || e.rows() == 0 || len(e.Outputs) == 0 {
			t.Fatalf("%s: %v", file, err)
		}
		if *examplesTolerance != 0 {
			e.Tolerance = *examplesTolerance
		}
		list = append(list, e)
	}
	return list
}

// describe gets the datatypes of the inputs.
func (e *example) describe(t *testing.T, c *client.Client) {
	t.Helper()
	meta, err := c.ModelMetadata(t.Context(), e.name, 0)
	if err != nil {
		t.Fatal(err)
	}
	e.datatypes = map[string]string{}
	for _, in := range meta.Inputs {
		e.datatypes[in.Name] = in.Datatype
	}
}

// check sends the rows from one number to before another, and compares the answers.
func (e *example) check(t *testing.T, c *client.Client, from, to int) {
	t.Helper()
	type tensor struct {
		Name     string `json:"name"`
		Datatype string `json:"datatype,omitempty"`
		Shape    []int  `json:"shape,omitempty"`
		Data     []any  `json:"data,omitempty"`
	}
	var request struct {
		Inputs  []tensor `json:"inputs"`
		Outputs []tensor `json:"outputs"`
	}
	for name, rows := range e.Inputs {
		rows = rows[from:to]
		request.Inputs = append(request.Inputs, tensor{name, e.datatypes[name], shapeOf(rows), rows})
	}
	for name := range e.Outputs {
		request.Outputs = append(request.Outputs, tensor{Name: name})
	}
	body, err := json.Marshal(request)
	if err != nil {
		t.Error(err)
		return
	}
	prediction, err := c.InferJSON(t.Context(), e.name, 0, body)
	if err != nil {
		t.Errorf("%s: %v", e.name, err)
		return
	}
	var answer struct{ Outputs []tensor }
	if err := json.Unmarshal(prediction.Body, &answer); err != nil || len(answer.Outputs) != len(e.Outputs) {
		t.Errorf("%s: %v: %s", e.name, err, prediction.Body)
		return
	}
	for _, out := range answer.Outputs {
		if err := e.near(e.Outputs[out.Name][from:to], out.Data); err != nil {
			t.Errorf("%s, rows %d to %d, output %s: %v", e.name, from, to-1, out.Name, err)
		}
	}
}

// near returns an error with the elements of two tensors that differ by more than the tolerance,
// which is relative above 1.
func (e *example) near(want, got []any) error {
	want, got = flat(want), flat(got)
	if len(want) != len(got) {
		return fmt.Errorf("%d elements, want %d", len(got), len(want))
	}
	for i := range want {
		if w, ok := want[i].(float64); ok {
			if g, ok := got[i].(float64); ok && math.Abs(w-g) <= e.Tolerance*max(1, math.Abs(w)) {
				continue
			}
		} else if want[i] == got[i] {
			continue
		}
		return fmt.Errorf("element %d is %v, want %v", i, got[i], want[i])
	}
	return nil
}

// shapeOf returns the shape of nested lists.
func shapeOf(rows []any) []int {
	shape := []int{len(rows)}
	if inner, ok := rows[0].([]any); ok {
		shape = append(shape, shapeOf(inner)...)
	}
	return shape
}

// flat returns the elements of nested lists, row by row.
func flat(rows []any) []any {
	var list []any
	for _, row := range rows {
		if inner, ok := row.([]any); ok {
			list = append(list, flat(inner)...)
		} else {
			list = append(list, row)
		}
	}
	return list
}

// call runs the program of an example in its folder, as its README.md does.
func (e *example) call(t *testing.T, program, data string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Dir = filepath.Join(*examplesDir, e.name)
	cmd.Env = append(os.Environ(), "SLUICE_DATA="+data)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", e.name, err, out)
		return
	}
	readme, err := os.ReadFile(filepath.Join(cmd.Dir, "README.md"))
	if err != nil {
		t.Error(err)
		return
	}
	if !strings.Contains(string(readme), "```\n"+string(out)+"```\n") {
		t.Errorf("%s: its README.md does not show what the program prints:\n%s", e.name, out)
	}
}
