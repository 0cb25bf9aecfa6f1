package drift

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// ColumnOptions say what a caller knows of a table's columns.
type ColumnOptions struct {
	// Places are the places of columns in the model, "input[3]".
	Places map[string]string
	// Outputs are the columns with the model's outputs: COLUMN, or COLUMN=PLACE. One without a
	// place is the output of its name, or the model's only one.
	Outputs []string
	// Targets are columns to leave out: what the model was trained to answer is not what it does
	// answer.
	Targets []string
}

// ColumnMap says what becomes of each column of a table.
type ColumnMap struct {
	Columns  []ColumnUse
	Warnings []string
}

// ColumnUse says which feature a column is, or why it is none.
type ColumnUse struct {
	Column  string
	Feature *Feature // nil: the column is left out
	How     string   // "by name", or why it is left out
}

// Features returns the features, and the columns they come from.
func (m *ColumnMap) Features() (features []Feature, columns []string) {
	for i := range m.Columns {
		if c := &m.Columns[i]; c.Feature != nil {
			features, columns = append(features, *c.Feature), append(columns, c.Column)
		}
	}
	return features, columns
}

// MapColumns says which element of a model's tensors each column of a table is. That is
// what options say, or else the name: "input[3]", "input.3", or the bare name of a tensor with
// one element. Columns of other names are left out. If no column is an input by its name,
// those that are left stand for the elements of the inputs, in the model's order, if there
// are as many, and a warning says so. Outputs are never taken by order: they would be what
// happens to stand last, mostly the target.
func MapColumns(m *infer.Model, columns []string, o ColumnOptions) (*ColumnMap, error) {
	t := columnMapper{model: m, options: o, columns: columns, outputs: map[string]string{}}
	if err := t.check(); err != nil {
		return nil, err
	}
	for _, column := range columns {
		t.add(column)
	}
	if !slices.ContainsFunc(t.result.Columns, func(c ColumnUse) bool { return c.Feature != nil && c.Feature.Kind == KindInput }) {
		if err := t.inOrder(); err != nil {
			return nil, err
		}
	}
	if len(t.wrong) > 0 {
		return nil, infer.Errorf(infer.Invalid, "the columns do not fit model '%s': %s", m.Name, listed(t.wrong))
	}
	features, _ := t.result.Features()
	if err := distinct(features); err != nil {
		return nil, err
	}
	t.absent(features)
	return &t.result, nil
}

type columnMapper struct {
	model   *infer.Model
	options ColumnOptions
	columns []string
	outputs map[string]string // place by column; "" where it is to be found
	result  ColumnMap
	rest    []int // of result.Columns, those that nothing is known of
	wrong   []string
}

// check reads the options, and finds the columns that they name and the table lacks.
func (t *columnMapper) check() error {
	if len(t.columns) == 0 || len(t.columns) > MaxFeatures {
		return infer.Errorf(infer.Invalid, "%d columns of numbers; expected 1 to %d", len(t.columns), MaxFeatures)
	}
	known := make(map[string]bool, len(t.columns))
	for _, column := range t.columns {
		known[column] = true
	}
	var unknown []string
	for _, text := range t.options.Outputs {
		column, place := text, ""
		if at := strings.LastIndexByte(text, '='); !known[text] && at >= 0 {
			column, place = text[:at], text[at+1:]
		}
		t.outputs[column] = place
		unknown = append(unknown, column)
	}
	unknown = append(unknown, slices.Collect(maps.Keys(t.options.Places))...)
	unknown = slices.DeleteFunc(unknown, func(column string) bool { return known[column] })
	slices.Sort(unknown)
	for _, column := range unknown {
		t.wrong = append(t.wrong, fmt.Sprintf("no column of numbers is named '%.60s'", column))
	}
	return nil
}

