package tabular_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/tabular"
)

type parquetRow struct {
	Age    *float64  `parquet:"age,optional"`
	Count  int32     `parquet:"count"`
	Big    uint64    `parquet:"big"`
	Paid   bool      `parquet:"paid"`
	Kind   *string   `parquet:"kind,optional"`
	At     time.Time `parquet:"at,timestamp(millisecond)"`
	Points []float32 `parquet:"in.x,list"`
	Price  int64     `parquet:"price,decimal(2:10)"`
}

func parquetOf[T any](t testing.TB, rows ...T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, parquet.MaxRowsPerRowGroup(300))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func parquetRows(n int) []parquetRow {
	rows := make([]parquetRow, n)
	for i := range rows {
		age, kind := float64(i)/2, fmt.Sprint("k", i%3)
		rows[i] = parquetRow{
			Age: &age, Count: int32(-i), Big: math.MaxUint64, Paid: i%2 == 0, Kind: &kind,
			At: time.UnixMilli(int64(i) * 1500).UTC(), Points: []float32{float32(i), 2, 3}, Price: int64(i),
		}
	}
	rows[1].Age, rows[1].Kind = nil, nil
	return rows
}

func TestParquet(t *testing.T) {
	const n = 1000
	r, err := tabular.New(bytes.NewReader(parquetOf(t, parquetRows(n)...)), complete(tabular.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range r.Columns() {
		names = append(names, fmt.Sprint(c.Name, c.Text))
	}
	want := "agefalse countfalse bigfalse paidfalse kindtrue atfalse in.x[0]false in.x[1]false in.x[2]false pricefalse"
	if got := strings.Join(names, " "); got != want || !r.Named() {
		t.Fatalf("%s, want %s", got, want)
	}
	if err := r.UseAs([]string{"kind", "age", "in.x[0]", "count", "big", "paid", "price", "at"}, []bool{true, false, false, true, false, false, false, false}); err != nil {
		t.Fatal(err)
	}
	kept, err := r.Keep("at")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for {
		values, missing, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		texts := r.Texts()
		switch rows {
		case 1:
			if !missing[0] || !missing[1] || missing[2] || kept.Text() != "1970-01-01T00:00:01.5Z" || values[7] != 1.5 {
				t.Errorf("%v %v %q %q", values, missing, texts, kept.Text())
			}
		case 999:
			if texts[0] != "k0" || values[1] != 499.5 || values[2] != 999 || texts[3] != "-999" || values[4] != math.MaxUint64 || values[5] != 0 || values[6] != 9.99 {
				t.Errorf("%v %v %q", values, missing, texts)
			}
		}
		if rows++; r.Line() != rows {
			t.Errorf("line %d", r.Line())
		}
	}
	if rows != n || r.Bytes() == 0 {
		t.Errorf("%d rows, %d bytes", rows, r.Bytes())
	}
	if err := r.Use([]string{"kind"}); infer.CodeOf(err) != infer.Invalid || !strings.Contains(err.Error(), "has text, for example 'k0'") {
		t.Errorf("%v", err)
	}
	if err := r.Use([]string{"no"}); infer.CodeOf(err) != infer.Invalid {
		t.Errorf("%v", err)
	}
}

func TestParquetRefused(t *testing.T) {
	good := parquetOf(t, parquetRows(10)...)
	f := func(in io.Reader, want string) {
		t.Helper()
		r, err := tabular.New(in, complete(tabular.Options{MaxColumns: 20}))
		for err == nil {
			_, _, err = r.Next()
		}
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	f(bytes.NewReader(good[:len(good)/2]), "not valid Parquet")
	f(io.MultiReader(bytes.NewReader(good)), "it cannot be read from a pipe")
	f(bytes.NewReader(parquetOf[parquetRow](t)), "the file has no rows")
	rows := parquetRows(3)
	rows[2].Points = rows[2].Points[:2]
	f(bytes.NewReader(parquetOf(t, rows...)), "row 3: column 'in.x' has 2 values; expected 3")
	rows[2].Points = make([]float32, 30)
	f(bytes.NewReader(parquetOf(t, rows...)), "more than 20 columns")
}

// TestDamagedParquet changes bytes of a file: it is read or refused, and the reader never panics.
func TestDamagedParquet(t *testing.T) {
	good := parquetOf(t, parquetRows(20)...)
	refused := 0
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 0x55
		r, err := tabular.New(bytes.NewReader(bad), complete(tabular.Options{}))
		for rows := 0; err == nil && rows < 100; rows++ {
			_, _, err = r.Next()
		}
		if err != nil && !errors.Is(err, io.EOF) {
			refused++
		}
	}
	if refused < len(good)/10 {
		t.Errorf("%d of %d damaged files are refused", refused, len(good))
	}
}

func FuzzParquet(f *testing.F) {
	f.Add(parquetOf(f, parquetRows(3)...))
	f.Add([]byte("PAR1PAR1"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		r, err := tabular.New(bytes.NewReader(data), complete(tabular.Options{}))
		for rows := 0; err == nil && rows < 1000; rows++ {
			_, _, err = r.Next()
		}
	})
}
