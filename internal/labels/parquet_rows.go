package labels

import (
	"errors"
	"fmt"
	"strings"
	"time"

	pq "github.com/parquet-go/parquet-go/format"
)

// plainDictionary is an old name, of the plain encoding in a dictionary, and of indices in a page.
const plainDictionary pq.Encoding = 2

// parquetCursor reads the values of a column in a group of rows, one page at a time.
type parquetCursor struct {
	column *parquetColumn
	codec  pq.CompressionCodec
	b      []byte // pages that follow
	dict   *parquetValues
	values parquetValues // of the present page
	there  []uint32      // whether each value of it is there; nil: all are
	left   int           // values of it that were not read
	total  int           // values of it
	read   int           // of values
	plain  []byte        // reused
}

// each calls f with the rows. It ends with the first error of f.
func (p *parquetFile) each(f func(Row) error) error {
	for g := range p.groups {
		group := &p.groups[g]
		cursors := make([]parquetCursor, len(p.columns))
		for i := range cursors {
			c := &p.columns[i]
			chunk := &group.Columns[c.index]
			b, err := p.chunk(chunk)
			if err != nil {
				return c.error(err)
			}
			cursors[i] = parquetCursor{column: c, codec: chunk.MetaData.Codec, b: b}
		}
		for range group.NumRows {
			var r Row
			for i := range cursors {
				if err := cursors[i].next(&r); err != nil {
					return cursors[i].column.error(err)
				}
			}
			r.complete()
			if err := f(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *parquetColumn) error(err error) error {
	return parquetError(fmt.Errorf("column '%s': %w", c.name, err))
}

// next reads a value into a row.
func (c *parquetCursor) next(r *Row) error {
	for c.left == 0 {
		if len(c.b) == 0 {
			return errPageEnd
		}
		page, rest, ok, err := nextPage(c.b)
		if err != nil {
			return err
		}
		if c.b = rest; ok {
			if err := c.open(&page); err != nil {
				return err
			}
		}
	}
	c.left--
	if c.there != nil && c.there[c.total-c.left-1] == 0 {
		return nil
	}
	c.column.set(r, &c.values, c.read)
	c.read++
	return nil
}

// open decodes a page.
func (c *parquetCursor) open(page *parquetPage) error {
	levels, b, err := page.plain(c.codec, c.plain)
	if err != nil {
		return err
	}
	if page.compressed && c.codec != pq.Uncompressed {
		c.plain = b
	}
	if page.dictionary {
		encoding := page.encoding
		if encoding == plainDictionary {
			encoding = pq.Plain
		}
		c.dict = new(parquetValues)
		return c.dict.decode(c.column.kind, encoding, b, page.values)
	}
	there, b, err := page.definitions(c.column.optional, levels, b, c.there)
	if err != nil {
		return err
	}
	n := page.values
	if there != nil {
		n = 0
		for _, level := range there {
			n += int(level)
		}
	}
	if page.missing >= 0 && n != page.values-page.missing {
		return errors.New("a page has another number of missing values than it says")
	}
	c.there, c.left, c.total, c.read = there, page.values, page.values, 0
	if page.encoding != plainDictionary && page.encoding != pq.RLEDictionary {
		return c.values.decode(c.column.kind, page.encoding, b, n)
	}
	if c.dict == nil {
		return errors.New("its dictionary is missing")
	}
	return c.values.indexed(c.dict, b, n)
}

// set sets the field of a row that the column is for.
func (c *parquetColumn) set(r *Row, v *parquetValues, i int) {
	switch {
	case c.name == "request_id":
		r.RequestID = strings.ToValidUTF8(v.texts[i], "\uFFFD")
	case c.name == "row" && c.unsigned && v.ints[i] < 0:
		r.Problem = fmt.Sprintf("row is %d, expected 0 to %d", c.number(v.ints[i]), maxRow)
	case c.name == "row":
		r.setRow(v.ints[i])
	case c.name == "time" && c.unit > 0:
		r.setTime(timeOf(v.ints[i], c.unit))
	case c.name == "time":
		at, err := time.Parse(time.RFC3339, v.texts[i])
		if err != nil {
			r.Problem = fmt.Sprintf("time is '%.40s', expected one such as 2026-11-30T08:00:00Z", v.texts[i])
			return
		}
		r.Time = at
	case c.kind == pq.Boolean:
		r.Label = BoolLabel(v.ints[i] != 0)
	case c.kind == pq.ByteArray:
		r.Label = TextLabel(strings.ToValidUTF8(v.texts[i], "\uFFFD"), false)
	case len(v.floats) > 0:
		r.Label = NumberLabel(v.floats[i])
	case c.unsigned:
		r.Label = NumberLabel(float64(c.number(v.ints[i])))
	default:
		r.Label = NumberLabel(float64(v.ints[i]))
	}
}

// number returns the number whose bits an unsigned column has.
func (c *parquetColumn) number(bits int64) uint64 {
	if c.kind == pq.Int32 {
		return uint64(uint32(bits)) //nolint:gosec // the bits of an unsigned number
	}
	return uint64(bits) //nolint:gosec // likewise
}

// complete says what is missing in a row.
func (r *Row) complete() {
	switch {
	case r.RequestID == "":
		r.Problem = "request_id is missing"
	case r.Problem == "" && r.Label == Label{}:
		r.Problem = "label is missing"
	}
}

// setTime sets a time that JSON could have.
func (r *Row) setTime(t time.Time) {
	if t.Year() < 1 || t.Year() > 9999 {
		r.Problem = "time is out of range, expected a year from 1 to 9999"
		return
	}
	r.Time = t
}

func timeOf(n int64, unit time.Duration) time.Time {
	perSecond := int64(time.Second / unit)
	return time.Unix(n/perSecond, n%perSecond*int64(unit)).UTC()
}
