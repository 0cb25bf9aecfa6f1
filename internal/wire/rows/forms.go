package rows

import "strconv"

// split reads {"columns": [...], "index": [...], "data": [[...], ...]} as pandas writes it. Columns
// that are absent, or numbered from 0, have no names.
func (d *jsonFrame) split() error {
	var columns, data reader
	rows := 0
	seen := map[string]bool{}
	err := d.object(func(key value) (err error) {
		name := string(key.text)
		if d.peek(); name == "columns" || name == "data" {
			if seen[name] {
				return invalid("'%s' is a duplicate in '%s'", name, split)
			}
			seen[name] = true
		}
		switch name {
		case "columns":
			columns = d.reader
		case "data":
			data = d.reader
			rows, err = d.skipCounting()
			return err
		}
		return d.skip()
	})
	if err != nil {
		return err
	}
	if !seen["data"] {
		return invalid("'%s' needs 'data', a list of rows", split)
	}
	var names []string
	if seen["columns"] {
		if names, err = d.columnNames(&columns); err != nil {
			return err
		}
	}
	d.reader = data
	if names == nil {
		return d.list("data", rows)
	}
	return d.rowsOf(names, rows)
}

// columnNames reads the names of columns. It returns none if they are the numbers from 0 on, which
// pandas gives to columns without names.
func (d *jsonFrame) columnNames(r *reader) (names []string, err error) {
	if r.peek() == 'n' {
		return nil, r.skip() // null
	}
	numbered := true
	err = r.array(func(i int) error {
		if i == d.limits.MaxColumns {
			return d.tooWide(i + 1)
		}
		v, err := r.scalar()
		if err != nil {
			return err
		}
		if v.kind != text && v.kind != number {
			return invalid("'columns' must have the names of columns, got %v", v)
		}
		numbered = numbered && v.kind == number && string(v.text) == strconv.Itoa(i)
		name, err := d.name(v)
		names = append(names, name)
		return err
	})
	if numbered {
		return nil, err
	}
	return names, err
}

// rowsOf reads a list of n rows with named columns.
func (d *jsonFrame) rowsOf(names []string, n int) error {
	if n < 0 {
		return d.syntax("a list of rows in 'data'")
	}
	if err := d.setRows(n); err != nil {
		return err
	}
	if err := d.named(names); err != nil {
		return err
	}
	var cells []reader
	if n > 0 {
		first := d.reader
		first.pos++
		err := first.array(func(i int) error {
			if i == len(d.places) {
				return invalid("row 0 has more values than the %d columns", i)
			}
			first.peek()
			cells = append(cells, first)
			return first.skip()
		})
		if err != nil {
			return err
		}
		if len(cells) < len(d.places) {
			return invalid("row 0 has %d values, expected %d", len(cells), len(d.places))
		}
	}
	if err := d.begin(cells); err != nil {
		return err
	}
	return d.array(d.row)
}

// columnar reads an object with a list of values for each column.
func (d *jsonFrame) columnar() error {
	var names []string
	var cells []reader // the first value of each list
	start, rows := d.reader, -1
	err := d.object(func(key value) error {
		if len(names) == d.limits.MaxColumns {
			return d.tooWide(len(names) + 1)
		}
		name, err := d.name(key)
		if err != nil {
			return err
		}
		n, err := d.count()
		switch {
		case err != nil:
			return err
		case n < 0:
			return invalid("column '%s' must be a list with a value for each row", shortened(name))
		case rows >= 0 && n != rows:
			return invalid("column '%s' has %d values, the columns before it have %d", shortened(name), n, rows)
		}
		rows = n
		first := d.reader
		first.pos++
		first.peek()
		names, cells = append(names, name), append(cells, first)
		return d.skip()
	})
	if err != nil {
		return err
	}
	if err := d.setRows(max(0, rows)); err != nil {
		return err
	}
	if err := d.named(names); err != nil {
		return err
	}
	if rows <= 0 {
		return d.makeRoom()
	}
	if err := d.begin(cells); err != nil {
		return err
	}
	d.reader = start
	column := -1
	return d.object(func(value) error {
		column++
		return d.array(func(row int) error { return d.cell(&d.places[column], row) })
	})
}
