package tabular_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/tabular"
)

// table is the content of a file. A missing value is -99.
type table struct {
	columns []tabular.Column
	rows    [][]float64
}

func read(text string, o tabular.Options, use ...string) (table, error) {
	r, err := tabular.New(strings.NewReader(text), complete(o))
	if err != nil {
		return table{}, err
	}
	if use != nil {
		if err := r.Use(use); err != nil {
			return table{}, err
		}
	}
	t := table{columns: r.Columns()}
	for {
		values, missing, err := r.Next()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return t, err
		}
		row := make([]float64, len(values))
		for i := range row {
			if row[i] = values[i]; missing[i] {
				row[i] = -99
			}
		}
		t.rows = append(t.rows, row)
	}
}

func numbers(names ...string) []tabular.Column {
	columns := make([]tabular.Column, len(names))
	for i := range names {
		columns[i].Name = names[i]
	}
	return columns
}

func TestRead(t *testing.T) {
	f := func(text string, o tabular.Options, columns []tabular.Column, rows ...[]float64) {
		t.Helper()
		got, err := read(text, o)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			return
		}
		if diff := cmp.Diff(columns, got.columns); diff != "" {
			t.Errorf("%q: columns (-want +got)\n%s", text, diff)
		}
		if diff := cmp.Diff(rows, got.rows, cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("%q: rows (-want +got)\n%s", text, diff)
		}
	}
	var auto tabular.Options
	yes, no := tabular.Options{Header: tabular.HeaderYes}, tabular.Options{Header: tabular.HeaderNo}
	inf := math.Inf(1)

	f("a,b\n1,2\n3,4\n", auto, numbers("a", "b"), []float64{1, 2}, []float64{3, 4})
	f("a,b\r\n1,2\r\n3,4", auto, numbers("a", "b"), []float64{1, 2}, []float64{3, 4})
	f("\xef\xbb\xbfa;b\n1;2\n", auto, numbers("a", "b"), []float64{1, 2})
	f("a\tb\n1\t2\n", auto, numbers("a", "b"), []float64{1, 2})
	f("1;2\n", tabular.Options{Comma: ';'}, numbers("col1", "col2"), []float64{1, 2})
	f("1,2\n3,4\n", auto, numbers("col1", "col2"), []float64{1, 2}, []float64{3, 4})
	f("1,2\n3,4\n", yes, numbers("1", "2"), []float64{3, 4})
	f("150,4,setosa\n5.1,3.5,0\n", auto, numbers("150", "4", "setosa"), []float64{5.1, 3.5, 0})
	f(",a\n0,1\n", auto, numbers("col1", "a"), []float64{0, 1})
	f("a\n1\n\n2\n", auto, numbers("a"), []float64{1}, []float64{2})
	f("a\n", auto, numbers("a"))
	f(`"a ""b""","c`+"\n"+`d"`+"\n1,\"2\"\n", auto, numbers(`a "b"`, "c\nd"), []float64{1, 2})
	f("a,b\n NaN,+Inf\nnan,-Infinity\n1e999,inf \n", auto, numbers("a", "b"),
		[]float64{math.NaN(), inf}, []float64{math.NaN(), -inf}, []float64{inf, inf})
	f("a,b\n#N/A,NULL\n1,2\n", auto, numbers("a", "b"), []float64{-99, -99}, []float64{1, 2})
	f("\xef\xbb\xbf\"a\";\"b\"\r\n1;2\r\n", auto, numbers("a", "b"), []float64{1, 2})
	f("=x,sum\n1,=SUM(A1:A9)\n2,@a+b\n", auto, []tabular.Column{{Name: "=x"}, {Name: "sum", Text: true, Example: "=SUM(A1:A9)"}}, []float64{1}, []float64{2})
	f("a,b\n,NA\nn/a,null\nNone,?\n0x1p-1,-.5E1\n", auto, numbers("a", "b"),
		[]float64{-99, -99}, []float64{-99, -99}, []float64{-99, -99}, []float64{.5, -5})
	f("a,b\nTrue,false\n", auto, numbers("a", "b"), []float64{1, 0})
	f("a\n-999\n5\n", tabular.Options{Missing: []string{"-999"}}, numbers("a"), []float64{-99}, []float64{5})
	f("x,kind,y\n1,red,2\n3,,4\n", auto, []tabular.Column{{Name: "x"}, {Name: "kind", Text: true, Example: "red"}, {Name: "y"}},
		[]float64{1, 2}, []float64{3, 4})
	f("5.1,setosa\n4.9,setosa\n", auto, []tabular.Column{{Name: "col1"}, {Name: "col2", Text: true, Example: "setosa"}},
		[]float64{5.1}, []float64{4.9})
	f("x,y\n1,2\n3,gone\n4,5\n", tabular.Options{TextIsMissing: true}, numbers("x", "y"), []float64{1, 2}, []float64{3, -99}, []float64{4, 5})
	f("a,5\n", no, []tabular.Column{{Name: "col1", Text: true, Example: "a"}, {Name: "col2"}}, []float64{5})
}

