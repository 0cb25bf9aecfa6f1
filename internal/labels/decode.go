package labels

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Decode calls f with the labels of a body, which is JSON or CSV. It ends with the first error of
// f. The other errors are Invalid: the body as a whole is not of its format, in which case f was
// not called. A row that is wrong has a Problem.
func Decode(body []byte, isCSV bool, f func(Row) error) error {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if isCSV {
		return decodeCSV(body, f)
	}
	return decodeJSON(body, f)
}

// decodeJSON reads {"labels": [...]}.
func decodeJSON(body []byte, f func(Row) error) error {
	if !json.Valid(body) {
		var raw json.RawMessage
		return infer.Errorf(infer.Invalid, "the body is not valid JSON: %v; NaN and infinity are not JSON", json.Unmarshal(body, &raw))
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := checkDocument(body); err != nil {
		return err
	}
	for range 3 { // {, "labels" and [, which checkDocument has found
		_, _ = dec.Token()
	}
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return infer.Errorf(infer.Invalid, "the body is not valid JSON: %v", err)
		}
		if err := f(rowOf(raw)); err != nil {
			return err
		}
	}
	return nil
}

// checkDocument checks the outer part of a valid JSON body.
func checkDocument(body []byte) error {
	wrong := infer.Errorf(infer.Invalid, `expected {"labels": [{"request_id": "…", "row": 0, "label": …}, …]}`)
	dec := json.NewDecoder(bytes.NewReader(body))
	for i, want := range []json.Token{json.Delim('{'), "labels", json.Delim('[')} {
		token, err := dec.Token()
		if key, ok := token.(string); i == 1 && ok && key != want {
			return infer.Errorf(infer.Invalid, "unknown field '%.40s' of the body; expected labels", key)
		}
		if err != nil || token != want {
			return wrong
		}
	}
	// What follows the list is found from the end, since it is short.
	end := bytes.TrimRight(body, " \t\r\n")
	end = bytes.TrimRight(end[:len(end)-1], " \t\r\n")
	if end[len(end)-1] != ']' || trailing(body) {
		return wrong
	}
	return nil
}

// trailing reports whether the list of labels is followed by other members.
func trailing(body []byte) bool {
	depth, quoted, lists := 0, false, 0
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
			if depth == 1 {
				lists++
			}
		case c == ',' && depth == 1:
			return true
		}
	}
	return lists > 1
}

