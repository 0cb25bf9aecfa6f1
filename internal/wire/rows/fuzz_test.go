package rows_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/rows"
)

// shapes are models and options for decoding.
func shapes() []*rows.Options {
	optional := func(s infer.TensorSpec) infer.TensorSpec { s.Optional = true; return s }
	mixed := model(spec("num", infer.FP64, -1, 2), spec("cat", infer.Bytes, -1, 2), optional(spec("s", infer.Int8, -1)), optional(spec("r", infer.FP32)))
	list := []*rows.Options{
		options(people()), options(iris()), options(mixed), options(model(spec("x", infer.FP16, -1, -1, 2))),
		options(model(spec("a", infer.Bytes, -1, -1), spec("b", infer.Uint64, -1))), options(model(spec("x", infer.FP32, -1, 0))),
		options(model(optional(spec("r", infer.FP32)), optional(spec("x", infer.BF16, -1, 1<<20, 1<<20)))),
	}
	columns, err := infer.NewColumns(mixed, map[string][]string{"num": {"a", "b"}, "cat": {"c", "d"}})
	if err != nil {
		panic(err)
	}
	named := options(mixed)
	named.Columns = columns
	return append(list, named)
}

// FuzzDecode: for any body, all memory is reserved and bounded, an error returns all of it, and an
// accepted frame fits the model.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		`[{"age":30.5,"city":"B","id":1,"member":true},{"age":null,"city":"\u00e3\ud83d\ude00","id":2.0,"member":false}]`,
		`{"dataframe_split":{"index":[0],"columns":["age","city","id","member"],"data":[[NaN,"B",1,true]]}}`,
		`{"inputs":{"age":[1],"city":["x"],"id":[3],"member":[0]}}`, `{"instances":[[1,2],[3,-Infinity]]}`, `[[[1,2],[3,4]]]`,
		`{"instances":[{"b64":"AAEC"},{"b64":"a\/8="}]}`, `{"inputs":{"age":[1],"city":[{"b64":"eA=="}],"id":[3],"member":[0]}}`, `{"instances":[{"b64":1}]}`,
		`[{"a":1,"b":2,"c":"x","d":"y","s":3}]`, `[{"num":[1,2],"cat":["x","y"],"r":1}]`, `[{"a":["x","y","z"],"b":7}]`, `[[],[]]`, `{"inputs":[]}`,
		"age,city,id,member\n30.5,\"B \"\"x\"\"\",1,True\n,y,2,false\n", "1,2\n3,NaN\r\n", "a,b,c,d\n1,2,x,y\n", "0,1\n5,6\n", "\"\"\n\"\"\n", `[`, "[1,", "\"",
	} {
		for i := range 8 {
			f.Add([]byte(body), byte(i), byte(i%4))
			f.Add([]byte(body), byte(i), byte(4))
		}
	}
	all := shapes()
	f.Fuzz(func(t *testing.T, body []byte, which, format byte) {
		o := *all[int(which)%len(all)]
		held := &memory{limit: 1 << 40}
		o.Memory = held
		before := string(body)
		var frame *rows.Frame
		var err error
		switch format %= 5; format {
		case 4:
			frame, err = rows.DecodeV1(body, &o)
		case 3:
			frame, err = rows.DecodeJSON(body, &o)
		default:
			frame, err = rows.DecodeCSV(body, rows.Header(format), &o)
		}
		if string(body) != before {
			t.Fatal("the body was changed")
		}
		if most := 40*len(body) + 600*min(o.Limits.MaxColumns, len(body)) + 1<<10; held.most > most {
			t.Errorf("%q: %d bytes reserved, more than %d", body, held.most, most)
		}
		if err != nil {
			if held.held != 0 {
				t.Errorf("%q: %d bytes left reserved", body, held.held)
			}
			if code := infer.CodeOf(err); code != infer.Invalid && code != infer.TooLarge {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if err := o.Model.Check(&infer.Request{Inputs: frame.Inputs}); err != nil {
			t.Errorf("%q: %v", body, err)
		}
		for i := range frame.Inputs {
			if rows := frame.Inputs[i].Rows(); rows != int64(frame.Rows) {
				t.Errorf("%q: %d rows in a frame of %d", body, rows, frame.Rows)
			}
		}
		if frame.Release(); held.held != 0 {
			t.Errorf("%q: %d bytes left after the release", body, held.held)
		}
	})
}

// TestFormsAgree writes random data frames in all forms. Each must decode to the same inputs.
func TestFormsAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	texts := []string{"a", `with "quotes", comma`, "zwei\nZeilen", "ü€😀", "1", "null", " blank ", "\t"}
	names := []string{"age", "city", "id", "member"}
	for range 200 {
		n := 1 + rng.IntN(6)
		order := rng.Perm(len(names))
		columns := map[string][]any{}
		header := make([]string, 0, len(names))
		for _, at := range order {
			header = append(header, names[at])
		}
		var records []map[string]any
		var data [][]any
		var lines strings.Builder
		lines.WriteString(strings.Join(header, ",") + "\n")
		for range n {
			record := map[string]any{
				"age": float32(rng.NormFloat64()), "city": texts[rng.IntN(len(texts))], "id": rng.Int64() - rng.Int64(), "member": rng.IntN(2) == 0,
			}
			if rng.IntN(3) == 0 {
				record["age"] = nil
			}
			records = append(records, record)
			var row []any
			var fields []string
			for _, name := range header {
				v := record[name]
				row = append(row, v)
				columns[name] = append(columns[name], v)
				field := fmt.Sprint(v)
				if s, ok := v.(string); ok {
					field = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
				} else if v == nil {
					field = ""
				}
				fields = append(fields, field)
			}
			data = append(data, row)
			lines.WriteString(strings.Join(fields, ",") + "\n")
		}
		want := ""
		for i, form := range []any{
			records,
			map[string]any{"dataframe_records": records},
			map[string]any{"instances": records},
			map[string]any{"inputs": columns},
			map[string]any{"dataframe_split": map[string]any{"columns": header, "data": data}},
			lines.String(),
		} {
			body, csv := form.(string)
			if !csv {
				encoded, err := json.Marshal(form)
				if err != nil {
					t.Fatal(err)
				}
				body = string(encoded)
			}
			got, err := decode(t, body, csv, options(people()))
			if err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			shown := show(got.Inputs)
			if i == 0 {
				want = shown
			}
			if diff := cmp.Diff(want, shown); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", body, diff)
			}
		}
	}
}
