package drift

import (
	"fmt"
	"slices"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// mostNamed is the max number of mismatches in a message.
const mostNamed = 20

// RowElements returns the number of a tensor's elements in one row, and false if it is variable. A
// free first dimension counts rows. A tensor without one is one row.
func RowElements(shape infer.Shape) (int64, bool) {
	if len(shape) > 0 && shape[0] < 0 {
		shape = shape[1:]
	}
	return shape.Elements()
}

// For returns the part of a profile that a version can be compared with. It leaves out outputs that
// another version computed, since two versions give different answers to the same requests even
// without drift.
func (p *Profile) For(version int64) *Profile {
	if p.OutputsOf == 0 || p.OutputsOf == version {
		return p
	}
	inputs := *p
	inputs.Features = nil
	inputs.Vectors = slices.DeleteFunc(slices.Clone(p.Vectors), func(v Vector) bool { return v.Kind == KindOutput })
	places := make([]int, len(p.Features))
	for i := range p.Features {
		if places[i] = -1; p.Features[i].Kind != KindOutput {
			places[i] = len(inputs.Features)
			inputs.Features = append(inputs.Features, p.Features[i])
		}
	}
	inputs.Pairs = p.Pairs.only(func(i int) int { return places[i] })
	inputs.Segments = p.segmentsOnly(func(i int) bool { return places[i] >= 0 })
	return &inputs
}

// Fits returns an error with all mismatches between the profile and a version of a model.
func (p *Profile) Fits(m *infer.Model) error {
	p = p.For(m.Version)
	var wrong []string
	if len(p.Features) == 0 {
		wrong = append(wrong, fmt.Sprintf("it has the outputs of version %d but no inputs", p.OutputsOf))
	}
	if p.Model != "" && p.Model != m.Name {
		wrong = append(wrong, fmt.Sprintf("it is for model '%.60s'", p.Model))
	}
	if p.Version != 0 && p.Version != m.Version {
		wrong = append(wrong, fmt.Sprintf("it is for version %d", p.Version))
	}
	for i := range p.Features {
		f := &p.Features[i]
		if err := f.fits(m); err != nil {
			wrong = append(wrong, fmt.Sprintf("feature '%.60s': %v", f.Name, err))
		}
	}
	for i := range p.Vectors {
		if err := p.Vectors[i].fits(m); err != nil {
			wrong = append(wrong, fmt.Sprintf("vector '%.60s': %v", p.Vectors[i].Name, err))
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
	if f.OfText() && specs[i].DType != infer.Bytes {
		return fmt.Errorf("%s '%s' has datatype %v; expected texts", f.Kind, f.Tensor, specs[i].DType)
	}
	if !f.OfText() && !numeric(specs[i].DType) {
		return fmt.Errorf("%s '%s' has datatype %v; expected numbers", f.Kind, f.Tensor, specs[i].DType)
	}
	return fitsSpec(f.Kind, &specs[i], f.Element)
}

func fitsSpec(kind string, s *infer.TensorSpec, element int) error {
	if s.DType == infer.InvalidDType {
		return fmt.Errorf("%s '%s' has datatype %v; expected numbers or texts", kind, s.Name, s.DType)
	}
	if n, fixed := RowElements(s.Shape); fixed && int64(element) >= n {
		return fmt.Errorf("element %d of %s '%s' does not exist: its rows have %d", element, kind, s.Name, n)
	}
	return nil
}

// numeric reports whether a tensor's elements are numbers, which is true for all but strings.
func numeric(d infer.DType) bool { return d != infer.Bytes && d != infer.InvalidDType }

// listed joins texts, up to the max number in a message.
func listed(texts []string) string {
	text := strings.Join(texts[:min(len(texts), mostNamed)], "; ")
	if more := len(texts) - mostNamed; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// elements lists the elements of all tensors. fixed is false if one is not of fixed size.
func elements(specs []infer.TensorSpec, kind string) (features []Feature, fixed bool) {
	for i := range specs {
		s := &specs[i]
		n, ok := RowElements(s.Shape)
		if !ok || s.DType == infer.InvalidDType || n > MaxFeatures-int64(len(features)) {
			return features, false
		}
		for element := range int(n) {
			features = append(features, Feature{Kind: kind, Tensor: s.Name, Element: element, Datatype: s.DType.String()})
		}
	}
	return features, true
}

// distinct returns an error if two columns have the same place.
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

// position is a place in a model, and what is measured of it.
type position struct {
	kind, tensor string
	element      int
	measure      string
}

func (f *Feature) position() position { return position{f.Kind, f.Tensor, f.Element, f.Measure} }

// NameColumns makes features of columns without a model: each column is its own tensor, or the
// element in a name such as "input[3]". Columns in Outputs are outputs, targets are left out, and
// all others are inputs.
func NameColumns(columns []string, o ColumnOptions) (*ColumnMap, error) {
	if len(columns) == 0 || len(columns) > MaxFeatures {
		return nil, infer.Errorf(infer.Invalid, "%d columns; expected 1 to %d", len(columns), MaxFeatures)
	}
	for _, name := range o.Outputs {
		if !slices.Contains(columns, name) {
			return nil, infer.Errorf(infer.Invalid, "output '%.60s' is not a column", name)
		}
	}
	m := &ColumnMap{}
	for _, column := range columns {
		if slices.Contains(o.Targets, column) {
			m.Columns = append(m.Columns, ColumnUse{Column: column, How: "left out: the target"})
			continue
		}
		f := Feature{Name: column, Kind: KindInput, Tensor: column}
		if _, text := o.Texts[column]; text {
			f.Measure = MeasureText
		}
		if strings.HasSuffix(column, "]") { // not "input.3", since many tables have such names
			f.Tensor, f.Element = parsePosition(column)
		}
		how := "an input: there is no model to match"
		if slices.Contains(o.Outputs, column) {
			f.Kind, how = KindOutput, "as given"
		}
		m.Columns = append(m.Columns, ColumnUse{Column: column, Feature: &f, How: how})
	}
	features, _ := m.Features()
	if len(features) == 0 {
		return nil, infer.Errorf(infer.Invalid, "every column is a target; expected at least one that is a feature")
	}
	return m, distinct(features)
}
