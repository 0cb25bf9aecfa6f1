package rows

import (
	"fmt"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// columnBytes is the memory of a column in bytes, without its name: its place, its entries in a
// list of names and in a map, and a JSON reader.
const columnBytes = 256

// name returns the name of another column.
func (b *builder) name(v value) (string, error) {
	if err := b.reserve(columnBytes + len(v.text)); err != nil {
		return "", err
	}
	if v.escaped {
		return string(b.plain(nil, v.text)), nil
	}
	return string(v.text), nil
}

// named sets columns by their names: every column must be known, and every element of every
// required input must be there exactly once.
func (b *builder) named(names []string) error {
	if len(names) > b.limits.MaxColumns {
		return b.tooWide(len(names))
	}
	b.places = make([]place, 0, len(names))
	b.byName = make(map[string]int, len(names))
	var unknown []string
	for _, name := range names {
		if _, twice := b.byName[name]; twice {
			return invalid("column '%s' is a duplicate", shortened(name))
		}
		b.byName[name] = len(b.places)
		column, ok := b.columns.Find([]byte(name))
		if !ok {
			unknown = append(unknown, name)
		}
		b.places = append(b.places, place{Column: column, name: name})
	}
	if unknown != nil {
		return b.unknown(unknown)
	}
	for i := range b.places {
		b.places[i].in = b.input(b.places[i].Input)
	}
	slices.SortFunc(b.inputs, func(x, y *input) int { return x.index - y.index })
	return b.complete()
}

// unknown returns an error about unknown columns, with a hint about the cause.
func (b *builder) unknown(names []string) error {
	hint, needed := "", b.required()
	switch {
	case slices.Contains(names, "datatype") && slices.Contains(names, "shape"):
		hint = "; tensors with a datatype and a shape go to the endpoint infer"
	case slices.Contains(names, ""):
		hint = "; pandas writes the index as a column without a name unless to_csv has index=False"
	case len(needed) == 1 && b.columns.Names(needed[0]) == nil && b.input(needed[0]).elements != 1:
		hint = fmt.Sprintf("; name the values of its rows in the setting models.%s.columns, or send rows without names, which are matched by order", b.model.Name)
	}
	expected := b.expected()
	if missing := b.without(expected); hint == "" && len(missing) > 0 && len(missing) < len(expected) {
		hint = "; missing: " + quoted(missing)
	}
	return invalid("unknown columns %s; model '%s' expects %s%s", quoted(names), b.model.Name, quoted(expected), hint)
}

// without returns the expected columns that the frame does not have.
func (b *builder) without(expected []string) (missing []string) {
	given := make(map[infer.Column]bool, len(b.places))
	for i := range b.places {
		if column, ok := b.columns.Find([]byte(b.places[i].name)); ok {
			given[column] = true
		}
	}
	for _, name := range expected {
		if column, _ := b.columns.Find([]byte(name)); !given[column] {
			missing = append(missing, name)
		}
	}
	return missing
}

func (b *builder) tooWide(n int) error {
	return invalid("%d columns are more than the limit of %d", n, b.limits.MaxColumns)
}

// expected returns the names of the columns that the model needs.
func (b *builder) expected() (names []string) {
	for i := range b.model.Inputs {
		spec := &b.model.Inputs[i]
		switch list := b.columns.Names(i); {
		case spec.Optional:
		case list != nil:
			names = append(names, list...)
		default:
			names = append(names, spec.Name)
		}
	}
	return names
}

// complete checks that each required input comes as a whole row, or with all its elements.
func (b *builder) complete() error {
	given := make([]int, len(b.model.Inputs)) // elements of each
	whole := make([]bool, len(b.model.Inputs))
	for i := range b.places {
		p := &b.places[i]
		if p.Element != infer.WholeRow {
			given[p.Input]++
			continue
		}
		if whole[p.Input] {
			return invalid("column '%s' is input '%s', but another column is the same input", shortened(p.name), b.model.Inputs[p.Input].Name)
		}
		whole[p.Input] = true
	}
	var absent []string
	for i := range b.model.Inputs {
		spec, names := &b.model.Inputs[i], b.columns.Names(i)
		switch {
		case whole[i] && given[i] > 0:
			return invalid("input '%s' is given both as a whole and by columns such as '%s'", spec.Name, names[0])
		case whole[i]:
			if len(spec.Shape) == 0 {
				return invalid("input '%s' is a single value, not a column", spec.Name)
			}
		case given[i] > 0:
			if err := b.input(i).width(len(names)); err != nil {
				return err
			}
			for _, name := range names {
				if _, ok := b.byName[name]; !ok {
					absent = append(absent, name)
				}
			}
		case spec.Optional:
		case names != nil:
			absent = append(absent, names...)
		default:
			absent = append(absent, spec.Name)
		}
	}
	if absent != nil {
		return invalid("missing columns %s", quoted(absent))
	}
	return nil
}

// width sets the number of elements in a row of the input to n. Of the dimensions after the first,
// one may be free.
func (in *input) width(n int) error {
	fixed, free := in.spec.RowElements()
	if !free {
		if int64(n) != fixed {
			return invalid("input '%s' of shape %v expects rows of %d values, got %d", in.spec.Name, in.spec.Shape, fixed, n)
		}
		return nil
	}
	in.elements, in.inner = n, slices.Clone(in.spec.Shape[1:])
	at := slices.Index(in.inner, -1)
	if slices.Contains(in.inner[at+1:], -1) || fixed <= 0 || int64(n)%fixed != 0 {
		return invalid("a row of %d values does not fit input '%s' of shape %v; send nested lists", n, in.spec.Name, in.spec.Shape)
	}
	in.inner[at] = int64(n) / fixed
	return nil
}

// required returns the indices of the inputs that rows must have. If all inputs of a model are
// optional, it returns all that have rows.
func (b *builder) required() []int {
	var needed, all []int
	for i := range b.model.Inputs {
		spec := &b.model.Inputs[i]
		if len(spec.Shape) > 0 {
			all = append(all, i)
		}
		if !spec.Optional {
			needed = append(needed, i)
		}
	}
	if needed == nil {
		return all
	}
	return needed
}

// ordered sets n columns without names: the elements of the required inputs, in the order of the
// model.
func (b *builder) ordered(n int) error {
	if n > b.limits.MaxColumns {
		return b.tooWide(n)
	}
	if err := b.reserve(n * columnBytes); err != nil {
		return err
	}
	list := b.required()
	for _, i := range list {
		in := b.input(i)
		if len(list) == 1 {
			if err := in.width(n); err != nil {
				return err
			}
		}
		if in.elements < 0 {
			return invalid("input '%s' of shape %v accepts rows of any length; name the columns", in.spec.Name, in.spec.Shape)
		}
		if len(b.places)+in.elements > n {
			return b.otherWidth(n)
		}
		for k := range in.elements {
			b.places = append(b.places, place{Column: infer.Column{Input: i, Element: k}, in: in})
		}
	}
	if len(b.places) != n {
		return b.otherWidth(n)
	}
	return nil
}

func (b *builder) otherWidth(n int) error {
	return invalid("a row of %d values without names does not fit; model '%s' expects %s", n, b.model.Name, quoted(b.expected()))
}
