package rows_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/rows"
)

// memory is a budget that tracks its held bytes.
type memory struct{ limit, held, most int }

func (m *memory) Reserve(n int) error {
	if n < 0 {
		panic("a negative size")
	}
	if m.held+n > m.limit {
		return infer.Errorf(infer.Overloaded, "no memory")
	}
	m.held += n
	m.most = max(m.most, m.held)
	return nil
}

func (m *memory) Release(n int) { m.held -= n }

func spec(name string, d infer.DType, dims ...int64) infer.TensorSpec {
	return infer.TensorSpec{Name: name, DType: d, Shape: dims}
}

func model(inputs ...infer.TensorSpec) *infer.Model { return infer.NewModel("m", 1, inputs, nil) }

// people has columns of each kind.
func people() *infer.Model {
	return model(spec("age", infer.FP32, -1, 1), spec("city", infer.Bytes, -1), spec("id", infer.Int64, -1, 1), spec("member", infer.Bool, -1))
}

// iris has a matrix with 2 values a row.
func iris() *infer.Model { return model(spec("x", infer.FP32, -1, 2)) }

func limits() rows.Limits {
	return rows.Limits{MaxRows: 1000, MaxColumns: 100, MaxNesting: 20, MaxTensorBytes: 1 << 20}
}

func options(m *infer.Model) *rows.Options {
	return &rows.Options{Model: m, Limits: limits(), Memory: &memory{limit: 1 << 30}}
}

// show formats inputs as text: "x[2,2]=1 2 3 NaN".
func show(tensors []infer.Tensor) string {
	list := make([]string, 0, len(tensors))
	for i := range tensors {
		t := &tensors[i]
		list = append(list, fmt.Sprintf("%s%v=%s", t.Name, t.Shape, strings.Join(values(t), " ")))
	}
	return strings.Join(list, " ")
}

func values(t *infer.Tensor) (list []string) {
	le := binary.LittleEndian
	for data := t.Data; len(data) > 0; {
		if t.DType == infer.Bytes {
			var element []byte
			element, data, _ = infer.NextElement(data)
			list = append(list, strconv.Quote(string(element)))
			continue
		}
		var v any
		switch t.DType {
		case infer.FP32:
			v = math.Float32frombits(le.Uint32(data))
		case infer.FP64:
			v = math.Float64frombits(le.Uint64(data))
		case infer.FP16:
			v = infer.FP16ToFloat32(le.Uint16(data))
		case infer.BF16:
			v = infer.BF16ToFloat32(le.Uint16(data))
		case infer.Int64:
			v = int64(le.Uint64(data))
		case infer.Uint64:
			v = le.Uint64(data)
		case infer.Int8:
			v = int8(data[0])
		case infer.Int32:
			v = int32(le.Uint32(data))
		case infer.Uint16:
			v = le.Uint16(data)
		default:
			v = data[0]
		}
		list = append(list, fmt.Sprint(v))
		data = data[t.DType.Size():]
	}
	return list
}

// decode decodes JSON, or CSV if csv is set, and checks the invariants.
func decode(t *testing.T, body string, csv bool, o *rows.Options) (*rows.Frame, error) {
	t.Helper()
	before := o.Memory.(*memory).held
	var frame *rows.Frame
	var err error
	if csv {
		frame, err = rows.DecodeCSV([]byte(body), rows.HeaderUnknown, o)
	} else {
		frame, err = rows.DecodeJSON([]byte(body), o)
	}
	if err != nil {
		if held := o.Memory.(*memory).held; held != before {
			t.Errorf("%s: an error left %d bytes reserved", body, held-before)
		}
		return nil, err
	}
	t.Cleanup(frame.Release)
	if err := o.Model.Check(&infer.Request{Inputs: frame.Inputs}); err != nil {
		t.Errorf("%s: the inputs do not fit: %v", body, err)
	}
	return frame, nil
}

func accepts(t *testing.T, m *infer.Model, body, want string) {
	t.Helper()
	got, err := decode(t, body, false, options(m))
	if err != nil {
		t.Errorf("%s: %v", body, err)
	} else if diff := cmp.Diff(want, show(got.Inputs)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", body, diff)
	}
}

func refuses(t *testing.T, m *infer.Model, body, want string) {
	t.Helper()
	_, err := decode(t, body, false, options(m))
	if infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
		t.Errorf("%s:\n got %v\nwant %s", body, err, want)
	}
}

