package oip_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/oip"
)

// floats returns n numbers in the form of a client with float32 data: widened to float64 first
// (Python) or not.
func floats(n int, bits int) string {
	rng := rand.New(rand.NewPCG(1, 2))
	list := make([]string, n)
	for i := range list {
		list[i] = strconv.FormatFloat(float64(float32(rng.NormFloat64())), 'g', -1, bits)
	}
	return "[" + strings.Join(list, ",") + "]"
}

func BenchmarkDecodeFloats(b *testing.B) {
	const n = 1000
	for _, bits := range []int{32, 64} {
		for _, dtype := range []string{"FP32", "FP64", "FP16"} {
			b.Run(fmt.Sprintf("text=%d/dtype=%s", bits, dtype), func(b *testing.B) {
				benchmarkDecode(b, input(dtype, fmt.Sprintf("[%d]", n), floats(n, bits)))
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/number")
			})
		}
	}
}

func BenchmarkDecodeIntegers(b *testing.B) {
	const n = 1000
	data := "[" + strings.TrimSuffix(strings.Repeat("12345,", n), ",") + "]"
	benchmarkDecode(b, input("INT64", fmt.Sprintf("[%d]", n), data))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/number")
}

// BenchmarkDecode decodes a tiny request in both forms, and a binary one of the size of a picture,
// which is not copied: with the document of the last request, and with a new one each time.
func BenchmarkDecode(b *testing.B) {
	b.Run("form=json/values=16", func(b *testing.B) { benchmarkDecode(b, input("FP32", "[1,16]", floats(16, 64))) })
	for _, n := range []int{16, 3 * 224 * 224} {
		b.Run(fmt.Sprintf("form=binary/values=%d/document=same", n), func(b *testing.B) { benchmarkDecodeBinary(b, n, "1") })
		b.Run(fmt.Sprintf("form=binary/values=%d/document=new", n), func(b *testing.B) { benchmarkDecodeBinary(b, n, "1", "2") })
	}
}

func benchmarkDecode(b *testing.B, text string) {
	b.Helper()
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	body := []byte(text)
	c := oip.NewCall()
	for b.Loop() {
		if err := c.Decode(body, -1, &usual); err != nil {
			b.Fatal(err)
		}
		c.Reset()
	}
}

// benchmarkDecodeBinary decodes requests with these ids in turn.
func benchmarkDecodeBinary(b *testing.B, n int, ids ...string) {
	b.Helper()
	length, bodies := 0, make([][]byte, len(ids))
	for i, id := range ids {
		text := fmt.Sprintf(`{"id":%q,"inputs":[{"name":"input","shape":[1,%d],"datatype":"FP32","parameters":{"binary_data_size":%d}}],"parameters":{"binary_data_output":true}}`, id, n, 4*n)
		length, bodies[i] = len(text), append([]byte(text), make([]byte, 4*n)...)
	}
	b.ReportAllocs()
	c := oip.NewCall()
	for i := 0; b.Loop(); i++ {
		if err := c.Decode(bodies[i%len(bodies)], length, &usual); err != nil {
			b.Fatal(err)
		}
		c.Reset()
	}
}

// BenchmarkEncode encodes the answer to the tiny request in both forms.
func BenchmarkEncode(b *testing.B) {
	for form, body := range map[string]string{
		"json":   `{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}`,
		"binary": `{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}],"parameters":{"binary_data_output":true}}`,
	} {
		b.Run("form="+form+"/values=1", func(b *testing.B) {
			c := oip.NewCall()
			if err := c.Decode([]byte(body), len(body), &usual); err != nil {
				b.Fatal(err)
			}
			resp := infer.NewResponse()
			defer resp.Release()
			copy(resp.Add("output", 0, infer.FP32, infer.Shape{1, 1}, 4), []byte{0x12, 0x34, 0x56, 0x3f})
			var out []byte
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if out, _, err = oip.AppendResponse(out[:0], c, "lin", 1, resp, oip.EncodeOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncodeFloats(b *testing.B) {
	const n = 1000
	c := oip.NewCall()
	resp := infer.NewResponse()
	defer resp.Release()
	src := oip.NewCall()
	if err := src.Decode([]byte(input("FP32", fmt.Sprintf("[%d]", n), floats(n, 32))), -1, &usual); err != nil {
		b.Fatal(err)
	}
	copy(resp.Add("y", 0, infer.FP32, infer.Shape{n}, 4*n), src.Inputs[0].Data)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if out, _, err = oip.AppendResponse(out[:0], c, "m", 1, resp, oip.EncodeOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/number")
}