// add says what becomes of the next column.
func (t *columnMapper) add(column string) {
	use := ColumnUse{Column: column}
	place, placed := t.options.Places[column]
	output, isOutput := t.outputs[column]
	var f Feature
	var err error
	switch {
	case slices.Contains(t.options.Targets, column):
		use.How = "left out: the target"
	case placed:
		use.How = "as told"
		f, _, err = featureAt(t.model, place)
	case isOutput:
		use.How = "as told"
		f, err = t.output(column, output)
	default:
		var exact bool
		use.How = "by name"
		f, exact, err = featureAt(t.model, column)
		if err != nil && !exact {
			only := infer.Model{Inputs: t.model.Inputs}
			if g, _, gerr := featureAt(&only, infer.ExportedName(column)); gerr == nil {
				f, err, use.How = g, nil, "by the name that skl2onnx gives it"
			}
		}
		if err != nil && !exact {
			use.How, err = "left out: "+err.Error(), nil
			t.rest = append(t.rest, len(t.result.Columns))
		}
	}
	if err != nil {
		t.wrong = append(t.wrong, fmt.Sprintf("column '%.60s': %v", column, err))
	} else if f.Kind != "" {
		f.Name = column
		use.Feature = &f
	}
	t.result.Columns = append(t.result.Columns, use)
}

// output returns the feature of a column that is named as an output.
func (t *columnMapper) output(column, place string) (Feature, error) {
	only := infer.Model{Outputs: t.model.Outputs}
	if place != "" {
		f, _, err := featureAt(&only, place)
		return f, err
	}
	if f, _, err := featureAt(&only, column); err == nil {
		return f, nil
	}
	all, fixed := elements(t.model.Outputs, KindOutput)
	if !fixed || len(all) != 1 {
		return Feature{}, fmt.Errorf("the model has several outputs, and none of this name; say which it is, '%.60s=%s[0]' for example", column, firstName(t.model.Outputs))
	}
	return all[0], nil
}

func firstName(specs []infer.TensorSpec) string {
	if len(specs) == 0 {
		return "output"
	}
	return specs[0].Name
}

// inOrder gives the columns that nothing is known of the elements of the inputs.
func (t *columnMapper) inOrder() error {
	if len(t.wrong) > 0 || len(t.rest) == 0 { // a mistake in the options comes first
		return nil
	}
	inputs, fixed := elements(t.model.Inputs, KindInput)
	if !fixed || len(inputs) != len(t.rest) {
		why := fmt.Sprintf("%d columns cannot be the %d elements of its inputs by their order", len(t.rest), len(inputs))
		if !fixed {
			why = "by order they cannot be told, since an input has strings or a size that varies"
		}
		var reasons []string
		for _, i := range t.rest {
			c := &t.result.Columns[i]
			reasons = append(reasons, fmt.Sprintf("column '%.60s' is %s", c.Column, c.How))
		}
		return infer.Errorf(infer.Invalid, "the columns do not fit model '%s': %s; name the target (--target), the columns (--columns) or their places (--map); by name: %s",
			t.model.Name, why, listed(reasons))
	}
	names := make([]string, len(t.rest))
	for k, i := range t.rest {
		c := &t.result.Columns[i]
		names[k], inputs[k].Name = c.Column, c.Column
		c.Feature, c.How = &inputs[k], "by order"
	}
	if len(names) > 1 {
		t.result.Warnings = append(t.result.Warnings, orderWarning(names))
	}
	return nil
}

// orderWarning says that columns are taken by their order, and whether their names speak
// against it.
func orderWarning(names []string) string {
	const told = "the columns are taken in the file's order, since none is named like an element of the model's inputs; if the model has another order, say so with --map"
	for i := 1; i < len(names); i++ {
		a, n := numbered(names[i-1])
		b, k := numbered(names[i])
		if n >= 0 && k >= 0 && a == b && n > k {
			return told + fmt.Sprintf(": '%.60s' stands before '%.60s'", names[i-1], names[i])
		}
	}
	return told
}

