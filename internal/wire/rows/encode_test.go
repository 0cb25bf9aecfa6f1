package rows_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/rows"
)

type output struct {
	spec infer.TensorSpec
	rows infer.Shape
	data []byte
}

func floats(values ...float32) (data []byte) {
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return data
}

func texts(values ...string) (data []byte) {
	for _, v := range values {
		data = infer.AppendElement(data, v)
	}
	return data
}

func int64s(values ...int64) (data []byte) {
	for _, v := range values {
		data = binary.LittleEndian.AppendUint64(data, uint64(v))
	}
	return data
}

// encode encodes an answer of two rows.
func encode(t *testing.T, a rows.Answer, outputs ...output) (string, error) {
	t.Helper()
	resp := infer.NewResponse()
	defer resp.Release()
	specs := make([]infer.TensorSpec, 0, len(outputs))
	for i, o := range outputs {
		specs = append(specs, o.spec)
		copy(resp.Add(o.spec.Name, i, o.spec.DType, o.rows, len(o.data)), o.data)
	}
	a.Model, a.Rows = infer.NewModel("m", 1, nil, specs), 2
	// A buffer with exactly the requested room shows if too little was requested.
	a.Grow = func(buf []byte, n int) ([]byte, error) {
		grown := make([]byte, len(buf), len(buf)+n)
		copy(grown, buf)
		return grown, nil
	}
	got, err := rows.AppendPredictions(nil, resp, &a)
	if err == nil && a.NonFinite == rows.NonFiniteNull && !json.Valid(got) {
		t.Errorf("not valid JSON: %s", got)
	}
	return string(got), err
}

func TestPredictions(t *testing.T) {
	nan := float32(math.NaN())
	inf := float32(math.Inf(1))
	y := output{spec("y", infer.FP32, -1, 1), infer.Shape{2, 1}, floats(0.1, nan)}
	z := output{spec("z", infer.Int64, -1, 2), infer.Shape{2, 2}, int64s(1, -2, math.MaxInt64, math.MinInt64)}
	f := func(a rows.Answer, want string, outputs ...output) {
		t.Helper()
		if got, err := encode(t, a, outputs...); err != nil || got != `{"predictions":[`+want+`]}` {
			t.Errorf("%v\n got %s\nwant %s", err, got, want)
		}
	}
	var all rows.Answer
	bare := rows.Answer{Bare: true}
	f(all, `{"y":0.1},{"y":null}`, y)
	f(bare, `0.1,null`, y)
	f(rows.Answer{Bare: true, NonFinite: rows.NonFiniteTokens}, `Infinity,-Infinity`, output{y.spec, infer.Shape{2, 1}, floats(inf, -inf)})
	f(rows.Answer{NonFinite: rows.NonFiniteTokens}, `{"y":0.1},{"y":NaN}`, y)
	f(all, `{"y":0.1,"z":[1,-2]},{"y":null,"z":[9223372036854775807,-9223372036854775808]}`, y, z)
	f(bare, `{"y":0.1,"z":[1,-2]},{"y":null,"z":[9223372036854775807,-9223372036854775808]}`, y, z)
	f(bare, `[1,-2],[9223372036854775807,-9223372036854775808]`, z)
	f(bare, `[[1],[2]],[[3],[4]]`, output{spec("p", infer.Uint8, -1, 2, 1), infer.Shape{2, 2, 1}, []byte{1, 2, 3, 4}})
	f(bare, `[],[]`, output{spec("p", infer.Uint8, -1, 0), infer.Shape{2, 0}, nil})
	f(all, `{"a \"b\"":true},{"a \"b\"":false}`, output{spec(`a "b"`, infer.Bool, -1), infer.Shape{2}, []byte{1, 0}})
	f(bare, `"é😀","\u0000\"\\\n"`, output{spec("s", infer.Bytes, -1), infer.Shape{2}, texts("é😀", "\x00\"\\\n")})
	f(bare, `["a",""],["b","c"]`, output{spec("s", infer.Bytes, -1, 2), infer.Shape{2, 2}, texts("a", "", "b", "c")})
	f(bare, `-128,127`, output{spec("s", infer.Int8, -1), infer.Shape{2}, []byte{128, 127}})
	f(bare, `65535,1`, output{spec("s", infer.Uint16, -1), infer.Shape{2}, []byte{255, 255, 1, 0}})
	f(bare, `1.5,-2`, output{spec("s", infer.FP16, -1), infer.Shape{2}, []byte{0, 0x3e, 0, 0xc0}})
	f(bare, `1e-07,123456790000000000000`, output{spec("s", infer.FP32, -1), infer.Shape{2}, floats(1e-7, 123456789e12)})
}

