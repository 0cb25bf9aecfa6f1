package rows_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/rows"
)

func TestCSV(t *testing.T) {
	f := func(m *infer.Model, header rows.Header, body, want string) {
		t.Helper()
		got, err := rows.DecodeCSV([]byte(body), header, options(m))
		if err != nil {
			t.Errorf("%q: %v", body, err)
		} else if diff := cmp.Diff(want, show(got.Inputs)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", body, diff)
		}
	}
	const head, lines = "age,city,id,member\n", "30.5,Berlin,1,True\n,\"São Paulo\",9007199254740993,false\n"
	f(people(), rows.HeaderUnknown, head+lines, ann)
	f(people(), rows.HeaderPresent, head+lines, ann)
	f(people(), rows.HeaderUnknown, lines, ann)
	f(people(), rows.HeaderAbsent, lines, ann)
	f(people(), rows.HeaderUnknown, "\xef\xbb\xbf\r\n"+strings.ReplaceAll(head+lines, "\n", "\r\n\r\n"), ann)
	f(people(), rows.HeaderUnknown, strings.TrimSuffix(head+lines, "\n"), ann)
	f(people(), rows.HeaderUnknown, "id,member,\"age\",city\n1,1,30.5,\"Berlin\"\n9007199254740993,0,NaN,São Paulo", ann)
	f(people(), rows.HeaderUnknown, "city,age,id,member\n\"a \"\"b\"\", c\nd\",1,2,true\n\"\",\"2\", 3 ,0\n", `age[2,1]=1 2 city[2]="a \"b\", c\nd" "" id[2,1]=2 3 member[2]=1 0`)
	f(people(), rows.HeaderPresent, head, "age[0,1]= city[0]= id[0,1]= member[0]=")

	f(iris(), rows.HeaderUnknown, "1,2\n3,4", "x[2,2]=1 2 3 4")
	f(iris(), rows.HeaderPresent, "0,1\n1,2\n", "x[1,2]=1 2") // numbers are not names
	f(iris(), rows.HeaderUnknown, "0,1\n1,2\n", "x[2,2]=0 1 1 2")
	f(iris(), rows.HeaderUnknown, "nan,NA\nnull, -Inf \nNone,N/A\ninfinity,+1.5e3\n", "x[4,2]=NaN NaN NaN -Inf NaN NaN +Inf 1500")
	f(model(spec("x", infer.FP64, -1, -1)), rows.HeaderUnknown, "1,2,3\n4,5,6\n", "x[2,3]=1 2 3 4 5 6")
	f(model(spec("x", infer.Int64, -1)), rows.HeaderUnknown, "x\n7\n8.0\n+9\n", "x[3]=7 8 9")
	f(model(spec("x", infer.Bytes, -1)), rows.HeaderUnknown, "y\nz\n", `x[2]="y" "z"`) // not a known name
	f(model(spec("x", infer.Bytes, -1)), rows.HeaderAbsent, "x\nNA\n", `x[2]="x" "NA"`)
}

func TestCSVRefusals(t *testing.T) {
	f := func(m *infer.Model, body, want string) {
		t.Helper()
		if _, err := decode(t, body, true, options(m)); infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%q:\n got %v\nwant %s", body, err, want)
		}
	}
	const head = "age,city,id,member\n"
	f(people(), "", "the body is empty")
	f(people(), "\n\r\n", "the body is empty")
	f(people(), "age,city\n1,B\n", "missing columns 'id', 'member'")
	f(people(), "age,city,id,member,zip\n", "unknown columns 'zip'")
	f(people(), "age,city,id,age\n", "column 'age' is a duplicate")
	f(people(), ",age,city,id,member\n0,1,B,1,true\n", "unknown columns ''; model 'm' expects 'age', 'city', 'id', 'member'; pandas writes the index")
	f(people(), "Age,City,Id,Member\n1,B,1,true\n", "unknown columns 'Age', 'City', 'Id', 'Member'")
	f(people(), "1,B,1\n", "a row of 3 values without names does not fit; model 'm' expects 'age', 'city', 'id', 'member'")
	f(people(), "B,C\n", "unknown columns 'B', 'C'")
	f(people(), head+"1,B,,true\n", "row 0, column 'id': a value is missing, and INT64 cannot express a missing value")
	f(people(), head+"1,,1,true\n", "row 0, column 'city': a value is missing, and BYTES cannot express a missing value")
	f(people(), head+"1,B,1,true\n2,B,1,yes\n", `row 1, column 'member': expected true or false for BOOL, got "yes"`)
	f(people(), head+"x,B,1,true\n", `row 0, column 'age': expected a number for FP32, got "x"`)
	f(people(), head+"0x10,B,1,true\n", `expected a number for FP32, got "0x10"`)
	f(people(), head+"1.2.3,B,1,true\n", `expected a number for FP32, got 1.2.3`)
	f(people(), head+"1e99,B,1,true\n", `1e99 does not fit FP32`)
	f(people(), head+"1,B,1\n", "row 0 has 3 values, expected 4")
	f(people(), head+"1,B,1,true,\n", "row 0 has more values than the 4 columns")
	f(people(), "1,B,1,true\n1,B,x,true\n", `row 1, value 0 of input 'id': expected an integer for INT64, got "x"`)
	f(people(), head+"1,\"B,1,true\n", "byte 21: a quoted field without end")
	f(people(), head+"1,B\"C,1,true\n", "expected a comma or the end of a line, found '\"'")
	f(people(), head+"1,\"B\"C,1,true\n", "expected a comma or the end of a line, found 'C'")
	f(people(), head+"1,\xe9,1,true\n", "the body is not UTF-8")
	f(iris(), "a,b\n1,2\n", "unknown columns 'a', 'b'; model 'm' expects 'x'; name the values of its rows in the setting models.m.columns")
	f(iris(), "x\n1\n", "column 'x' is input 'x' of shape [-1,2], but a CSV field has only one value")
	f(model(spec("x", infer.FP32, -1, 100)), strings.Repeat("1,", 99)+"1\n1\n", "row 1 has 1 values, expected 100")
	f(model(spec("a", infer.FP32, -1, -1), spec("b", infer.FP32, -1)), "1,2,3\n", "name the columns")
}
