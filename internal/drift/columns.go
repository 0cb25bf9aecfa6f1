package drift

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// ColumnOptions describe the columns of a table.
type ColumnOptions struct {
	// Places are the places of columns in the model, "input[3]".
	Places map[string]string
	// Outputs are the columns with the model's outputs: COLUMN, or COLUMN=PLACE. Without a place, a
	// column is the output with its name, or the model's only output.
	Outputs []string
	// Targets are columns to leave out: the targets of the training are not the model's answers.
	Targets []string
	// Texts are the columns of texts, with an example. All others have numbers, which can be texts to a
	// model as well.
	Texts map[string]string
}

// ColumnMap is the use of each column of a table.
type ColumnMap struct {
	Columns  []ColumnUse
	Warnings []string
}

// ColumnUse is the feature of a column, or the reason why it has none.
type ColumnUse struct {
	Column  string
	Feature *Feature // nil: the column is left out
	How     string   // "by name", or why it is left out
}

// Features returns the features, and their columns.
func (m *ColumnMap) Features() (features []Feature, columns []string) {
	for i := range m.Columns {
		if c := &m.Columns[i]; c.Feature != nil {
			features, columns = append(features, *c.Feature), append(columns, c.Column)
		}
	}
	return features, columns
}

// MapColumns finds the element of a model's tensors for each column of a table. The options decide,
// or else the name: "input[3]", "input.3", or the name of a tensor with one element. Columns with
// other names are left out. If no column matches an input by name, the remaining columns are the
// elements of the inputs, in the model's order, if there are as many; a warning says so. Outputs
// are never matched by order, since the last column is often the target.
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
	outputs map[string]string // place by column; "" if it must be found
	result  ColumnMap
	rest    []int // indices in result.Columns of columns without a match
	wrong   []string
}

// check reads the options, and finds column names in them that are not in the table.
func (t *columnMapper) check() error {
	if len(t.columns) == 0 || len(t.columns) > MaxFeatures {
		return infer.Errorf(infer.Invalid, "%d columns; expected 1 to %d", len(t.columns), MaxFeatures)
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
		t.wrong = append(t.wrong, fmt.Sprintf("there is no column '%.60s'", column))
	}
	return nil
}

// add decides the use of the next column.
func (t *columnMapper) add(column string) {
	use, name := ColumnUse{Column: column}, column
	place, placed := t.options.Places[column]
	output, isOutput := t.outputs[column]
	var f Feature
	var err error
	switch {
	case slices.Contains(t.options.Targets, column):
		use.How = "left out: the target"
	case placed:
		use.How = "as given"
		f, _, err = featureAt(t.model, place)
	case isOutput:
		use.How = "as given"
		f, err = t.output(column, output)
	default:
		var exact bool
		use.How = "by name"
		f, exact, err = featureAt(t.model, column)
		if err != nil && !exact {
			only := infer.Model{Inputs: t.model.Inputs}
			if g, _, gerr := featureAt(&only, infer.ExportedName(column)); gerr == nil {
				f, err, use.How = g, nil, "by the name from skl2onnx"
			}
		}
		if err != nil && !exact {
			if g, element, ok := capturedAt(t.model, column); ok {
				f, err, use.How, name = g, nil, "by the name in captured traffic", element
			}
		}
		if err != nil && !exact {
			use.How, err = "left out: "+err.Error(), nil
			t.rest = append(t.rest, len(t.result.Columns))
		}
	}
	if err == nil {
		if err = t.fitsKind(column, &f); err != nil && !placed && !isOutput {
			f, use.How, err = Feature{}, "left out: "+err.Error(), nil
		}
	}
	if err != nil {
		t.wrong = append(t.wrong, fmt.Sprintf("column '%.60s': %v", column, err))
	} else if f.Kind != "" {
		f.Name = name
		use.Feature = &f
	}
	t.result.Columns = append(t.result.Columns, use)
}

