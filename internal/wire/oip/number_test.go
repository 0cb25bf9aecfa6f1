package oip

import (
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
)

// parse scans a whole text; ok is false if it is not a JSON number.
func parse(text string) (d decimal, ok bool) {
	d = scanDecimal([]byte(text), 0)
	return d, !d.has(broken) && d.end == len(text)
}

// checkNumber compares every way of reading text with strconv and encoding/json.
func checkNumber(t *testing.T, text string) {
	t.Helper()
	d, ok := parse(text)
	isNumber := json.Valid([]byte(text)) && text != "" && (text[0] == '-' || '0' <= text[0] && text[0] <= '9') &&
		strings.TrimRight(text, " \t\r\n") == text
	if ok != isNumber {
		t.Fatalf("%q: number %v, json.Valid says %v", text, ok, isNumber)
	}
	if !ok {
		return
	}
	b := []byte(text)
	want32, err := strconv.ParseFloat(text, 32)
	got32, ok := d.float32(b)
	if wantBits := math.Float32bits(float32(want32)); ok != (err == nil) || ok && got32 != wantBits {
		t.Errorf("%s: float32 bits %#x %v, want %#x %v", text, got32, ok, wantBits, err)
	}
	want64, err := strconv.ParseFloat(text, 64)
	got64, ok := d.float64(b)
	if ok != (err == nil) || ok && math.Float64bits(got64) != math.Float64bits(want64) {
		t.Errorf("%s: float64 %v %v, want %v %v", text, got64, ok, want64, err)
	}
	if !strings.ContainsAny(text, ".eE-") {
		want, err := strconv.ParseUint(text, 10, 64)
		if got, ok := d.uint64(b); ok != (err == nil) || ok && got != want {
			t.Errorf("%s: uint64 %d %v, want %d %v", text, got, ok, want, err)
		}
	}
	if len(text) < 400 && math.Abs(float64(d.exp)) < 400 {
		checkHalf(t, text, d)
	}
}

// checkHalf compares with the nearest half, found among its neighbours by exact arithmetic.
func checkHalf(t *testing.T, text string, d decimal) {
	t.Helper()
	exact, _ := new(big.Rat).SetString(text)
	formats := []struct {
		name     string
		infinity uint16
		narrow   func(float32) uint16
		widen    func(uint16) float32
	}{
		{"FP16", 0x7c00, infer.Float32ToFP16, infer.FP16ToFloat32},
		{"BF16", 0x7f80, infer.Float32ToBF16, infer.BF16ToFloat32},
	}
	for _, f := range formats {
		value := func(bits uint16) *big.Rat {
			if bits&0x7fff == f.infinity { // as if there were one more exponent
				before := new(big.Rat).SetFloat64(float64(f.widen(f.infinity - 1)))
				step := new(big.Rat).Sub(before, new(big.Rat).SetFloat64(float64(f.widen(f.infinity-2))))
				before.Add(before, step)
				if bits != f.infinity {
					before.Neg(before)
				}
				return before
			}
			return new(big.Rat).SetFloat64(float64(f.widen(bits)))
		}
		got := d.half([]byte(text), f.narrow)
		off := func(bits uint16) *big.Rat {
			diff := new(big.Rat).Sub(exact, value(bits))
			return diff.Abs(diff)
		}
		if got&0x8000 != 0 != d.has(negative) || got&0x7fff > f.infinity {
			t.Errorf("%s as %s: %#x", text, f.name, got)
		}
		for _, beside := range []uint16{got - 1, got + 1} {
			if beside&0x7fff > f.infinity || beside&0x8000 != got&0x8000 {
				continue
			}
			if c := off(beside).Cmp(off(got)); c < 0 || c == 0 && got&1 == 1 {
				t.Errorf("%s as %s: %#x, but %#x is nearer or even", text, f.name, got, beside)
			}
		}
	}
}

func numbers() []string {
	list := []string{
		"0", "-0", "0.0", "-0.0e5", "1", "-1", "0.1", "1e22", "1e23", "9007199254740993", "16777217", "16777216", "33554435",
		"1e-45", "7e-46", "7.1e-46", "1e-400", "1e400", "-1e400", "3.4028235e38", "3.4028236e38", "3.40282356e38", "3.4028235677973366e38",
		"1.17549435e-38", "1.1754943e-38", "2.2250738585072011e-308", "2049", "2049.0000000000000000000001", "2048.99999999999999999999",
		"65519.99999999999999999", "65520", "65504", "6e-8", "2.98e-8", "2.9802322387695312e-8", "2.98023223876953125e-8", "2.980232238769531251e-8",
		"257.000000000000000000001", "3.3961775292304957e38", "3.39e38", "4.5917748078809948e-41", "0.000000000000000000000000000000000001e36",
		"18446744073709551615", "18446744073709551616", "99999999999999999999", "0.30000000000000004", "123456789012345678901234567890",
		"1.00000017881393432617187499", "1.00000017881393432617187500", "1.00000017881393432617187501", "1.000000178813934326171875",
		"0." + strings.Repeat("0", 300) + "1e300", strings.Repeat("9", 300), "1" + strings.Repeat("0", 30) + "e-30", "1e99999999999999999999", "0e99999999999999999999",
		"", "-", "+1", ".5", "5.", "01", "00", "-01.5", "1e", "1e+", "1.e5", "0x10", "1_000", "Infinity", "1 ", "--1", "1.5.5", "1e5.5", "1e5e5",
	}
	return list
}

func TestNumbers(t *testing.T) {
	for _, text := range numbers() {
		checkNumber(t, text)
	}
}

// Random floats in several notations, and decimals close to the middle of two float32 values.
func TestNumbersRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		f := float64(math.Float32frombits(rng.Uint32()))
		if f-f != 0 {
			continue
		}
		for _, text := range []string{
			strconv.FormatFloat(f, 'e', -1, 32), strconv.FormatFloat(f, 'g', -1, 64), strconv.FormatFloat(f, 'e', rng.IntN(30), 64),
		} {
			checkNumber(t, text)
		}
		middle := (f + float64(math.Nextafter32(float32(f), 0))) / 2
		for _, m := range []float64{middle, math.Nextafter(middle, 0), math.Nextafter(middle, math.Inf(1))} {
			checkNumber(t, strconv.FormatFloat(m, 'e', 17+rng.IntN(2), 64))
		}
		h := float64(infer.FP16ToFloat32(uint16(rng.Uint32())&0x7bff)) + math.Ldexp(1, rng.IntN(40)-36)
		checkNumber(t, strconv.FormatFloat(h, 'f', -1, 64)+strings.Repeat("0", rng.IntN(3)))
	}
}

func FuzzFloat(f *testing.F) {
	for _, text := range numbers() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { checkNumber(t, text) })
}

func BenchmarkFloat32(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, width := range []int{32, 64} {
		texts := make([][]byte, 1024)
		for i := range texts {
			texts[i] = strconv.AppendFloat(nil, float64(float32(rng.NormFloat64())), 'g', -1, width)
		}
		b.Run("text="+strconv.Itoa(width), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				text := texts[i%1024]
				d := scanDecimal(text, 0)
				if _, ok := d.float32(text); !ok {
					b.Fatal(string(text))
				}
			}
		})
		b.Run("strconv/text="+strconv.Itoa(width), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if _, err := strconv.ParseFloat(string(texts[i%1024]), 32); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
