package rows

import (
	"bytes"
	"strconv"

	"sluice.io/sluice/internal/infer"
)

// byteOrderMark is the beginning of a text from some Windows programs.
const byteOrderMark = "\xef\xbb\xbf"

// The members with rows.
const (
	split     = "dataframe_split"
	records   = "dataframe_records"
	instances = "instances"
	inputs    = "inputs"
)

// jsonFrame reads a JSON body.
type jsonFrame struct {
	*builder
	reader
	v1 bool // only the forms of DecodeV1
}

// DecodeJSON decodes a body in one of the JSON forms. Errors are Invalid, TooLarge, Unsupported (a
// model that does not accept rows) and those of Options.Memory.
func DecodeJSON(body []byte, o *Options) (*Frame, error) {
	b, err := newBuilder(body, o)
	if err != nil {
		return nil, err
	}
	b.unit, b.plain = len("0,"), unescape
	d := &jsonFrame{builder: b, reader: reader{text: body, maxDepth: o.Limits.MaxNesting}, v1: o.v1}
	t, err := d.decode()
	if err != nil {
		b.Release()
	}
	return t, err
}

func (d *jsonFrame) decode() (*Frame, error) {
	member, n, err := d.find()
	if err != nil {
		return nil, err
	}
	d.Columnar = d.v1 && member == inputs
	switch {
	case member == split:
		err = d.split()
	case member == inputs && d.peek() == '{':
		err = d.columnar()
	default:
		err = d.list(member, n)
	}
	if err != nil {
		return nil, err
	}
	return d.finish()
}

// find checks the syntax of the whole document and leaves pos at the rows. It returns the name of
// their member, empty if the document is a list, and the number of rows if they are a list.
func (d *jsonFrame) find() (member string, n int, err error) {
	if bytes.HasPrefix(d.text, []byte(byteOrderMark)) {
		d.pos = len(byteOrderMark)
	}
	at := -1
	switch d.peek() {
	case '[':
		if d.v1 {
			return "", 0, d.syntax("an object")
		}
		at = d.pos
		n, err = d.skipCounting()
	case '{':
		err = d.object(func(key value) error {
			if name := string(key.text); d.takes(name) {
				if at >= 0 {
					return invalid("'%s' and '%s' are both given, expected one of them, once", member, name)
				}
				d.peek()
				member, at = name, d.pos
				n, err = d.skipCounting()
				return err
			}
			return d.skip()
		})
	default:
		return "", 0, d.syntax("an object or a list")
	}
	if err != nil {
		return "", 0, err
	}
	if d.peek(); d.pos < len(d.text) {
		return "", 0, d.syntax("the end of the document")
	}
	if at < 0 && d.v1 {
		return "", 0, invalid("expected '%s' (rows) or '%s' (columns)", instances, inputs)
	}
	if at < 0 {
		return "", 0, invalid("expected one of '%s', '%s', '%s' and '%s', or a list of records", split, records, instances, inputs)
	}
	d.pos, d.depth = at, 0
	return member, n, nil
}

// takes reports whether a member of the document has rows.
func (d *jsonFrame) takes(name string) bool {
	return name == instances || name == inputs || !d.v1 && (name == split || name == records)
}

// list reads a list of n records, or of rows without names.
func (d *jsonFrame) list(member string, n int) error {
	if n < 0 {
		return d.syntax("a list of rows in '" + member + "'")
	}
	if err := d.setRows(n); err != nil {
		return err
	}
	if n == 0 {
		return d.makeRoom()
	}
	first := d.reader
	first.pos++
	if first.peek() == '{' && !d.isBase64(first) {
		return d.records(first)
	}
	return d.unnamed(first)
}

// records reads a list of objects. The first one has the names of the columns.
func (d *jsonFrame) records(first reader) error {
	var names []string
	var cells []reader
	err := first.object(func(key value) error {
		if len(names) == d.limits.MaxColumns {
			return d.tooWide(len(names) + 1)
		}
		name, err := d.name(key)
		names, cells = append(names, name), append(cells, first)
		if err != nil {
			return err
		}
		return first.skip()
	})
	if err == nil {
		err = d.named(names)
	}
	if err == nil {
		err = d.begin(cells)
	}
	if err != nil {
		return err
	}
	return d.array(d.record)
}

// begin measures the cells of the first row, and allocates the memory.
func (d *jsonFrame) begin(cells []reader) error {
	for i := range d.places {
		p := &d.places[i]
		if p.in.elements < 0 {
			if err := p.in.measure(cells[i]); err != nil {
				return placed(err, 0, p)
			}
		}
	}
	return d.makeRoom()
}

func (d *jsonFrame) record(row int) error {
	n := 0
	err := d.object(func(key value) error {
		p, err := d.match(key, n, row)
		if err != nil {
			return err
		}
		n++
		return d.cell(p, row)
	})
	if err != nil || n == len(d.places) {
		return err
	}
	var absent []string
	for i := range d.places {
		if d.places[i].row != row+1 {
			absent = append(absent, d.places[i].name)
		}
	}
	return invalid("row %d: missing columns %s", row, quoted(absent))
}

// match returns the place of a key of a record. Most records have their keys in the order of the
// first one.
func (d *jsonFrame) match(key value, n, row int) (*place, error) {
	if n >= len(d.places) || key.escaped || string(key.text) != d.places[n].name {
		name := key.text
		if key.escaped {
			name = unescape(nil, name)
		}
		var ok bool
		if n, ok = d.byName[string(name)]; !ok {
			return nil, invalid("row %d: column '%s' is not in row 0", row, shortened(string(name)))
		}
	}
	p := &d.places[n]
	if p.row == row+1 {
		return nil, invalid("row %d: column '%s' is a duplicate", row, shortened(p.name))
	}
	p.row = row + 1
	return p, nil
}

// unnamed reads a list of rows without names. Each is a row of the only input, or a list with the
// values of several inputs.
func (d *jsonFrame) unnamed(first reader) error {
	list := d.required()
	if len(list) != 1 {
		n, err := first.count()
		if err != nil {
			return err
		}
		if n < 0 {
			return first.syntax("a list of values for the " + strconv.Itoa(len(list)) + " inputs")
		}
		if err := d.ordered(n); err != nil {
			return err
		}
		if err := d.makeRoom(); err != nil {
			return err
		}
		return d.array(d.row)
	}
	p := &place{Column: infer.Column{Input: list[0], Element: infer.WholeRow}, in: d.input(list[0])}
	d.places = []place{*p}
	if err := d.begin([]reader{first}); err != nil {
		return err
	}
	return d.array(func(row int) error { return d.cell(p, row) })
}

// row reads a list with the values of one row.
func (d *jsonFrame) row(row int) error {
	n := 0
	err := d.array(func(i int) error {
		if n++; n > len(d.places) {
			return invalid("row %d has more values than the %d columns", row, len(d.places))
		}
		return d.cell(&d.places[i], row)
	})
	if err == nil && n < len(d.places) {
		return invalid("row %d has %d values, expected %d", row, n, len(d.places))
	}
	return err
}

// cell reads the value of a column.
func (d *jsonFrame) cell(p *place, row int) error {
	var err error
	if p.Element == infer.WholeRow {
		err = d.whole(p.in, row)
	} else {
		var v value
		if v, err = d.element(); err == nil {
			err = d.store(p.in, row, p.Element, v)
		}
	}
	if err != nil {
		return placed(err, row, p)
	}
	return nil
}