// fitsKind returns an error if a column of texts is an element of a tensor of numbers.
func (t *columnMapper) fitsKind(column string, f *Feature) error {
	if example, text := t.options.Texts[column]; text && f.Kind != "" && !f.IsText() {
		return fmt.Errorf("it has text, for example '%s', but %s '%s' has datatype %s", example, f.Kind, f.Tensor, f.Datatype)
	}
	return nil
}

// output returns the feature of a column in Outputs.
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
		return Feature{}, fmt.Errorf("the model has several outputs, but none with this name; give one, for example '%.60s=%s[0]'", column, firstName(t.model.Outputs))
	}
	return all[0], nil
}

func firstName(specs []infer.TensorSpec) string {
	if len(specs) == 0 {
		return "output"
	}
	return specs[0].Name
}

// inOrder assigns the remaining columns to the elements of the inputs.
func (t *columnMapper) inOrder() error {
	if len(t.wrong) > 0 || len(t.rest) == 0 { // an error in the options is reported first
		return nil
	}
	inputs, fixed := elements(t.model.Inputs, KindInput)
	t.leaveTexts(inputs)
	if len(t.rest) == 0 {
		return nil
	}
	if !fixed || len(inputs) != len(t.rest) {
		why := fmt.Sprintf("%d columns cannot be matched by order to the %d elements of its inputs", len(t.rest), len(inputs))
		if !fixed {
			why = "they cannot be matched by order, since an input has a variable size"
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
		if err := t.fitsKind(c.Column, &inputs[k]); err != nil {
			return infer.Errorf(infer.Invalid, "the columns cannot be matched by order: column '%.60s': %v", c.Column, err)
		}
		names[k], inputs[k].Name = c.Column, c.Column
		c.Feature, c.How = &inputs[k], "by order"
	}
	if len(names) > 1 {
		t.result.Warnings = append(t.result.Warnings, orderWarning(names))
	}
	return nil
}

// leaveTexts leaves out the remaining columns of texts if no input has texts.
func (t *columnMapper) leaveTexts(inputs []Feature) {
	if slices.ContainsFunc(inputs, func(f Feature) bool { return f.IsText() }) {
		return
	}
	t.rest = slices.DeleteFunc(t.rest, func(i int) bool {
		c := &t.result.Columns[i]
		example, text := t.options.Texts[c.Column]
		if text {
			c.How = fmt.Sprintf("left out: it has text, for example '%s'", example)
		}
		return text
	})
}

// orderWarning warns that columns are matched by order, and whether their names contradict that.
func orderWarning(names []string) string {
	const told = "the columns are matched in the order of the file, since no name is that of an element of the model's inputs; if the model has another order, use --map"
	for i := 1; i < len(names); i++ {
		a, n := numbered(names[i-1])
		b, k := numbered(names[i])
		if n >= 0 && k >= 0 && a == b && n > k {
			return told + fmt.Sprintf(": '%.60s' is before '%.60s'", names[i-1], names[i])
		}
	}
	return told
}

// numbered splits a name that ends in a number; the number is -1 if there is none.
func numbered(name string) (text string, n int) {
	digits := len(name) - len(strings.TrimRight(name, "0123456789"))
	text = name[:len(name)-digits]
	n, err := strconv.Atoi(name[len(text):])
	if err != nil {
		return name, -1
	}
	return text, n
}

// absent warns about elements of inputs without a column.
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
		t.result.Warnings = append(t.result.Warnings, "elements of inputs without a column are not compared: "+listed(list))
	}
}