const ann = `age[2,1]=30.5 NaN city[2]="Berlin" "São Paulo" id[2,1]=1 9007199254740993 member[2]=1 0`

// The same frame in every form.
func TestForms(t *testing.T) {
	f := func(body string) { t.Helper(); accepts(t, people(), body, ann) }
	records := `[{"age":30.5,"city":"Berlin","id":1,"member":true},{"age":null,"city":"S\u00e3o Paulo","id":9007199254740993,"member":false}]`
	f(records)
	f("\xef\xbb\xbf\n" + records + "\r\n")
	f(`{"dataframe_records":` + records + `,"params":{"a":[1]}}`)
	f(`{"signature_name":"serving_default","instances":` + records + `}`)
	f(`{"inputs":` + records + `}`)
	f(`{"dataframe_split":{"index":[0,1],"columns":["age","city","id","member"],"data":[[30.5,"Berlin",1,true],[NaN,"São Paulo",9007199254740993,false]]}}`)
	f(`{"dataframe_split":{"data":[[true,1,30.5,"Berlin"],[false,9007199254740993,null,"São Paulo"]],"columns":["member","id","age","city"],"name":"x"}}`)
	f(`{"inputs":{"age":[30.5,null],"id":[1,9007199254740993],"member":[true,false],"city":["Berlin","São Paulo"]}}`)
	f(`{"inputs":{"age":[[30.5],[null]],"id":[[1],[9007199254740993]],"member":[[true],[false]],"city":["Berlin",["São Paulo"]]}}`)
	f(`{"instances":[[30.5,"Berlin",1,true],[null,"São Paulo",9007199254740993,false]]}`)
	// Keys in another order, and with escapes.
	f(`[{"age":30.5,"city":"Berlin","id":1,"member":true},{"member":false,"c\u0069ty":"São Paulo","\u0061ge":NaN,"id":9007199254740993}]`)
}

func TestRowsOfOneInput(t *testing.T) {
	f := func(body string) { t.Helper(); accepts(t, iris(), body, "x[2,2]=1 2 3 NaN") }
	f(`{"instances":[[1,2],[3,null]]}`)
	f(`{"inputs":[[1,2.0],[3e0,NaN]]}`)
	f(`[[1,2],[3,null]]`)
	f(`{"instances":[{"x":[1,2]},{"x":[3,null]}]}`)
	f(`{"inputs":{"x":[[1,2],[3,null]]}}`)
	f(`{"dataframe_split":{"data":[[1,2],[3,null]]}}`)
	f(`{"dataframe_split":{"columns":[0,1],"data":[[1,2],[3,null]]}}`)
	f(`{"dataframe_split":{"columns":null,"data":[[1,2],[3,null]]}}`)
	f(`{"dataframe_split":{"columns":["x"],"data":[[[1,2]],[[3,null]]]}}`)

	accepts(t, model(spec("x", infer.FP32, -1)), `[1,2]`, "x[2]=1 2")
	accepts(t, model(spec("x", infer.FP32, -1)), `[[1],[2]]`, "x[2]=1 2")
	accepts(t, model(spec("x", infer.FP32, -1, 1)), `{"instances":[1,[2]]}`, "x[2,1]=1 2")
	accepts(t, model(spec("x", infer.Bytes, -1, 2)), `[["a","b"],["","c"]]`, `x[2,2]="a" "b" "" "c"`)
	// A row with more dimensions, flat or nested.
	picture := spec("x", infer.FP64, -1, 2, 2)
	accepts(t, model(picture), `[[[1,2],[3,4]],[5,6,7,8]]`, "x[2,2,2]=1 2 3 4 5 6 7 8")
	accepts(t, model(picture), `[{"x":[[1,2],[3,4]]}]`, "x[1,2,2]=1 2 3 4")
	// Free dimensions are those of the first row.
	accepts(t, model(spec("x", infer.FP32, -1, -1)), `[[1,2,3],[4,5,6]]`, "x[2,3]=1 2 3 4 5 6")
	accepts(t, model(spec("x", infer.FP32, -1, -1, 2)), `[[[1,2],[3,4],[5,6]]]`, "x[1,3,2]=1 2 3 4 5 6")
	accepts(t, model(spec("x", infer.FP32, -1, -1, 2)), `[[1,2,3,4]]`, "x[1,2,2]=1 2 3 4")
	accepts(t, model(spec("x", infer.FP32, -1, -1, -1)), `[[[1,2,3]]]`, "x[1,1,3]=1 2 3")
	// An optional input may be absent.
	scaled := model(spec("x", infer.FP32, -1, 2), infer.TensorSpec{Name: "s", DType: infer.FP32, Shape: infer.Shape{-1}, Optional: true})
	accepts(t, scaled, `[[1,2]]`, "x[1,2]=1 2")
	accepts(t, scaled, `[{"s":3,"x":[1,2]}]`, "x[1,2]=1 2 s[1]=3")
	// No rows at all.
	accepts(t, iris(), `[]`, "x[0,2]=")
	accepts(t, people(), `{"dataframe_split":{"columns":["age","city","id","member"],"data":[]}}`, "age[0,1]= city[0]= id[0,1]= member[0]=")
	accepts(t, people(), `{"inputs":{"age":[],"city":[],"id":[],"member":[]}}`, "age[0,1]= city[0]= id[0,1]= member[0]=")
}