func TestLabels(t *testing.T) {
	nan := float32(math.NaN())
	f := func(want string, a rows.Answer, outputs ...output) {
		t.Helper()
		if got, err := encode(t, a, outputs...); err != nil || got != `{"predictions":[`+want+`]}` {
			t.Errorf("%v\n got %s\nwant %s", err, got, want)
		}
	}
	proba := output{spec("p", infer.FP32, -1, 3), infer.Shape{2, 3}, floats(0.25, 0.5, 0.25, 1, nan, 1)}
	proba.spec.Labels = []string{"cat", `the "dog"`, "cow"}
	const labelled = `{"p":[0.25,0.5,0.25],"p_label":"the \"dog\""},{"p":[1,null,1],"p_label":"cat"}`
	f(labelled, rows.Answer{}, proba)
	f(labelled, rows.Answer{Bare: true}, proba) // two members: not bare
	// The model itself has an output of the class.
	class := output{spec("class", infer.Int64, -1), infer.Shape{2}, int64s(1, 0)}
	f(`{"class":1,"p":[0.25,0.5,0.25]},{"class":0,"p":[1,null,1]}`, rows.Answer{}, class, proba)
	// A flag is not a class.
	flag := output{spec("flag", infer.Bool, -1), infer.Shape{2}, []byte{1, 0}}
	f(`{"flag":true,"p":[0.25,0.5,0.25],"p_label":"the \"dog\""},{"flag":false,"p":[1,null,1],"p_label":"cat"}`, rows.Answer{}, flag, proba)
	none := output{proba.spec, infer.Shape{2, 3}, floats(nan, nan, nan, -1, -2, float32(math.Inf(-1)))}
	f(`{"p":[null,null,null],"p_label":null},{"p":[-1,-2,null],"p_label":"cat"}`, rows.Answer{}, none)
	empty := output{proba.spec, infer.Shape{2, 3}, floats(1, 0, 0, 0, 1, 0)}
	empty.spec.Labels = []string{"cat", "", "cow"}
	f(`{"p":[1,0,0],"p_label":"cat"},{"p":[0,1,0],"p_label":null}`, rows.Answer{}, empty)
	other := output{proba.spec, infer.Shape{2, 2}, floats(1, 2, 3, 4)} // not the named classes
	f(`{"p":[1,2]},{"p":[3,4]}`, rows.Answer{}, other)
}

func TestPredictionsThatCannotBeWritten(t *testing.T) {
	f := func(a rows.Answer, code infer.Code, want string, o output) {
		t.Helper()
		if got, err := encode(t, a, o); infer.CodeOf(err) != code || !strings.Contains(infer.Message(err), want) || got != "" {
			t.Errorf("got %s %v, want %s", got, err, want)
		}
	}
	f(rows.Answer{}, infer.Unsupported, "output 'y' of shape [1] does not have a row for each of the 2 rows", output{spec("y", infer.FP32, 1), infer.Shape{1}, floats(1)})
	f(rows.Answer{}, infer.Unsupported, "output 'y' of shape []", output{spec("y", infer.FP32), nil, floats(1)})
	f(rows.Answer{}, infer.Invalid, "output 'y', row 1: a string that is not UTF-8", output{spec("y", infer.Bytes, -1), infer.Shape{2}, texts("a", "\xff")})
	f(rows.Answer{NonFinite: rows.NonFiniteError}, infer.Invalid, "output 'y', row 1: JSON cannot express NaN", output{spec("y", infer.FP32, -1), infer.Shape{2}, floats(1, float32(math.NaN()))})
}

// The buffer always has exactly the requested room, so that the reserved memory is the allocated
// memory.
func TestPredictionsGrowBeforeTheyAppend(t *testing.T) {
	resp := infer.NewResponse()
	defer resp.Release()
	const n = 300
	long := strings.Repeat("\x01", 50)
	data := make([]byte, 0, n*54)
	for range n {
		data = infer.AppendElement(data, long)
	}
	copy(resp.Add("s", 0, infer.Bytes, infer.Shape{n}, len(data)), data)
	numbers := resp.Add("f", 1, infer.FP64, infer.Shape{n, 3}, n*24)
	for i := 0; i < len(numbers); i += 8 {
		binary.LittleEndian.PutUint64(numbers[i:], math.Float64bits(-1.7976931348623157e308/float64(i+1)))
	}
	limit := 0
	a := rows.Answer{Rows: n, Grow: func(buf []byte, n int) ([]byte, error) {
		if len(buf) > limit {
			t.Fatalf("%d bytes were written into room for %d", len(buf), limit)
		}
		limit = len(buf) + n
		grown := make([]byte, len(buf), limit)
		copy(grown, buf)
		return grown, nil
	}}
	got, err := rows.AppendPredictions(nil, resp, &a)
	if err != nil || len(got) > limit || !json.Valid(got) {
		t.Errorf("%d bytes, room for %d, %v", len(got), limit, err)
	}
	full := errors.New("full")
	a.Grow = func([]byte, int) ([]byte, error) { return nil, full }
	if _, err := rows.AppendPredictions(make([]byte, 0, 1000), resp, &a); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
}
