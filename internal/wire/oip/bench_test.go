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

// floats returns n numbers as a client would write float32 data: widened to
// float64 first (Python) or not.
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

func BenchmarkDecodeSmall(b *testing.B) { benchmarkDecode(b, input("FP32", "[1,16]", floats(16, 64))) }

func benchmarkDecode(b *testing.B, text string) {
	b.Helper()
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	body := []byte(text)
	for b.Loop() {
		c := oip.GetCall()
		if err := c.Decode(body, -1, nil); err != nil {
			b.Fatal(err)
		}
		c.Put()
	}
}

func BenchmarkDecodeBinarySmall(b *testing.B) {
	text := `{"inputs":[{"name":"input","shape":[1,16],"datatype":"FP32","parameters":{"binary_data_size":64}}],"parameters":{"binary_data_output":true}}`
	body := append([]byte(text), make([]byte, 64)...)
	b.ReportAllocs()
	for b.Loop() {
		c := oip.GetCall()
		if err := c.Decode(body, len(text), nil); err != nil {
			b.Fatal(err)
		}
		c.Put()
	}
}

func BenchmarkEncodeFloats(b *testing.B) {
	const n = 1000
	c := oip.GetCall()
	defer c.Put()
	resp := infer.NewResponse()
	defer resp.Release()
	src := oip.GetCall()
	defer src.Put()
	if err := src.Decode([]byte(input("FP32", fmt.Sprintf("[%d]", n), floats(n, 32))), -1, nil); err != nil {
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