// numbered takes a name that ends in a number apart; the number is -1 if it does not.
func numbered(name string) (text string, n int) {
	digits := len(name) - len(strings.TrimRight(name, "0123456789"))
	text = name[:len(name)-digits]
	n, err := strconv.Atoi(name[len(text):])
	if err != nil {
		return name, -1
	}
	return text, n
}

// absent warns of elements of inputs that have no column.
func (t *columnMapper) absent(features []Feature) {
	given := make(map[position]bool, len(features))
	for i := range features {
		given[features[i].position()] = true
	}
	var list []string
	for i := range t.model.Inputs {
		s := &t.model.Inputs[i]
		all, fixed := elements(t.model.Inputs[i:i+1], KindInput)
		if s.Optional || !fixed {
			continue
		}
		for j := range all {
			if !given[all[j].position()] {
				list = append(list, fmt.Sprintf("%.60s[%d]", s.Name, j))
			}
		}
	}
	if len(list) > 0 {
		t.result.Warnings = append(t.result.Warnings, "elements of inputs without a column, which are compared with nothing: "+listed(list))
	}
}

// featureAt finds a tensor's element by its name. On an error it reports whether the name
// says which element is meant all the same, "input[9]" of a tensor with fewer.
func featureAt(m *infer.Model, name string) (f Feature, exact bool, err error) {
	tensor, element := name, 0
	s, kind := specOf(m, name) // first, for a tensor may be called "a.1"
	if s != nil {
		if n, fixed := RowElements(s.Shape); !fixed || n != 1 {
			return Feature{}, false, fmt.Errorf("%s '%s' has more than one element; name one of them, '%s[0]' for example", kind, name, name)
		}
	} else {
		tensor, element = parsePosition(name)
		if s, kind = specOf(m, tensor); s == nil {
			return Feature{}, false, fmt.Errorf("the model has no tensor '%.60s'", tensor)
		}
		exact = strings.HasSuffix(name, "]") // "label.1" is what pandas makes of a second column "label"
	}
	if err := fitsSpec(kind, s, element); err != nil {
		return Feature{}, exact, err
	}
	return Feature{Kind: kind, Tensor: tensor, Element: element, Datatype: s.DType.String()}, true, nil
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

// ColumnsOf says which column of a table each feature of the profile is: the one
// with the feature's name, else the one with its place in the model ("input[3]",
// "input.3"). If none is found by name, they are taken in the profile's order if there are
// as many and the profile has no outputs: these are never taken by order.
func (p *Profile) ColumnsOf(columns []string) ([]string, error) {
	known := make(map[string]bool, len(columns))
	for _, column := range columns {
		known[column] = true
	}
	result := make([]string, len(p.Features))
	var absent []string
	for i := range p.Features {
		f := &p.Features[i]
		names := f.names()
		if at := slices.IndexFunc(names, func(name string) bool { return known[name] }); at >= 0 {
			result[i] = names[at]
		} else {
			absent = append(absent, "'"+f.Name+"'")
		}
	}
	switch {
	case len(absent) == 0:
		return result, nil
	case len(absent) == len(p.Features) && len(columns) == len(p.Features) && !p.hasOutputs():
		return columns, nil
	default:
		return nil, infer.Errorf(infer.Invalid, "no column of numbers for feature %s", listed(absent))
	}
}

// Names reports whether a column bears the name of a feature or of its place.
func (p *Profile) Names(column string) bool {
	return slices.ContainsFunc(p.Features, func(f Feature) bool { return slices.Contains(f.names(), column) })
}

// names are the names that a column of the feature may have.
func (f *Feature) names() []string {
	return []string{f.Name, fmt.Sprintf("%s[%d]", f.Tensor, f.Element), fmt.Sprintf("%s.%d", f.Tensor, f.Element)}
}

func (p *Profile) hasOutputs() bool {
	return slices.ContainsFunc(p.Features, func(f Feature) bool { return f.Kind == KindOutput })
}