// featureAt finds an element of a tensor by its name. If there is an error, exact reports whether
// the name still means one certain element, such as "input[9]" of a tensor with fewer.
func featureAt(m *infer.Model, name string) (f Feature, exact bool, err error) {
	tensor, element := name, 0
	s, kind := specOf(m, name) // first, since "a.1" can be the name of a tensor
	if s != nil {
		if n, fixed := RowElements(s.Shape); !fixed || n != 1 {
			return Feature{}, false, fmt.Errorf("%s '%s' has more than one element; name one of them, for example '%s[0]'", kind, name, name)
		}
	} else {
		tensor, element = parsePosition(name)
		if s, kind = specOf(m, tensor); s == nil {
			return Feature{}, false, fmt.Errorf("the model has no tensor '%.60s'", tensor)
		}
		exact = strings.HasSuffix(name, "]") // pandas names a second column "label" "label.1"
	}
	if err := fitsSpec(kind, s, element); err != nil {
		return Feature{}, exact, err
	}
	return Feature{Kind: kind, Tensor: tensor, Element: element, Datatype: s.DType.String()}, true, nil
}

// The prefixes of inputs and outputs in files of captured traffic.
const (
	capturedInput  = "in."
	capturedOutput = "out."
)

// capturedAt finds an element by its name in files of captured traffic, and returns the name without the
// prefix.
func capturedAt(m *infer.Model, column string) (f Feature, name string, ok bool) {
	var err error
	if name, ok = strings.CutPrefix(column, capturedInput); ok {
		f, _, err = featureAt(&infer.Model{Inputs: m.Inputs}, name)
	} else if name, ok = strings.CutPrefix(column, capturedOutput); ok {
		f, _, err = featureAt(&infer.Model{Outputs: m.Outputs}, name)
	}
	return f, name, ok && err == nil
}

// parsePosition splits "input[3]" or "input.3".
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

// specOf returns a tensor of the model; an input, if an output has the same name.
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

// ColumnsOf returns the column of a table for each feature of the profile: the one with the
// feature's name, or else with its place in the model ("input[3]", "input.3"). If none is found by
// name, the columns are matched in the profile's order if there are as many and the profile has neither
// texts nor outputs, which are never matched by order. texts are the columns that have no numbers; only
// features of texts have these.
func (p *Profile) ColumnsOf(columns []string, texts map[string]bool) ([]string, error) {
	known := make(map[string]bool, len(columns))
	for _, column := range columns {
		known[column] = true
	}
	result := make([]string, len(p.Features))
	var absent []string
	for i := range p.Features {
		f := &p.Features[i]
		names := f.names()
		if at := slices.IndexFunc(names, func(name string) bool { return known[name] && (f.OfText() || !texts[name]) }); at >= 0 {
			result[i] = names[at]
		} else {
			absent = append(absent, "'"+f.Name+"'")
		}
	}
	numbers := slices.DeleteFunc(slices.Clone(columns), func(column string) bool { return texts[column] })
	switch {
	case len(absent) == 0:
		return result, nil
	case len(absent) == len(p.Features) && len(numbers) == len(p.Features) && p.TextBytes == 0 && !p.hasOutputs():
		return numbers, nil
	default:
		return nil, infer.Errorf(infer.Invalid, "no column for feature %s", listed(absent))
	}
}

// Names reports whether a column has the name of a feature or of its place.
func (p *Profile) Names(column string) bool {
	return slices.ContainsFunc(p.Features, func(f Feature) bool { return slices.Contains(f.names(), column) })
}

// Column returns the name of the column that the feature was made of: its own name, without the measure of
// a text that is not a category.
func (f *Feature) Column() string {
	if f.OfText() && !f.IsCategory() {
		return strings.TrimSuffix(f.Name, " "+f.Measure)
	}
	return f.Name
}

// names returns the possible names of the feature's column.
func (f *Feature) names() []string {
	place, captured := fmt.Sprintf("%s[%d]", f.Tensor, f.Element), capturedInput
	if f.Kind == KindOutput {
		captured = capturedOutput
	}
	names := []string{f.Column(), place, fmt.Sprintf("%s.%d", f.Tensor, f.Element), captured + place}
	if f.Element == 0 {
		names = append(names, captured+f.Tensor)
	}
	return names
}

func (p *Profile) hasOutputs() bool {
	return slices.ContainsFunc(p.Features, func(f Feature) bool { return f.Kind == KindOutput })
}
