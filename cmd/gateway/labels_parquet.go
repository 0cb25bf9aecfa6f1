package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// parquetMagic is at the beginning and at the end of a Parquet file.
const parquetMagic = "PAR1"

// labelColumns are the columns of a file of labels, and their indices in it; -1: there is none.
type labelColumns struct {
	requestID, row, label, time int
	unit                        time.Duration // of the times; 0: they are text
}

// readLabelsParquet reads the rows of a Parquet file, some at a time, and sends them as JSON.
func readLabelsParquet(in io.ReaderAt, size int64, send func(mediaType string, body []byte) error) (err error) {
	defer func() { // the reader panics at some damaged files
		if r := recover(); r != nil {
			err = fmt.Errorf("the file is not valid Parquet: %v", r)
		}
	}()
	file, err := parquet.OpenFile(in, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("the file is not valid Parquet: %w", err)
	}
	columns, err := labelColumnsOf(file.Schema())
	if err != nil {
		return err
	}
	part := make([]map[string]any, 0, labelPart)
	flush := func() error {
		if len(part) == 0 {
			return nil
		}
		body, err := json.Marshal(map[string]any{"labels": part})
		part = part[:0]
		return errors.Join(err, send("application/json", body))
	}
	for _, group := range file.RowGroups() {
		err := eachRow(group, func(row parquet.Row) error {
			if part = append(part, columns.labelOf(row)); len(part) < labelPart {
				return nil
			}
			return flush()
		})
		if err != nil {
			return err
		}
	}
	return flush()
}

// eachRow calls f with the rows of a group.
func eachRow(group parquet.RowGroup, f func(parquet.Row) error) (err error) {
	rows := group.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	buffer := make([]parquet.Row, 256)
	for {
		n, err := rows.ReadRows(buffer)
		for _, row := range buffer[:n] {
			if err := f(row); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), err == nil && n == 0:
			return nil
		case err != nil:
			return fmt.Errorf("the file is not valid Parquet: %w", err)
		}
	}
}

// labelColumnsOf finds the columns of labels.
func labelColumnsOf(schema *parquet.Schema) (c labelColumns, err error) {
	c = labelColumns{-1, -1, -1, -1, 0}
	at := map[string]*int{"request_id": &c.requestID, "row": &c.row, "label": &c.label, "time": &c.time}
	for i, path := range schema.Columns() {
		name := strings.Join(path, ".")
		leaf, ok := schema.Lookup(path...)
		switch index := at[name]; {
		case strings.HasPrefix(name, "__index_level_"): // of pandas
		case index == nil:
			return c, fmt.Errorf("unknown column '%.40s'; expected request_id, label, row and time", name)
		case !ok || leaf.MaxRepetitionLevel > 0:
			return c, fmt.Errorf("column '%s' has lists, expected one value a row", name)
		default:
			*index = i
			if name == "time" {
				c.unit = timeUnit(leaf.Node.Type())
			}
		}
	}
	for _, name := range []string{"request_id", "label"} {
		if *at[name] < 0 {
			return c, fmt.Errorf("column '%s' is missing; expected request_id, label, row and time", name)
		}
	}
	return c, nil
}

// timeUnit returns the unit of a column of timestamps, 0 for one of text.
func timeUnit(t parquet.Type) time.Duration {
	if l := t.LogicalType(); l != nil {
		if stamp, ok := l.Value.(*format.TimestampType); ok && stamp.Unit.Value != nil {
			return stamp.Unit.Value.Duration()
		}
	}
	return 0
}

// labelOf returns a row as JSON of the gateway, which says what is wrong with a value.
func (c *labelColumns) labelOf(row parquet.Row) map[string]any {
	label := map[string]any{}
	for _, v := range row {
		if v.IsNull() {
			continue
		}
		switch v.Column() {
		case c.requestID:
			label["request_id"] = v.String()
		case c.row:
			label["row"] = plainValue(v)
		case c.label:
			label["label"] = plainValue(v)
		case c.time:
			if label["time"] = plainValue(v); c.unit > 0 {
				label["time"] = timeOf(v.Int64(), c.unit)
			}
		}
	}
	return label
}

func timeOf(n int64, unit time.Duration) time.Time {
	perSecond := int64(time.Second / unit)
	return time.Unix(n/perSecond, n%perSecond*int64(unit)).UTC()
}

// plainValue returns a value as JSON can have it. A number that JSON does not have is text, which the
// gateway refuses for its row.
func plainValue(v parquet.Value) any {
	switch v.Kind() {
	case parquet.Boolean:
		return v.Boolean()
	case parquet.Int32:
		return v.Int32()
	case parquet.Int64:
		return v.Int64()
	case parquet.Float, parquet.Double:
		x := v.Double()
		if v.Kind() == parquet.Float {
			x = float64(v.Float())
		}
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Sprint(x)
		}
		return x
	default:
		return string(slices.Clone(v.Bytes()))
	}
}