func TestNamedElements(t *testing.T) {
	m := model(spec("num", infer.FP32, -1, 2), spec("cat", infer.Bytes, -1, 2), spec("wide", infer.FP32, -1, -1))
	columns, err := infer.NewColumns(m, map[string][]string{"num": {"age", "income"}, "cat": {"city", "job"}, "wide": {"a", "b", "c"}})
	if err != nil {
		t.Fatal(err)
	}
	f := func(body, want string) {
		t.Helper()
		o := options(m)
		o.Columns = columns
		got, err := decode(t, body, strings.Contains(body, "\n"), o)
		if err != nil {
			t.Errorf("%s: %v", body, err)
		} else if diff := cmp.Diff(want, show(got.Inputs)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
	const want = `num[2,2]=1 2 3 4 cat[2,2]="B" "x" "C" "y" wide[2,3]=1 2 3 4 5 6`
	f(`[{"job":"x","city":"B","income":2,"age":1,"a":1,"b":2,"c":3},{"age":3,"income":4,"city":"C","job":"y","c":6,"b":5,"a":4}]`, want)
	f("job,age,income,city,a,b,c\nx,1,2,B,1,2,3\ny,3,4,C,4,5,6\n", want)
	f(`{"inputs":{"wide":[[1,2,3],[4,5,6]],"cat":[["B","x"],["C","y"]],"num":[[1,2],[3,4]]}}`, want) // whole inputs
	bad := func(body, message string) {
		t.Helper()
		o := options(m)
		o.Columns = columns
		if _, err := decode(t, body, false, o); err == nil || !strings.Contains(infer.Message(err), message) {
			t.Errorf("%s: %v, want %s", body, err, message)
		}
	}
	bad(`[{"age":1,"num":[1,2],"cat":["a","b"],"wide":[1]}]`, "input 'num' is given both as a whole and by columns such as 'age'")
	bad(`[{"age":1,"cat":["a","b"]}]`, "missing columns 'income', 'a', 'b', 'c'")
	bad(`[{"Age":1}]`, "unknown columns 'Age'; model 'm' expects 'age', 'income', 'city', 'job', 'a', 'b', 'c'")
}

// A column is the input that skl2onnx names after it.
func TestExportedNames(t *testing.T) {
	m := model(spec("sepal_length__cm_", infer.FP32, -1, 1), spec("a_b", infer.FP32, -1, 1))
	accepts(t, m, `[{"sepal length (cm)":1,"a/b":2}]`, "sepal_length__cm_[1,1]=1 a_b[1,1]=2")
	accepts(t, m, `{"inputs":{"a b":[2],"sepal length (cm)":[1]}}`, "sepal_length__cm_[1,1]=1 a_b[1,1]=2")
	refuses(t, m, `[{"sepal length (cm)":1,"a/b":2,"a_b":3}]`, "column 'a_b' is input 'a_b', but another column is the same input")
	refuses(t, m, `[{"a/b":2,"c":3}]`, "unknown columns 'c'; model 'm' expects 'sepal_length__cm_', 'a_b'; missing: 'sepal_length__cm_'")
}

func TestTypes(t *testing.T) {
	f := func(d infer.DType, value, want string) {
		t.Helper()
		accepts(t, model(spec("x", d, -1)), "["+value+"]", "x[1]="+want)
	}
	f(infer.FP32, "16777217", "1.6777216e+07")
	f(infer.FP32, "true", "1")
	f(infer.FP32, "Infinity", "+Inf")
	f(infer.FP64, "-Infinity", "-Inf")
	f(infer.FP64, "0.1", "0.1")
	f(infer.FP16, "65504", "65504")
	f(infer.FP16, "null", "NaN")
	f(infer.BF16, "1.5", "1.5")
	f(infer.Int64, "-9223372036854775808", "-9223372036854775808")
	f(infer.Int64, "3.0", "3")
	f(infer.Int64, "1e3", "1000")
	f(infer.Int8, "-128", "-128")
	f(infer.Int32, "false", "0")
	f(infer.Uint64, "18446744073709551615", "18446744073709551615")
	f(infer.Uint16, "65535.0", "65535")
	f(infer.Uint8, "-0", "0")
	f(infer.Bool, "true", "1")
	f(infer.Bool, "0", "0")
	f(infer.Bytes, `"a\u0000\"\ud83d\ude00\/"`, `"a\x00\"😀/"`)

	bad := func(d infer.DType, value, want string) {
		t.Helper()
		refuses(t, model(spec("x", d, -1)), "["+value+"]", "row 0, input 'x': "+want)
	}
	bad(infer.FP32, `"1"`, `expected a number for FP32, got "1"`)
	bad(infer.FP32, `1e39`, `1e39 does not fit FP32`)
	bad(infer.FP16, `70000`, `70000 does not fit FP16`)
	bad(infer.BF16, `3.4e38`, `3.4e38 does not fit BF16`)
	bad(infer.FP64, strings.Repeat("9", 400), strings.Repeat("9", 40)+"… does not fit FP64")
	bad(infer.Int64, `1.5`, `expected an integer for INT64, got 1.5`)
	bad(infer.Int64, `9223372036854775808`, `9223372036854775808 does not fit INT64`)
	bad(infer.Int64, `1e18`, `1e18 does not fit INT64`) // not exact as a float
	bad(infer.Int64, `null`, `a value is missing, and INT64 cannot express a missing value`)
	bad(infer.Int64, `NaN`, `a value is missing, and INT64 cannot express a missing value`)
	bad(infer.Int64, `Infinity`, `Infinity does not fit INT64`)
	bad(infer.Int8, `128`, `128 does not fit INT8`)
	bad(infer.Uint8, `-1`, `-1 does not fit UINT8`)
	bad(infer.Uint8, `256.0`, `256.0 does not fit UINT8`)
	bad(infer.Uint64, `"7"`, `expected an integer for UINT64, got "7"`)
	bad(infer.Bool, `2`, `expected true or false for BOOL, got 2`)
	bad(infer.Bool, `null`, `a value is missing, and BOOL cannot express a missing value`)
	bad(infer.Bytes, `1`, `expected a string for BYTES, got 1`)
	bad(infer.Bytes, `null`, `a value is missing, and BYTES cannot express a missing value`)
	bad(infer.Bytes, `true`, `expected a string for BYTES, got true`)
}

func TestRefusals(t *testing.T) {
	f := func(body, want string) { t.Helper(); refuses(t, people(), body, want) }
	const one = `{"age":1,"city":"B","id":1,"member":true}`
	f("", "byte 0: expected an object or a list, but the document ends")
	f("1", "byte 0: expected an object or a list, found '1'")
	f("{}", "expected one of 'dataframe_split', 'dataframe_records', 'instances' and 'inputs', or a list of records")
	f("["+one+"] x", "byte 44: expected the end of the document, found 'x'")
	f(`{"instances":[],"inputs":[]}`, "'instances' and 'inputs' are both given")
	f(`{"instances":[],"instances":[]}`, "'instances' and 'instances' are both given, expected one of them, once")
	f(`{"instances":1}`, "byte 13: expected a list of rows in 'instances', found '1'")
	f(`{"dataframe_split":[]}`, "expected an object")
	f(`{"dataframe_split":{"columns":["a"]}}`, "'dataframe_split' needs 'data', a list of rows")
	f(`{"dataframe_split":{"columns":["age"],"columns":["age"],"data":[]}}`, "'columns' is a duplicate in 'dataframe_split'")
	f(`{"dataframe_split":{"columns":[["a","b"]],"data":[[1]]}}`, "expected a value, found '['")
	f(`{"dataframe_split":{"columns":[null],"data":[[1]]}}`, "'columns' must have the names of columns, got a missing value")
	f(`{"dataframe_split":{"columns":["age","city","id","member"],"data":{"a":1}}}`, "expected a list of rows in 'data'")
	f(`{"dataframe_split":{"columns":["age","city","id","member"],"data":[[1,"B",1]]}}`, "row 0 has 3 values, expected 4")
	f(`{"dataframe_split":{"columns":["age","city","id","member"],"data":[[1,"B",1,true],[1,"B",1]]}}`, "row 1 has 3 values, expected 4")
	f(`{"dataframe_split":{"columns":["age","city","id","member"],"data":[[1,"B",1,true],[1,"B",1,true,5]]}}`, "row 1 has more values than the 4 columns")
	f(`{"dataframe_split":{"columns":["age","city","id","member"],"data":[[1,"B",1,true],5]}}`, "expected a list, found '5'")
	f(`[`+one+`,{"age":1,"id":1,"city":"B"}]`, "row 1: missing columns 'member'")
	f(`[`+one+`,{"age":1,"age":1,"city":"B"}]`, "row 1: column 'age' is a duplicate")
	f(`[{"age":1,"\u0061ge":1}]`, "column 'age' is a duplicate")
	f(`[`+one+`,{"age":1,"zip":"B"}]`, "row 1: column 'zip' is not in row 0")
	f(`[`+one+`,5]`, "expected an object, found '5'")
	f(`[{"age":1,"zip":2,"plz":3}]`, "unknown columns 'zip', 'plz'; model 'm' expects 'age', 'city', 'id', 'member'")
	f(`[{}]`, "missing columns 'age', 'city', 'id', 'member'")
	f(`[{"age":1,"city":"B","id":"1","member":true}]`, `row 0, column 'id': expected an integer for INT64, got "1"`)
	f(`[{"age":[1,2],"city":"B","id":1,"member":true}]`, `row 0, column 'age': expected 1 values in a list`)
	f(`[{"age":{},"city":"B","id":1,"member":true}]`, "row 0, column 'age': byte 8: expected a value, found '{'")
	f(`{"inputs":{"age":[1],"city":["B"],"id":[1,2],"member":[true]}}`, "column 'id' has 2 values, the columns before it have 1")
	f(`{"inputs":{"age":1}}`, "column 'age' must be a list with a value for each row")
	f(`{"inputs":{"age":[1],"age":[1]}}`, "column 'age' is a duplicate")
	f(`{"inputs":{}}`, "missing columns 'age', 'city', 'id', 'member'")
	f(`[1,2]`, "expected a list of values for the 4 inputs")
	f(`[[1,"B",1]]`, "a row of 3 values without names does not fit; model 'm' expects 'age', 'city', 'id', 'member'")
	f(`[[1,"B",1,true],[1,"B",1]]`, "row 1 has 3 values, expected 4")
	f(`[[1,"B","x",true]]`, `row 0, value 0 of input 'id': expected an integer for INT64, got "x"`)
	f(`{"inputs":[{"name":"age","shape":[1],"datatype":"FP32","data":[1]}]}`, "tensors with a datatype and a shape go to the endpoint infer")

	refuses(t, iris(), `[{"a":1,"b":2}]`, "unknown columns 'a', 'b'; model 'm' expects 'x'; name the values of its rows in the setting models.m.columns, or send rows without names, which are matched by order")
	refuses(t, iris(), `[[1,2],[3]]`, "row 1, input 'x': expected 2 values in a list for input 'x' of shape [-1,2], got 1")
	refuses(t, iris(), `[[1,2],[3,4,5]]`, "row 1, input 'x': expected 2 values in a list for input 'x' of shape [-1,2], got more")
	refuses(t, iris(), `[1,2,3,4,5,6]`, "row 0, input 'x': expected a list of 2 values")
	refuses(t, iris(), `[[[1,2]]]`, "expected a value, found '['")
	refuses(t, model(spec("x", infer.FP32, -1, 2, 2)), `[[[1,2],[3,4]],[[1,2,3],[4]]]`, "expected 2 values in a list")
	refuses(t, model(spec("x", infer.FP32, -1, -1)), `[[1,2],[3]]`, "row 1, input 'x': expected 2 values in a list")
	refuses(t, model(spec("x", infer.FP32, -1, -1, 2)), `[[1,2,3]]`, "a row of 3 values does not fit input 'x' of shape [-1,-1,2]")
	refuses(t, model(spec("x", infer.FP32, -1, -1, 2)), `[[[1,2,3]]]`, "a row of shape [1,3] does not fit input 'x'")
	refuses(t, model(spec("x", infer.FP32, -1, -1)), `[1]`, "a row of shape [] does not fit")
	refuses(t, model(spec("x", infer.FP32, -1, 1000)), `[[1]]`, "the body is too short for one row, which has 1000 values")

	_, err := decode(t, "[1]", false, options(model(spec("x", infer.FP32))))
	if infer.CodeOf(err) != infer.Unsupported || !strings.Contains(infer.Message(err), "its input 'x' is a single value") {
		t.Errorf("rank 0: %v", err)
	}
}

func TestSyntax(t *testing.T) {
	f := func(body, want string) { t.Helper(); refuses(t, iris(), body, want) }
	for _, body := range []string{
		"[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", `{"a"`, `{"a":`, `{"a":1,}`, `{a:1}`, "[01]", "[1.]", "[.5]", "[-]", "[1e]", "[1e+]", "[+1]", "[nul]", "[tru]",
		"[\"\x01\"]", `["a`, `["\x"]`, `["\u12"]`, `["\ud800"]`, `["\ud800\u0041"]`, `["\udc00"]`, "[\"\xff\"]", "[1]]", "[--1]", "[0x1]", "[1_0]", "[inf]", "[Inf]", "[-NaN]", `["\u+123"]`, `[""`, `["\`,
	} {
		f(body, "byte ")
	}
	f(strings.Repeat("[", 21)+strings.Repeat("]", 21), "nested more than 20 deep")
	f(strings.Repeat(`{"a":`, 100_000), "nested more than 20 deep")
}

func TestLimits(t *testing.T) {
	f := func(change func(*rows.Options), m *infer.Model, body string, csv bool, code infer.Code, want string) {
		t.Helper()
		o := options(m)
		change(o)
		if _, err := decode(t, body, csv, o); infer.CodeOf(err) != code || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%.60s: %v, want %s", body, err, want)
		}
	}
	row := func(o *rows.Options) { o.Limits.MaxRows = 2 }
	f(row, iris(), `[[1,2],[1,2],[1,2]]`, false, infer.Invalid, "3 rows are more than the limit of 2")
	f(row, iris(), "1,2\n1,2\n1,2\n", true, infer.Invalid, "3 rows are more than the limit of 2")
	f(row, iris(), `{"inputs":{"x":[[1,2],[1,2],[1,2]]}}`, false, infer.Invalid, "3 rows are more")
	wide := func(o *rows.Options) { o.Limits.MaxColumns = 2 }
	for _, body := range []string{
		`[{"a":1,"b":1,"c":1}]`, `{"inputs":{"a":[1],"b":[1],"c":[1]}}`, `{"dataframe_split":{"columns":["a","b","c"],"data":[]}}`,
		`{"instances":[[1,2,3]]}`,
	} {
		f(wide, people(), body, false, infer.Invalid, "3 columns are more than the limit of 2")
	}
	f(wide, people(), "a,b,c\n", true, infer.Invalid, "3 columns are more than the limit of 2")
	tensor := func(o *rows.Options) { o.Limits.MaxTensorBytes = 15 }
	f(tensor, iris(), `[[1,2],[1,2]]`, false, infer.TooLarge, "input 'x' takes 16 bytes, more than the limit of 15")
	f(tensor, model(spec("x", infer.Bytes, -1)), `["abcdef","gh"]`, false, infer.TooLarge, "input 'x' takes 16 bytes")
	memory := func(o *rows.Options) { o.Memory.(*memory).limit = 100 }
	f(memory, iris(), "["+strings.Repeat("[1,2],", 20)+"[1,2]]", false, infer.Overloaded, "no memory")
	f(memory, people(), `[{"age":1}]`, false, infer.Overloaded, "no memory")
	f(memory, people(), "age\n", true, infer.Overloaded, "no memory")
}
