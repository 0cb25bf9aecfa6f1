package labels_test

import (
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
)

// FuzzDecode reads any body. Rows without a problem have an id and a label.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		`{"labels":[{"request_id":"a","row":1,"label":"yes","time":"2026-11-30T08:00:00Z"},{"request_id":"b","label":1.5}]}`,
		`{"labels":[{"request_id":"a","label":true},1,null,{}]}`, `{"labels":[]}`, `{"labels":[],"more":1}`, `[]`, ``, `{"labels":{}}`,
		`{"labels":[{"request_id":"a","label":1e999}]}`, `{"labels":[{"request_id":"a","label":NaN}]}`, `{"labels":[1]`, `{"labels":[1],"labels":[2]}`,
		"request_id,row,label,time\na,0,yes,\nb,x,1,2026\n", "label\n1\n", "request_id,label\na\n", "request_id,label,label\n",
	} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, csv bool) {
		rows := 0
		err := labels.Decode(body, csv, func(r labels.Row) error {
			rows++
			if r.Problem == "" && (r.RequestID == "" || r.Label.Text == "" && r.Label.Numeric || r.Row < 0) {
				t.Errorf("%+v", r)
			}
			return nil
		})
		if err != nil && (infer.CodeOf(err) != infer.Invalid || rows > 0) {
			t.Errorf("%d rows, then %v", rows, err)
		}
	})
}

func TestDecode(t *testing.T) {
	f := func(body string, csv bool, want ...labels.Row) {
		t.Helper()
		var got []labels.Row
		err := labels.Decode([]byte(body), csv, func(r labels.Row) error { got = append(got, r); return nil })
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %+v, %v", body, got, err)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: %+v, want %+v", body, got[i], want[i])
			}
		}
	}
	number := func(id string, row int, x float64) labels.Row {
		return labels.Row{RequestID: id, Row: row, Label: labels.NumberLabel(x)}
	}
	wrong := func(id, problem string) labels.Row { return labels.Row{RequestID: id, Problem: problem} }
	f(`{"labels":[{"request_id":"a","label":1.0},{"request_id":"b","row":2,"label":-2.5e3}]}`, false, number("a", 0, 1), number("b", 2, -2500))
	f(` {"labels" : [{"request_id":"a, [","label":"x"}] } `, false, text("a, [", "x"))
	f(`{"labels":[{"request_id":"a"},{"label":1},{"request_id":"a","label":null},{"request_id":"a","label":[1]},5,{"request_id":"a","lable":1}]}`, false,
		wrong("a", "label is missing"), wrong("", "request_id is missing"), wrong("a", "label is missing"),
		wrong("a", "the label is an object or a list, expected a number, text, true or false"),
		wrong("", "a label must be a JSON object, got number"), wrong("a", `unknown field "lable"; expected request_id, row, label and time`))
	f(`{"labels":[{"request_id":"a","row":"1","label":1}]}`, false, wrong("a", "field 'row' must not be a JSON string"))
	f("Label,request_id\n1,a\n", true, number("a", 0, 1))
	f("request_id,label,row\na,,0\n,1,0\n", true, wrong("a", "label is missing"), wrong("", "request_id is missing"))

	refused := func(body string, csv bool, want string) {
		t.Helper()
		err := labels.Decode([]byte(body), csv, func(labels.Row) error { t.Error("a row"); return nil })
		if infer.CodeOf(err) != infer.Invalid || infer.Message(err) != want {
			t.Errorf("%s: %v", body, err)
		}
	}
	const expected = `expected {"labels": [{"request_id": "…", "row": 0, "label": …}, …]}`
	refused(`[]`, false, expected)
	refused(`{"labels":[],"more":[]}`, false, expected)
	refused(`{"label":[]}`, false, "unknown field 'label' of the body; expected labels")
	refused(`{"labels":[{"request_id":"a","label":NaN}]}`, false, "the body is not valid JSON: invalid character 'N' looking for beginning of value; NaN and infinity are not JSON")
	refused("", true, "the body is empty; expected a line with the columns request_id, label, row and time")
	refused("id,label\n", true, "unknown column 'id'; expected request_id, label, row and time, in the first line")
	refused("request_id,label\na,1\nb,1,2\n", true, "the body is not valid CSV: record on line 3: wrong number of fields")
}
