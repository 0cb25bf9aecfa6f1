package drift

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// mostNamed is how many mismatches a message names.
const mostNamed = 20

// RowElements returns how many elements of a tensor belong to one row, and false
// where that varies. A first dimension that varies counts rows; a tensor without
// one is a row as a whole.
func RowElements(shape infer.Shape) (int64, bool) {
	if len(shape) > 0 && shape[0] < 0 {
		shape = shape[1:]
	}
	return shape.Elements()
}

// For returns what of a profile a version can be compared with: without the outputs
// where another version computed them, for two versions answer the same requests
// differently while nothing drifts.
func (p *Profile) For(version int64) *Profile {
	if p.OutputsOf == 0 || p.OutputsOf == version {
		return p
	}
	inputs := *p
	inputs.Features = slices.DeleteFunc(slices.Clone(p.Features), func(f Feature) bool { return f.Kind == KindOutput })
	return &inputs
}

// Fits reports all that keeps the profile from describing a version of a model.
func (p *Profile) Fits(m *infer.Model) error {
	p = p.For(m.Version)
	var wrong []string
	if len(p.Features) == 0 {
		wrong = append(wrong, fmt.Sprintf("it has the outputs of version %d and no inputs", p.OutputsOf))
	}
	if p.Model != "" && p.Model != m.Name {
		wrong = append(wrong, fmt.Sprintf("it is of model '%.60s'", p.Model))
	}
	if p.Version != 0 && p.Version != m.Version {
		wrong = append(wrong, fmt.Sprintf("it is of version %d", p.Version))
	}
	for i := range p.Features {
		f := &p.Features[i]
		if err := f.fits(m); err != nil {
			wrong = append(wrong, fmt.Sprintf("feature '%.60s': %v", f.Name, err))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return infer.Errorf(infer.Invalid, "the profile does not fit model '%s', version %d: %s", m.Name, m.Version, listed(wrong))
}

func (f *Feature) fits(m *infer.Model) error {
	specs := m.Inputs
	if f.Kind == KindOutput {
		specs = m.Outputs
	}
	i := slices.IndexFunc(specs, func(s infer.TensorSpec) bool { return s.Name == f.Tensor })
	if i < 0 {
		return fmt.Errorf("the model has no %s '%.60s'", f.Kind, f.Tensor)
	}
	return fitsSpec(f.Kind, &specs[i], f.Element)
}

func fitsSpec(kind string, s *infer.TensorSpec, element int) error {
	if !numeric(s.DType) {
		return fmt.Errorf("%s '%s' has datatype %v; expected numbers", kind, s.Name, s.DType)
	}
	if n, fixed := RowElements(s.Shape); fixed && int64(element) >= n {
		return fmt.Errorf("element %d of %s '%s', whose rows have %d", element, kind, s.Name, n)
	}
	return nil
}

// numeric reports whether a tensor's elements are numbers: all but strings.
func numeric(d infer.DType) bool { return d != infer.Bytes && d != infer.InvalidDType }

// listed joins texts as far as a message has room.
func listed(texts []string) string {
	text := strings.Join(texts[:min(len(texts), mostNamed)], "; ")
	if more := len(texts) - mostNamed; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// FeaturesOf says which feature of a model each column of a table is. A column is
// the tensor's element that mapping names for it ("input[3]"); else the one that it
// is named like: "input[3]", "input.3", or the bare name of a tensor with one
// element. Where no column is found by name, they stand for all elements of the
// inputs, or of inputs and outputs, in the model's order, if there are as many.
func FeaturesOf(m *infer.Model, columns []string, mapping map[string]string) ([]Feature, error) {
	if len(columns) == 0 || len(columns) > MaxFeatures {
		return nil, infer.Errorf(infer.Invalid, "%d columns of numbers; expected 1 to %d", len(columns), MaxFeatures)
	}
	var wrong []string
	for column := range mapping {
		if !slices.Contains(columns, column) {
			wrong = append(wrong, fmt.Sprintf("no column of numbers is named '%.60s'", column))
		}
	}
	slices.Sort(wrong)
	features, found := make([]Feature, len(columns)), len(mapping) > 0
	var unmatched []string
	for i, column := range columns {
		at, mapped := mapping[column]
		if !mapped {
			at = column
		}
		f, err := featureAt(m, at)
		f.Name = column
		features[i] = f
		switch {
		case err == nil:
			found = true
		case mapped:
			wrong = append(wrong, fmt.Sprintf("column '%.60s': %v", column, err))
		default:
			unmatched = append(unmatched, fmt.Sprintf("column '%.60s': %v", column, err))
		}
	}
	if !found {
		return inOrder(m, columns, unmatched)
	}
	if wrong = append(wrong, unmatched...); len(wrong) > 0 {
		return nil, infer.Errorf(infer.Invalid, "the columns do not fit model '%s': %s", m.Name, listed(wrong))
	}
	return features, distinct(features)
}

// featureAt finds a tensor's element by its name.
func featureAt(m *infer.Model, name string) (Feature, error) {
	tensor, element := name, 0
	s, kind := specOf(m, name) // first, for a tensor may be called "a.1"
	if s != nil {
		if n, fixed := RowElements(s.Shape); !fixed || n != 1 {
			return Feature{}, fmt.Errorf("%s '%s' has more than one element; name one of them, '%s[0]' for example", kind, name, name)
		}
	} else {
		tensor, element = parsePosition(name)
		if s, kind = specOf(m, tensor); s == nil {
			return Feature{}, fmt.Errorf("the model has no tensor '%.60s'", tensor)
		}
	}
	if err := fitsSpec(kind, s, element); err != nil {
		return Feature{}, err
	}
	return Feature{Kind: kind, Tensor: tensor, Element: element, Datatype: s.DType.String()}, nil
}

// parsePosition takes "input[3]" or "input.3" apart.
func parsePosition(text string) (tensor string, element int) {
	open, shut := strings.LastIndexByte(text, '['), ""
	if open > 0 && strings.HasSuffix(text, "]") {
		shut = "]"
	} else {
		open = strings.LastIndexByte(text, '.')
	}
	if open <= 0 {
		return text, 0
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(text[open+1:], shut), 10, 31)
	if err != nil {
		return text, 0
	}
	return text[:open], int(n)
}

// specOf returns a tensor of the model; an input, where an output bears its name too.
func specOf(m *infer.Model, name string) (s *infer.TensorSpec, kind string) {
	for i := range m.Inputs {
		if m.Inputs[i].Name == name {
			return &m.Inputs[i], KindInput
		}
	}
	for i := range m.Outputs {
		if m.Outputs[i].Name == name {
			return &m.Outputs[i], KindOutput
		}
	}
	return nil, ""
}

// inOrder gives the columns the elements of the model's tensors one after the other.
func inOrder(m *infer.Model, columns, unmatched []string) ([]Feature, error) {
	inputs, fixed := elements(m.Inputs, KindInput)
	outputs, fixedToo := elements(m.Outputs, KindOutput)
	features := inputs
	if len(columns) != len(inputs) {
		features, fixed = append(features, outputs...), fixed && fixedToo
	}
	if !fixed || len(features) != len(columns) {
		why := fmt.Sprintf("%d columns are neither the %d elements of its inputs nor these and the %d of its outputs", len(columns), len(inputs), len(outputs))
		if !fixed {
			why = "by order they cannot be told, since a tensor has strings or a size that varies"
		}
		return nil, infer.Errorf(infer.Invalid, "the columns do not fit model '%s': %s; by name: %s", m.Name, why, listed(unmatched))
	}
	for i := range features {
		features[i].Name = columns[i]
	}
	return features, nil
}

// elements lists the elements of all tensors, as long as they are numbers and fixed.
func elements(specs []infer.TensorSpec, kind string) (features []Feature, fixed bool) {
	for i := range specs {
		s := &specs[i]
		n, ok := RowElements(s.Shape)
		if !ok || !numeric(s.DType) || n > MaxFeatures-int64(len(features)) {
			return features, false
		}
		for element := range int(n) {
			features = append(features, Feature{Kind: kind, Tensor: s.Name, Element: element, Datatype: s.DType.String()})
		}
	}
	return features, true
}

// distinct refuses two columns for one place.
func distinct(features []Feature) error {
	at := make(map[position]string, len(features))
	for i := range features {
		f := &features[i]
		if other, ok := at[f.position()]; ok {
			return infer.Errorf(infer.Invalid, "columns '%.60s' and '%.60s' are both element %d of %s '%.60s'", other, f.Name, f.Element, f.Kind, f.Tensor)
		}
		at[f.position()] = f.Name
	}
	return nil
}

// position is a place in a model.
type position struct {
	kind, tensor string
	element      int
}

func (f *Feature) position() position { return position{f.Kind, f.Tensor, f.Element} }

// FeaturesNamed makes features of columns without a model: each column is a tensor
// of its own, or the element that a name such as "input[3]" says. Those among
// outputs are outputs, all others inputs.
func FeaturesNamed(columns, outputs []string) ([]Feature, error) {
	if len(columns) == 0 || len(columns) > MaxFeatures {
		return nil, infer.Errorf(infer.Invalid, "%d columns of numbers; expected 1 to %d", len(columns), MaxFeatures)
	}
	for _, name := range outputs {
		if !slices.Contains(columns, name) {
			return nil, infer.Errorf(infer.Invalid, "output '%.60s' is no column of numbers", name)
		}
	}
	features := make([]Feature, len(columns))
	for i, column := range columns {
		f := Feature{Name: column, Kind: KindInput, Tensor: column}
		if strings.HasSuffix(column, "]") { // and not "input.3": many tables have such names
			f.Tensor, f.Element = parsePosition(column)
		}
		if slices.Contains(outputs, column) {
			f.Kind = KindOutput
		}
		features[i] = f
	}
	return features, distinct(features)
}

// ColumnsOf says which column of a table each feature of the profile is: the one
// with the feature's name, else the one with its place in the model ("input[3]",
// "input.3"). Where none is found by name, they are taken in the profile's order,
// if there are as many.
func (p *Profile) ColumnsOf(columns []string) ([]string, error) {
	known := make(map[string]bool, len(columns))
	for _, column := range columns {
		known[column] = true
	}
	result := make([]string, len(p.Features))
	var absent []string
	for i := range p.Features {
		f := &p.Features[i]
		names := []string{f.Name, fmt.Sprintf("%s[%d]", f.Tensor, f.Element), fmt.Sprintf("%s.%d", f.Tensor, f.Element)}
		if at := slices.IndexFunc(names, func(name string) bool { return known[name] }); at >= 0 {
			result[i] = names[at]
		} else {
			absent = append(absent, "'"+f.Name+"'")
		}
	}
	switch {
	case len(absent) == 0:
		return result, nil
	case len(absent) == len(p.Features) && len(columns) == len(p.Features):
		return columns, nil
	default:
		return nil, infer.Errorf(infer.Invalid, "no column of numbers for feature %s", listed(absent))
	}
}
