package tabular

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// sniffRows is the number of rows from which the delimiter and the kinds of columns are guessed.
const sniffRows = 100

// foreign are the first bytes of files that are not CSV.
var foreign = [...]struct{ magic, is string }{
	{"\xff\xfe", "is UTF-16; save it as UTF-8, for example with iconv -f UTF-16 -t UTF-8"},
	{"\xfe\xff", "is UTF-16; save it as UTF-8, for example with iconv -f UTF-16 -t UTF-8"},
	{"\x00\x00\xfe\xff", "is UTF-32; save it as UTF-8, for example with iconv -f UTF-32 -t UTF-8"},
	{"\x1f\x8b", "is compressed with gzip; decompress it first, for example with zcat"},
	{"PK\x03\x04", "is a zip archive or a spreadsheet; save it as CSV"},
	{"PAR1", "is Parquet, and it cannot be read from a pipe; give the name of the file"},
}

// checkPrefix returns an error if the first bytes are not UTF-8 text.
func checkPrefix(prefix []byte) error {
	if len(prefix) == 0 {
		return infer.Errorf(infer.Invalid, "the file is empty; expected rows of numbers")
	}
	for _, f := range foreign {
		if bytes.HasPrefix(prefix, []byte(f.magic)) {
			return infer.Errorf(infer.Invalid, "the file %s", f.is)
		}
	}
	if i := bytes.IndexByte(prefix, 0); i >= 0 {
		line := 1 + bytes.Count(prefix[:i], []byte("\n"))
		at := i - bytes.LastIndexByte(prefix[:i], '\n')
		return infer.Errorf(infer.Invalid, "line %d, byte %d: a NUL; the file is UTF-16 or not text: save it as CSV in UTF-8", line, at)
	}
	if bytes.IndexByte(prefix, '\n') < 0 && bytes.Count(prefix, []byte("\r")) > 1 {
		return infer.Errorf(infer.Invalid, "the lines end with only CR; save the file with LF or CR LF")
	}
	return nil
}

// parsePrefix returns the complete rows among the first ones. It stops at an error: the reader will
// find it again and report its place.
func parsePrefix(prefix []byte, comma rune, whole bool) [][]string {
	if !whole { // the last line is not complete
		if end := bytes.LastIndexByte(prefix, '\n'); end >= 0 {
			prefix = prefix[:end+1]
		}
	}
	c := csv.NewReader(bytes.NewReader(prefix))
	c.Comma, c.FieldsPerRecord = comma, -1
	var rows [][]string
	for len(rows) < sniffRows {
		row, err := c.Read()
		if err != nil {
			break
		}
		rows = append(rows, row)
	}
	return rows
}

// sniffComma returns the delimiter with which all rows have the same number of fields, more than
// one. Comma is tried last, since it is also in decimals and in text.
func sniffComma(prefix []byte, whole bool) rune {
	for _, comma := range [...]rune{'\t', ';', ','} {
		rows := parsePrefix(prefix, comma, whole)
		same := len(rows) > 0 && len(rows[0]) > 1
		for _, row := range rows {
			same = same && len(row) == len(rows[0])
		}
		if same {
			return comma
		}
	}
	// Rows of unequal length are an error, which is reported with its line once the delimiter is
	// known: the most frequent one in the first line.
	first, _, _ := bytes.Cut(prefix, []byte("\n"))
	best := ','
	for _, comma := range [...]rune{'\t', ';'} {
		if bytes.Count(first, []byte(string(comma))) > bytes.Count(first, []byte(string(best))) {
			best = comma
		}
	}
	return best
}

// sniffHeader reports whether the first row has names: one of its fields is a text above a number,
// or none is a number and one is a text.
func (o *Options) sniffHeader(rows [][]string) bool {
	if len(rows) == 0 {
		return false
	}
	numbers, texts := 0, 0
	for i, field := range rows[0] {
		switch o.kindOf(field) {
		case isNumber:
			numbers++
		case isText:
			texts++
			if len(rows) > 1 && i < len(rows[1]) && o.kindOf(rows[1][i]) == isNumber {
				return true
			}
		default:
		}
	}
	return numbers == 0 && texts > 0
}

// The kinds of fields.
const (
	isMissing = iota
	isNumber
	isText
)

func (o *Options) kindOf(field string) int {
	field = trim(field)
	if o.isMissing(field) {
		return isMissing
	}
	if _, ok := number(field); ok {
		return isNumber
	}
	return isText
}

// sniffColumns marks a column as text if its first rows have more texts than numbers. A column
// without a value may still have numbers later.
func (o *Options) sniffColumns(columns []Column, rows [][]string) {
	for i := range columns {
		numbers, texts, commas, example := 0, 0, 0, ""
		for _, row := range rows {
			if i >= len(row) {
				continue
			}
			switch o.kindOf(row[i]) {
			case isNumber:
				numbers++
			case isText:
				text := trim(row[i])
				if texts++; texts == 1 {
					example = clip(text)
				}
				if hasDecimalComma(text) {
					commas++
				}
			default:
			}
		}
		if texts > numbers {
			columns[i].Text, columns[i].Example, columns[i].DecimalComma = true, example, commas == texts
		}
	}
}

// nameColumns names the columns of the first row. Duplicate names are an error.
func nameColumns(first []string, header bool) ([]Column, error) {
	columns := make([]Column, len(first))
	at := make(map[string]int, len(first))
	var twice []string
	for i := range columns {
		name := ""
		if header {
			name = trim(first[i])
		}
		if name == "" {
			name = "col" + strconv.Itoa(i+1)
		}
		if j, ok := at[name]; ok {
			twice = append(twice, fmt.Sprintf("columns %d and %d are both named '%s'", j+1, i+1, clip(name)))
		}
		at[name], columns[i].Name = i, strings.Clone(name)
	}
	const most = 10
	if more := len(twice) - most; more > 0 {
		twice = append(twice[:most], fmt.Sprintf("and %d more", more))
	}
	if len(twice) > 0 {
		return nil, infer.Errorf(infer.Invalid, "%s; expected different names", strings.Join(twice, ", "))
	}
	return columns, nil
}

// clip shortens and cleans a text for a message.
func clip(text string) string {
	const most = 60
	clean := strings.ToValidUTF8(text, "\uFFFD")
	cut := clean
	for i := range clean {
		if i > most {
			cut = clean[:i] + "…"
			break
		}
	}
	return strings.Clone(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, cut))
}
