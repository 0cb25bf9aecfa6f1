package infer

import (
	"math"
	"strings"
	"unicode"
)

// Column is the place of the values of one column of a data frame.
type Column struct {
	Input int // index in Model.Inputs
	// Element is the index in a row of the input, in row-major order, or WholeRow.
	Element int
}

// WholeRow is the Element of a column with the name of its input. It holds whole rows: single
// values if a row has one element, else lists.
const WholeRow = -1

// Columns maps the columns of a data frame to the elements of a model's inputs. It is
// immutable.
type Columns struct {
	byName map[string]Column
	names  [][]string // by input, the names of a row's elements; nil if they have none
}

// NewColumns returns the columns of a model: each input by its own name, and the elements of a
// row by the names given for that input, in row-major order. Errors are Invalid: the model does
// not have the input, the input has no rows, the number of names differs from that of the
// elements, or a name is given twice or is that of another input.
func NewColumns(m *Model, names map[string][]string) (*Columns, error) {
	c := &Columns{byName: make(map[string]Column, len(m.Inputs)), names: make([][]string, len(m.Inputs))}
	for i := range m.Inputs {
		c.byName[m.Inputs[i].Name] = Column{Input: i, Element: WholeRow}
	}
	for input, list := range names {
		at, ok := m.inputs[input]
		if !ok {
			return nil, Errorf(Invalid, "model '%s' has no input '%s'", m.Name, input)
		}
		n, free := m.Inputs[at].RowElements()
		if n < 0 || !free && n != int64(len(list)) || free && (n == 0 || int64(len(list))%n != 0) {
			return nil, Errorf(Invalid, "%d columns do not match a row of input '%s' of shape %v", len(list), input, m.Inputs[at].Shape)
		}
		for element, name := range list {
			known, taken := c.byName[name]
			if taken && (known.Element != WholeRow || known.Input != at) {
				return nil, Errorf(Invalid, "column '%s' of input '%s' is a duplicate, or is also the name of an input", name, input)
			}
			c.byName[name] = Column{Input: at, Element: element}
		}
		c.names[at] = list
	}
	return c, nil
}

// Find returns the column of a name. A column that is not an input by its own name is the
// input that exporters name after it, ExportedName.
func (c *Columns) Find(name []byte) (Column, bool) {
	if column, ok := c.byName[string(name)]; ok {
		return column, true
	}
	column, ok := c.byName[ExportedName(string(name))]
	return column, ok && column.Element == WholeRow
}

// ExportedName returns what skl2onnx makes of the name of a data frame's column for the
// name of an input: an underscore for each character that is not a letter, a digit or one
// of "_+", and one before a leading digit. "sepal length (cm)" becomes "sepal_length__cm_".
func ExportedName(column string) string {
	name := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '+' {
			return r
		}
		return '_'
	}, column)
	if name != "" && '0' <= name[0] && name[0] <= '9' {
		name = "_" + name
	}
	return name
}

// Names returns the names of the elements of a row of an input, in row-major order, nil if they
// have none. The caller must not change it.
func (c *Columns) Names(input int) []string { return c.names[input] }

// RowElements returns how many elements a row has: the product of the dimensions after the
// first that are fixed. free says that one of them varies. It is negative for a tensor of rank
// 0, which has no rows, and if the product is beyond 2^31-1.
func (s *TensorSpec) RowElements() (n int64, free bool) {
	if len(s.Shape) == 0 {
		return -1, false
	}
	n = 1
	for _, d := range s.Shape[1:] {
		switch {
		case d < 0:
			free = true
		case d > math.MaxInt32 || n*d > math.MaxInt32:
			return -1, free
		default:
			n *= d
		}
	}
	return n, free
}
