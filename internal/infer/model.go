package infer

import (
	"fmt"
	"slices"
	"strings"
)

// TensorSpec describes one input or output of a model.
type TensorSpec struct {
	Name  string
	DType DType
	Shape Shape // -1 for a dimension that varies
	// Symbols has the names of the dimensions that vary, as in the model file ("batch"). It is
	// empty for fixed and for unnamed ones, and as long as Shape.
	Symbols []string
	// Optional inputs have a default in the model and may be left out.
	Optional bool
	// Labels has the names of the classes of an output, by index along its last dimension. It
	// is empty for inputs, and if the model has none.
	Labels []string
}

// Model is the signature of one version.
type Model struct {
	Name    string
	Version int64
	Inputs  []TensorSpec
	Outputs []TensorSpec
	// NoEmpty names an operator that does not accept an input without elements, or is empty. It
	// is set before the first Check.
	NoEmpty string

	inputs, outputs map[string]int
	required        int
}

// NewModel returns a signature that is ready for Check. It keeps the slices. Names must be
// unique, as in ONNX.
func NewModel(name string, version int64, inputs, outputs []TensorSpec) *Model {
	m := &Model{
		Name: name, Version: version, Inputs: inputs, Outputs: outputs,
		inputs: make(map[string]int, len(inputs)), outputs: make(map[string]int, len(outputs)),
	}
	for i := range inputs {
		m.inputs[inputs[i].Name] = i
		if !inputs[i].Optional {
			m.required++
		}
	}
	for i := range outputs {
		m.outputs[outputs[i].Name] = i
	}
	return m
}

// Check compares a request with the signature. It sorts the inputs into the model's order and
// fills every Index, so that later code does not look up names. It allocates nothing for a
// valid request. Errors are Invalid and name the tensor; Triton's clients know their texts.
func (m *Model) Check(r *Request) error {
	given := 0 // required inputs present
	for i := range r.Inputs {
		t := &r.Inputs[i]
		index, ok := m.inputs[t.Name]
		if !ok {
			return Errorf(Invalid, "unexpected inference input '%s' for model '%s'", t.Name, m.Name)
		}
		t.Index = index
		if err := m.checkInput(t); err != nil {
			return err
		}
		if !m.Inputs[index].Optional {
			given++
		}
	}
	slices.SortFunc(r.Inputs, func(a, b Tensor) int { return a.Index - b.Index })
	for i := 1; i < len(r.Inputs); i++ {
		if r.Inputs[i].Index == r.Inputs[i-1].Index {
			return Errorf(Invalid, "input '%s' already exists in request", r.Inputs[i].Name)
		}
	}
	if given < m.required {
		return m.missingInputs(r)
	}
	return m.checkOutputs(r)
}

func (m *Model) checkInput(t *Tensor) error {
	spec := &m.Inputs[t.Index]
	if t.DType != spec.DType {
		return Errorf(Invalid, "inference input '%s' data-type is '%v', but model '%s' expects '%v'", t.Name, t.DType, m.Name, spec.DType)
	}
	ok := len(t.Shape) == len(spec.Shape)
	for i := 0; ok && i < len(t.Shape); i++ {
		ok = t.Shape[i] >= 0 && (spec.Shape[i] < 0 || t.Shape[i] == spec.Shape[i])
	}
	if !ok {
		return Errorf(Invalid, "unexpected shape for input '%s' for model '%s'. Expected %v, got %v", t.Name, m.Name, spec.Shape, t.Shape)
	}
	if m.NoEmpty != "" && slices.Contains(t.Shape, 0) && !slices.Contains(spec.Shape, 0) {
		return Errorf(Invalid, "input '%s' has shape %v, which is empty; model '%s' has operator %s, which takes no empty input", t.Name, t.Shape, m.Name, m.NoEmpty)
	}
	return t.checkData()
}

func (m *Model) missingInputs(r *Request) error {
	var missing []string
	got := make([]string, 0, len(r.Inputs))
	for i := range r.Inputs {
		got = append(got, "'"+r.Inputs[i].Name+"'")
	}
	for i := range m.Inputs {
		spec := &m.Inputs[i]
		has := slices.ContainsFunc(r.Inputs, func(t Tensor) bool { return t.Index == i })
		if !has && !spec.Optional {
			missing = append(missing, "'"+spec.Name+"'")
		}
	}
	expected := fmt.Sprintf("%d inputs", len(m.Inputs))
	if m.required < len(m.Inputs) {
		expected = fmt.Sprintf("number of inputs between %d and %d", m.required, len(m.Inputs))
	}
	return Errorf(Invalid, "expected %s but got %d inputs for model '%s'. Got input(s) [%s], but missing required input(s) [%s]",
		expected, len(r.Inputs), m.Name, strings.Join(got, ","), strings.Join(missing, ","))
}

func (m *Model) checkOutputs(r *Request) error {
	for i := range r.Outputs {
		index, ok := m.outputs[r.Outputs[i].Name]
		if !ok {
			return Errorf(Invalid, "unexpected inference output '%s' for model '%s'", r.Outputs[i].Name, m.Name)
		}
		r.Outputs[i].Index = index
		if r.Outputs[i].Classes > 0 {
			spec := &m.Outputs[index]
			if spec.DType == Bool || spec.DType == Bytes {
				return Errorf(Invalid, "class result not available for output due to unsupported type '%v'", spec.DType)
			}
			r.Outputs[i].Spec = spec
		}
		for j := range i {
			if r.Outputs[j].Index == index {
				return Errorf(Invalid, "output '%s' already exists in request", r.Outputs[i].Name)
			}
		}
	}
	return nil
}
