package batch

import (
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// Finding says whether requests for a model can be joined, and why.
type Finding struct {
	Batchable bool
	Reason    string // for people; it stands in the model's metadata
}

// ProbeOptions configure Probe.
type ProbeOptions struct {
	// Tolerance is how far an FP32 or FP64 output of the same row may differ from
	// one run to another, relative to its value plus 1. FP16 and BF16 may differ
	// 64 and 512 times as much, in proportion to their precision. Integers,
	// booleans and strings must be equal.
	Tolerance float64
}

const (
	probeRows   = 4 // unlike the sizes below, so that no axis is mistaken for the rows
	probeBudget = 2 * time.Second
)

// Probe finds out whether rows can be put together in one run. The signature
// must allow it: every required input and every output has a first dimension
// that varies, and where these have names it is the same one. Then rows of
// made-up data must give equal outputs alone, together, in requests of several
// rows and in another order. Slow models are probed less: after two seconds no
// further data is tried.
func Probe(slot Slot, m *infer.Model, opts ProbeOptions) Finding {
	if problem := signatureProblem(m); problem != "" {
		return Finding{Reason: problem}
	}
	p := &prober{slot: slot, tolerance: opts.Tolerance}
	deadline := time.Now().Add(probeBudget)
	tried := false
	for seed, size := range probeSizes(m) {
		if tried && time.Now().After(deadline) {
			break
		}
		rows, err := p.alone(withSize(m, size), uint64(seed))
		if err != nil {
			continue // another size may suit the model
		}
		tried = true
		if problem := oneRowEach(rows); problem != "" {
			return Finding{Reason: problem}
		}
		for _, arrangement := range arrangements() {
			if problem := p.compare(rows, arrangement); problem != "" {
				return Finding{Reason: problem}
			}
		}
	}
	if !tried {
		return Finding{Reason: "the model refuses made-up data"}
	}
	return Finding{Batchable: true, Reason: "rows give equal outputs alone, together and permuted"}
}

// signatureProblem says why a model cannot be batched whatever it computes.
func signatureProblem(m *infer.Model) string {
	if _, problem := joinedInputs(m); problem != "" {
		return problem
	}
	symbol, owner := "", ""
	check := func(kind string, s *infer.TensorSpec) string {
		if !varies(s) {
			return fmt.Sprintf("%s '%s' has no first dimension that varies", kind, s.Name)
		}
		switch name := firstSymbol(s); {
		case name == "" || name == symbol:
		case symbol == "":
			symbol, owner = name, s.Name
		default:
			return fmt.Sprintf("the first dimension of '%s' is '%s', that of '%s' is '%s'", owner, symbol, s.Name, name)
		}
		return ""
	}
	for i := range m.Inputs {
		if s := &m.Inputs[i]; !s.Optional {
			if problem := check("input", s); problem != "" {
				return problem
			}
		}
	}
	for i := range m.Outputs {
		if problem := check("output", &m.Outputs[i]); problem != "" {
			return problem
		}
	}
	return ""
}

// probeSizes are the sizes to give dimensions that vary beside the rows, one for
// each attempt. Where there are none the size does not matter.
func probeSizes(m *infer.Model) []int64 {
	for i := range m.Inputs {
		for j, d := range m.Inputs[i].Shape {
			if j > 0 && d < 0 && !m.Inputs[i].Optional {
				return []int64{1, 2, 3}
			}
		}
	}
	return []int64{1, 1}
}

// withSize returns the signature with every dimension but the rows fixed.
func withSize(m *infer.Model, size int64) *infer.Model {
	inputs := append([]infer.TensorSpec(nil), m.Inputs...)
	for i := range inputs {
		shape := append(infer.Shape(nil), inputs[i].Shape...)
		for j := range shape {
			if j > 0 && shape[j] < 0 {
				shape[j] = size
			}
		}
		inputs[i].Shape = shape
	}
	return infer.NewModel(m.Name, m.Version, inputs, m.Outputs)
}

// arrangements are ways to run rows together: each is a list of requests, each a
// list of rows.
func arrangements() [][][]int {
	return [][][]int{
		{{0}, {1}, {2}, {3}},
		{{3, 1}, {0}, {2}},
		{{2}, {1}},
	}
}

// prober runs requests on a slot that nobody else uses.
type prober struct {
	slot      Slot
	tolerance float64
}

// row is one row of made-up inputs and what it gives alone.
type row struct {
	inputs  []infer.Tensor
	outputs []infer.Tensor
}

// alone makes rows of data and runs each of them for itself.
func (p *prober) alone(m *infer.Model, seed uint64) ([]row, error) {
	rng := rand.New(rand.NewPCG(seed, 0x51)) //nolint:gosec // data that is the same at each load
	rows := make([]row, probeRows)
	for i := range rows {
		rows[i].inputs = m.Example(1, rng)
		responses, err := p.run([]*infer.Request{{Inputs: rows[i].inputs}})
		if err != nil {
			return nil, err
		}
		rows[i].outputs = responses[0].Outputs // kept: the response is not released
	}
	return rows, nil
}

// run executes one run. The responses are left to the garbage collector.
func (p *prober) run(reqs []*infer.Request) (responses []*infer.Response, err error) {
	err = protect(zap.NewNop(), "probe", func() error {
		if err := p.slot.Gather(reqs); err != nil {
			return err
		}
		if err := p.slot.Run(); err != nil {
			return err
		}
		for i := range reqs {
			resp := infer.NewResponse()
			if err := p.slot.Scatter(i, resp); err != nil {
				return err
			}
			responses = append(responses, resp)
		}
		return nil
	})
	return responses, err
}

// oneRowEach says which output of a row alone is not one row, or "".
func oneRowEach(rows []row) string {
	for i := range rows {
		for k := range rows[i].outputs {
			if out := &rows[i].outputs[k]; !hasRows(out, 1) {
				return fmt.Sprintf("output '%s' has shape %v for 1 row", out.Name, out.Shape)
			}
		}
	}
	return ""
}

func hasRows(t *infer.Tensor, n int) bool { return len(t.Shape) > 0 && t.Shape[0] == int64(n) }

// compare runs the rows in an arrangement and says which output of a row is not
// what it is alone, or "".
func (p *prober) compare(rows []row, arrangement [][]int) string {
	reqs := make([]*infer.Request, len(arrangement))
	for i, members := range arrangement {
		reqs[i] = &infer.Request{Inputs: joinRows(rows, members)}
	}
	responses, err := p.run(reqs)
	if err != nil {
		return "rows that run alone fail together"
	}
	for i, members := range arrangement {
		for k := range responses[i].Outputs {
			rest := responses[i].Outputs[k]
			if !hasRows(&rest, len(members)) {
				return fmt.Sprintf("output '%s' has shape %v for %d rows", rest.Name, rest.Shape, len(members))
			}
			for _, r := range members {
				var one infer.Tensor
				var ok bool
				one, rest, ok = cut(&rest, 1)
				if !ok || !equal(&one, &rows[r].outputs[k], p.tolerance) {
					return fmt.Sprintf("output '%s' of a row changes with the rows beside it", rest.Name)
				}
			}
		}
	}
	return ""
}

// joinRows makes the inputs of one request of several rows.
func joinRows(rows []row, members []int) []infer.Tensor {
	inputs := append([]infer.Tensor(nil), rows[members[0]].inputs...)
	for k := range inputs {
		t := &inputs[k]
		t.Shape = append(infer.Shape{int64(len(members))}, t.Shape[1:]...)
		t.Data = nil
		for _, r := range members {
			t.Data = append(t.Data, rows[r].inputs[k].Data...)
		}
	}
	return inputs
}