// rowOf reads one label. What is wrong with it becomes its Problem.
func rowOf(raw []byte) (r Row) {
	var doc struct {
		RequestID *string         `json:"request_id"`
		Row       *int64          `json:"row"`
		Label     json.RawMessage `json:"label"`
		Time      *time.Time      `json:"time"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	err := dec.Decode(&doc)
	if doc.RequestID != nil {
		r.RequestID = *doc.RequestID
	}
	if doc.Row != nil {
		r.setRow(*doc.Row)
	}
	if doc.Time != nil {
		r.Time = *doc.Time
	}
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		r.Problem = fmt.Sprintf("field '%s' must not be a JSON %s", wrong.Field, wrong.Value)
	case errors.As(err, &wrong):
		r.Problem = "a label must be a JSON object, got " + wrong.Value
	case err != nil:
		r.Problem = strings.TrimPrefix(err.Error(), "json: ") + "; expected request_id, row, label and time"
	case doc.RequestID == nil || *doc.RequestID == "":
		r.Problem = "request_id is missing"
	case len(doc.Label) == 0 || string(doc.Label) == "null":
		r.Problem = "label is missing"
	case r.Problem == "":
		r.setLabel(doc.Label)
	}
	return r
}

// RowOf returns a label that is decoded already, as Decode would. Its value is text, a float64, a bool
// or, if it is missing, nil.
func RowOf(doc *api.LabelRow) Row {
	r := Row{RequestID: doc.RequestID, Time: doc.Time}
	r.setRow(int64(doc.Row))
	switch label := doc.Label.(type) {
	case string:
		r.Label = TextLabel(label, false)
	case float64:
		r.Label = NumberLabel(label)
	case bool:
		r.Label = BoolLabel(label)
	default:
		r.Problem = "label is missing"
	}
	if r.RequestID == "" {
		r.Problem = "request_id is missing"
	}
	return r
}

// maxRow is the largest index of a row.
const maxRow = 1<<31 - 1

func (r *Row) setRow(n int64) {
	if n < 0 || n > maxRow {
		r.Problem = fmt.Sprintf("row is %d, expected 0 to %d", n, maxRow)
		return
	}
	r.Row = int(n)
}

func (r *Row) setLabel(raw []byte) {
	switch raw[0] {
	case '"':
		var text string
		_ = json.Unmarshal(raw, &text) // valid, since the body is
		r.Label = TextLabel(text, false)
	case 't', 'f':
		r.Label = BoolLabel(raw[0] == 't')
	case '{', '[':
		r.Problem = "the label is an object or a list, expected a number, text, true or false"
	default:
		x, err := strconv.ParseFloat(string(raw), 64)
		if err != nil {
			r.Problem = fmt.Sprintf("the label is %.40s, which does not fit into a 64-bit float", raw)
			return
		}
		r.Label = NumberLabel(x)
	}
}

// decodeCSV reads rows under a header with the names request_id and label, and maybe row and time.
func decodeCSV(body []byte, f func(Row) error) error {
	in := csv.NewReader(bytes.NewReader(body))
	in.ReuseRecord = true
	head, err := in.Read()
	if err != nil {
		return csvError(err)
	}
	at := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := at[name]; twice {
			return infer.Errorf(infer.Invalid, "column '%.40s' is given twice", name)
		}
		if !slices.Contains([]string{"request_id", "row", "label", "time"}, name) {
			return infer.Errorf(infer.Invalid, "unknown column '%.40s'; expected request_id, label, row and time, in the first line", name)
		}
		at[name] = i
	}
	for _, name := range []string{"request_id", "label"} {
		if _, ok := at[name]; !ok {
			return infer.Errorf(infer.Invalid, "column '%s' is missing; expected request_id, label, row and time, in the first line", name)
		}
	}
	if err := checkCSV(body); err != nil {
		return err
	}
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return csvError(err)
		}
		if err := f(csvRow(record, at)); err != nil {
			return err
		}
	}
}

// checkCSV reads the whole body once, so that no label is taken from a body that is cut off.
func checkCSV(body []byte) error {
	in := csv.NewReader(bytes.NewReader(body))
	in.ReuseRecord = true
	for {
		_, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return csvError(err)
		}
	}
}

func csvError(err error) error {
	if errors.Is(err, io.EOF) {
		return infer.Errorf(infer.Invalid, "the body is empty; expected a line with the columns request_id, label, row and time")
	}
	return infer.Errorf(infer.Invalid, "the body is not valid CSV: %v", err)
}

func csvRow(record []string, at map[string]int) (r Row) {
	r.RequestID = strings.Clone(record[at["request_id"]])
	label := record[at["label"]]
	switch {
	case r.RequestID == "":
		r.Problem = "request_id is missing"
	case label == "":
		r.Problem = "label is missing"
	default:
		r.Label = TextLabel(strings.Clone(label), true)
	}
	if i, ok := at["row"]; ok && record[i] != "" {
		n, err := strconv.ParseInt(record[i], 10, 64)
		if err != nil {
			r.Problem = fmt.Sprintf("row is '%.40s', expected a whole number", record[i])
			return r
		}
		r.setRow(n)
	}
	if i, ok := at["time"]; ok && record[i] != "" {
		var err error
		if r.Time, err = time.Parse(time.RFC3339, record[i]); err != nil {
			r.Problem = fmt.Sprintf("time is '%.40s', expected one such as 2026-11-30T08:00:00Z", record[i])
		}
	}
	return r
}