func TestUse(t *testing.T) {
	const text = "a,b,kind,c\n1,2,red,3\n"
	got, err := read(text, tabular.Options{}, "c", "a")
	if diff := cmp.Diff([][]float64{{3, 1}}, got.rows); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	f := func(want string, use ...string) {
		t.Helper()
		if _, err := read(text, tabular.Options{}, use...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("use %q: %v, want %q", use, err, want)
		}
	}
	f("no column 'd'; it has 'a', 'b', 'kind', 'c'", "d")
	f("'kind' has text, for example 'red'", "a", "kind")
	f("'a' is a duplicate", "a", "b", "a")
}

// TestDecimalCommas: they are refused, and the column is not left out as text.
func TestDecimalCommas(t *testing.T) {
	f := func(text, want string, except ...string) {
		t.Helper()
		r, err := tabular.New(strings.NewReader(text), complete(tabular.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		names, err := r.Numbers(func(name string) bool { return slices.Contains(except, name) })
		got := strings.Join(names, " ")
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
		if err != nil {
			if err := r.Use([]string{"a"}); err == nil || err.Error() != want {
				t.Errorf("%q: %v, want %s", text, err, want)
			}
		}
	}
	const comma = "column 'a' has commas in its numbers, for example '1,5'; write decimals with a point, and thousands without a separator"
	f("a;b\n1,5;2\n-2,25;3\n", comma)
	f("a,b\n\"1,5\",2\n\"1,234\",3\n", comma)
	f("a\tb\n1,5\t2\n;\t3\n", "b") // some, but not all
	f("a;b\n1,5;2\nNA;3\n", comma)
	f("a;b\n1,5;2\n", "b", "a")
	f("a;b\n1,2,3;2\n", "b")
}

func TestKeep(t *testing.T) {
	r, err := tabular.New(strings.NewReader("a,when,b\n1, noon ,2\n3,\xe9,4\n"), complete(tabular.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Keep("then"); err == nil || !strings.Contains(err.Error(), "no column 'then'; it has 'a', 'when', 'b'") {
		t.Errorf("%v", err)
	}
	kept, err := r.Keep("when")
	if err != nil {
		t.Fatal(err)
	}
	if values, _, err := r.Next(); err != nil || kept.Text() != "noon" || !cmp.Equal(values, []float64{1, 2}) {
		t.Errorf("%v, '%s', %v", values, kept.Text(), err)
	}
	if got := kept.Errorf("is not %s", "a time").Error(); !strings.Contains(got, "line 2, column 2 ('when'): 'noon' is not a time") {
		t.Errorf("%s", got)
	}
	if _, _, err := r.Next(); err == nil || !strings.Contains(err.Error(), "line 3, column 2 ('when')") {
		t.Errorf("%v", err)
	}
}

func TestRefused(t *testing.T) {
	f := func(text, want string, o tabular.Options) {
		t.Helper()
		_, err := read(text, o)
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	var auto tabular.Options
	f("", "empty", auto)
	f("\n\n\n", "blank lines", auto)
	f("a,b\n1,2\n3\n", "line 3 has 1 fields; expected 2", auto)
	f("a,b\n1,2\n\n3,4,5\n", "line 4 has 3 fields; expected 2", auto)
	f("a,b\n1,\"2\n3,4\n", "line 2: a quote that opens in this row", auto)
	f("a,b\n1,2\n1,2\"\n", "line 3, byte 4: bare", auto)
	f("a,a\n1,2\n", "columns 1 and 2 are both named 'a'; expected different names", auto)
	f("a,b,a,c,b,a\n1,2,3,4,5,6\n", "columns 1 and 3 are both named 'a', columns 2 and 5 are both named 'b', columns 3 and 6 are both named 'a'; expected different names", auto)
	f(strings.Repeat("a,", 20)+"a\n", "columns 10 and 11 are both named 'a', and 10 more; expected different names", auto)
	f("\xef\xbb\xbfa;a\n1;2\n", "columns 1 and 2 are both named 'a'", auto)
	f("a,b\n1,5,2,5\n", "line 2 has 4 fields; expected 2, as in the first row; if a number has a decimal comma, write it with a point", auto)
	f("a,b\n1,2\n3,=1+2\n", "line 3, column 2 ('b'): '=1+2' is not a number", auto)
	f("a,b\n1,2\n3,x y\n", "line 3, column 2 ('b'): 'x y' is not a number; declare it as a missing value", auto)
	f("a;b\n1,5;2\n1;2\n1;2\n", "line 2, column 1 ('a'): '1,5' is not a number; write decimals with a point", auto)
	f("a,b\n1,2\n1,\xe9t\xe9\n", "line 3, column 2 ('b'): '\uFFFDt\uFFFD' is not UTF-8", auto)
	f("a,caf\xe9\n1,2\n", "line 1, column 2", auto)
	f("a,b\n1,2\n1,x\x00\n", "line 3, byte 4: a NUL", auto)
	f("a,b\n"+strings.Repeat("1,2\n", 6e5)+"1,\x00\n", "line 600002, column 2 ('b'): a NUL", auto)
	f("\xff\xfea\x00", "UTF-16", auto)
	f("\xfe\xff\x00a", "UTF-16", auto)
	f("a\x00,\x00", "line 1, byte 2: a NUL", auto)
	f("\x1f\x8b\x08", "gzip", auto)
	f("PAR1....", "Parquet", auto)
	f("a,b\r1,2\r3,4\r", "only CR", auto)
	f("a,b,c\n1,2,3\n", "line 1: 3 columns; expected at most 2", tabular.Options{MaxColumns: 2})
	f("a,b\n1,2\n1,"+strings.Repeat("7", 100)+"\n", "line 3, column 2 ('b'): a field of 100 bytes; expected at most 50", tabular.Options{MaxFieldBytes: 50})
	f("a,b\n1,2\n1,"+strings.Repeat("7", 500)+"\n", "the row after line 2 is longer than 200 bytes", tabular.Options{MaxRowBytes: 200})
	f("a,b\n"+strings.Repeat("1,2\n", 1e6)+"1,oops\n", "line 1000002, column 2 ('b'): 'oops'", auto)
}

// repeat yields a text again and again.
type repeat struct {
	text string
	at   int
	read int64
}

func (r *repeat) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c := copy(p[n:], r.text[r.at:])
		n, r.at = n+c, (r.at+c)%len(r.text)
	}
	r.read += int64(n)
	return n, nil
}

func TestEndlessRows(t *testing.T) {
	f := func(start, text string) {
		t.Helper()
		endless := &repeat{text: text}
		r, err := tabular.New(io.MultiReader(strings.NewReader(start), endless), complete(tabular.Options{}))
		for err == nil {
			_, _, err = r.Next()
		}
		if infer.CodeOf(err) != infer.Invalid {
			t.Errorf("%q and %q: %v", start, text, err)
		}
		if endless.read > 8*maxRowBytes {
			t.Errorf("%q and %q: read %d bytes", start, text, endless.read)
		}
	}
	f("", "7")
	f("", "7,")
	f("a,b\n1,2\n", "7")
	f("a,b\n1,2\n\"", "7,8\n")
	f("a,b\n1,2\n", ",")
	f("", "\n")
	f("a,b\n1,2\n", "\n")
	f("", "\x00")
}

func TestReaderFails(t *testing.T) {
	broken := errors.New("the disk is gone")
	f := func(text string) {
		t.Helper()
		r, err := tabular.New(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)), complete(tabular.Options{}))
		for err == nil {
			_, _, err = r.Next()
		}
		if !errors.Is(err, broken) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	f("")
	f("a,b\n1,")
	f("a,b\n" + strings.Repeat("1,2\n", 1e6))
}

// TestMemory: the memory does not depend on the size of the file.
func TestMemory(t *testing.T) {
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	rows := strings.Repeat("0.125,17,-3.5e-7,99999\n", 1000)
	r, err := tabular.New(io.LimitReader(&repeat{text: rows}, 12<<20), complete(tabular.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	n, sum := 0, 0.0
	for {
		values, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && n < 500_000 { // the last row is cut off
			t.Fatal(err)
		}
		if err != nil {
			break
		}
		sum += values[1]
		if n++; n%200_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&during)
			if grown := int64(during.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
				t.Errorf("after %d rows the heap has grown by %d bytes", n, grown)
			}
		}
	}
	if n < 500_000 || sum != 17*float64(n) {
		t.Errorf("%d rows, sum %v", n, sum)
	}
}

func FuzzReader(f *testing.F) {
	for _, text := range []string{
		"a,b\n1,2\n3,4\n", "\xef\xbb\xbfa;b\r\n1;2\r\n", "1\t2\n", "\"a\"\"\",b\n\"1\n\",2", "a,b\n1,\"", "a\x00", "\xff\xfe", "a,a\n",
		"x,y\nnan,inf\n,NA\n", "a,b\n1,2\n3\n", "a\r1\r2", "a,b\n1,\xff\n", ",,,\n,,,\n", "\"", "\n\n1", "150,4,x\n1,2,3\n",
		"a;b\n1,5;2\n", "\xef\xbb\xbf\"a\";b\n=1+2;NULL\n", "a,b\n1,5,2,5\n", "\xef\xbb\xbf\xef\xbb\xbfa\n1\n", "a,b,a\n1,2,3\n",
	} {
		f.Add([]byte(text), byte(0), byte(0))
	}
	f.Fuzz(func(t *testing.T, text []byte, header, comma byte) {
		commas := []rune{0, ',', ';', '\t'}
		o := tabular.Options{Header: tabular.Header(header % 3), Comma: commas[int(comma)%len(commas)], MaxRowBytes: 256, MaxFieldBytes: 64, MaxColumns: 16, Missing: tabular.UsualMissing()}
		r, err := tabular.New(iotest.OneByteReader(strings.NewReader(string(text))), o)
		if err != nil {
			if infer.CodeOf(err) != infer.Invalid || len(err.Error()) > 2000 {
				t.Errorf("%v", err)
			}
			return
		}
		used := 0
		for _, c := range r.Columns() {
			if !c.Text {
				used++
			}
		}
		for line := 0; ; line = r.Line() {
			values, missing, err := r.Next()
			if err == nil {
				if len(values) != used || len(missing) != used || r.Line() <= line {
					t.Fatalf("%d values, %d marks; used %d; line %d after %d", len(values), len(missing), used, r.Line(), line)
				}
				continue
			}
			if !errors.Is(err, io.EOF) && (infer.CodeOf(err) != infer.Invalid || !strings.Contains(err.Error(), "line ")) {
				t.Errorf("%v", err)
			}
			if errors.Is(err, io.EOF) && r.Bytes() != int64(len(text)) {
				t.Errorf("read %d of %d bytes", r.Bytes(), len(text))
			}
			return
		}
	})
}

func BenchmarkNext(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	text.WriteString("a,b,c,d,e,f,g,h\n")
	for range 10_000 {
		for i := range 8 {
			if i > 0 {
				text.WriteByte(',')
			}
			fmt.Fprintf(&text, "%.5f", rng.NormFloat64())
		}
		text.WriteByte('\n')
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		r, err := tabular.New(strings.NewReader(text.String()), complete(tabular.Options{}))
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, _, err = r.Next()
		}
	}
}
