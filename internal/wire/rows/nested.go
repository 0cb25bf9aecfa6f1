package rows

import (
	"slices"

	"sluice.io/sluice/internal/infer"
)

// whole reads a row of an input: a value if it has one element, otherwise a list, flat or nested
// like the input's shape.
func (d *jsonFrame) whole(in *input, row int) error {
	if d.peek() != '[' {
		if in.elements != 1 {
			return invalid("expected a list of %d values for input '%s' of shape %v", in.elements, in.spec.Name, in.spec.Shape)
		}
		v, err := d.element()
		if err != nil {
			return err
		}
		return d.store(in, row, 0, v)
	}
	dims := in.inner
	if first := d.reader; len(dims) != 1 {
		first.pos++
		if first.peek() != '[' { // flat
			dims = infer.Shape{int64(in.elements)}
		}
	}
	element := 0
	return d.nested(in, row, &element, dims)
}

// nested reads a list with these dimensions; element counts the values.
func (d *jsonFrame) nested(in *input, row int, element *int, dims infer.Shape) error {
	n := 0
	err := d.array(func(int) error {
		if n++; int64(n) > dims[0] {
			return invalid("expected %d values in a list for input '%s' of shape %v, got more", dims[0], in.spec.Name, in.spec.Shape)
		}
		if len(dims) > 1 {
			return d.nested(in, row, element, dims[1:])
		}
		v, err := d.element()
		if err != nil {
			return err
		}
		*element++
		return d.store(in, row, *element-1, v)
	})
	if err == nil && int64(n) < dims[0] {
		return invalid("expected %d values in a list for input '%s' of shape %v, got %d", dims[0], in.spec.Name, in.spec.Shape, n)
	}
	return err
}

// measure sets the free dimensions of the input's rows from the first row.
func (in *input) measure(first reader) error {
	var dims infer.Shape
	expected := in.spec.Shape[1:]
	for len(dims) <= len(expected) { // stop here: otherwise every list around a deep one would be counted
		n, err := first.count()
		if err != nil {
			return err
		}
		if n < 0 {
			break
		}
		dims = append(dims, int64(n))
		if first.pos++; n == 0 {
			break
		}
	}
	if len(dims) == 1 && len(expected) > 1 {
		return in.width(int(dims[0]))
	}
	fits := len(dims) == len(expected)
	for i := 0; fits && i < len(dims); i++ {
		fits = expected[i] < 0 || expected[i] == dims[i]
	}
	n, ok := dims.Elements()
	if !fits || !ok || n > int64(len(first.text)) {
		return invalid("a row of shape %v does not fit input '%s' of shape %v", dims, in.spec.Name, in.spec.Shape)
	}
	in.inner, in.elements = slices.Clone(dims), int(n)
	return nil
}
