package oip_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/oip"
)

// ledger is a memory with a limit in bytes.
type ledger struct{ limit, held, most int }

func (l *ledger) Reserve(n int) error {
	if l.held+n > l.limit {
		return infer.Errorf(infer.Overloaded, "%d bytes are too many", n)
	}
	l.held += n
	l.most = max(l.most, l.held)
	return nil
}

func (l *ledger) Release(n int) { l.held -= n }

// large are documents of about the given size in bytes that decode to as much as possible.
func large(text int) map[string]string {
	list := func(element string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
	}
	var inputs []string
	for i := range text / 10_000 {
		inputs = append(inputs, fmt.Sprintf(`{"name":"%d","shape":[4900],"datatype":"FP64","data":%s}`, i, list("1", 4900)))
	}
	return map[string]string{
		"numbers":       input("FP64", fmt.Sprintf("[%d]", text/2), list("1", text/2)),
		"strings":       input("BYTES", fmt.Sprintf("[%d]", text/3), list(`""`, text/3)),
		"escapes":       input("BYTES", "[1]", `["`+strings.Repeat(`\n`, text/2)+`"]`),
		"fewer numbers": input("INT64", fmt.Sprintf("[%d]", text/2-2), list("1  ", text/4)),
		"many inputs":   `{"inputs":[` + strings.Join(inputs, ",") + "]}",
		"a key":         `{"` + strings.Repeat(`\n`, text/2) + `":1,"inputs":[]}`,
		"names":         `{"inputs":[{"name":"` + strings.Repeat("x", 1000) + `","shape":` + list("1", 32) + `,"datatype":"BOOL","data":[true]}]}`,
	}
}

// Decoding takes at most four times the text, plus a part that the limits on tensors bound. All of
// it is reserved.
func TestDecodeReservesWhatItAllocates(t *testing.T) {
	const text, small = 1 << 20, 64 << 10
	for name, doc := range large(text) {
		memory := &ledger{limit: 1 << 40}
		c := oip.NewCall()
		c.Memory = memory
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = c.Decode([]byte(doc), -1, &usual)
		runtime.ReadMemStats(&after)
		if memory.most > 4*len(doc)+small {
			t.Errorf("%s: %d bytes of text take %d", name, len(doc), memory.most)
		}
		if got := int(after.TotalAlloc-before.TotalAlloc) - 2*len(doc); got > memory.most+small { // the text was copied for the call, at least once
			t.Errorf("%s: allocates %d bytes, of which %d are reserved", name, got, memory.most)
		}
		c.Drop()
		if memory.held > small {
			t.Errorf("%s: %d bytes are still held", name, memory.held)
		}
		c.Reset()
		if memory.held != 0 {
			t.Errorf("%s: %d bytes are never given back", name, memory.held)
		}
	}
}

func TestDecodeAllocatesNothingWithoutMemory(t *testing.T) {
	const small = 64 << 10
	for name, doc := range large(1 << 20) {
		if name == "names" || name == "many inputs" {
			continue // small parts: the first ones find room
		}
		memory := &ledger{limit: small}
		c := oip.NewCall()
		c.Memory = memory
		body := []byte(doc)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := c.Decode(body, -1, &usual)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; infer.CodeOf(err) != infer.Overloaded || got > 2*small {
			t.Errorf("%s: %v, %d bytes allocated", name, err, got)
		}
		c.Reset()
		if memory.held != 0 {
			t.Errorf("%s: %d bytes are never given back", name, memory.held)
		}
		c.Memory = &ledger{limit: 1 << 40}
		if err := c.Decode([]byte(input("FP32", "[1]", "[1]")), -1, &usual); err != nil { // the Call can be used again
			t.Errorf("%s: afterwards %v", name, err)
		}
	}
}

// An answer asks for room before it grows, and for little more than it needs.
func TestAnswersAskForTheirRoom(t *testing.T) {
	text := []byte(strings.Repeat("a\x00é", 50_000))
	var element []byte
	element = infer.AppendElement(element, string(text))
	for name, out := range map[string]infer.Tensor{
		"FP32":    {Name: "y", DType: infer.FP32, Shape: infer.Shape{100_000}, Data: []byte(strings.Repeat("\x34\x12\xcd\x80", 100_000))},
		"BOOL":    {Name: "y", DType: infer.Bool, Shape: infer.Shape{100_000}, Data: make([]byte, 100_000)},
		"UINT64":  {Name: "y", DType: infer.Uint64, Shape: infer.Shape{100_000}, Data: []byte(strings.Repeat("\xff", 800_000))},
		"string":  {Name: "y", DType: infer.Bytes, Shape: infer.Shape{1}, Data: element},
		"strings": {Name: "y", DType: infer.Bytes, Shape: infer.Shape{100_000}, Data: make([]byte, 400_000)},
		"name":    {Name: strings.Repeat("\x01", 10_000), DType: infer.Uint8, Shape: infer.Shape{1}, Data: []byte{1}},
	} {
		c := oip.NewCall()
		resp := &infer.Response{Outputs: []infer.Tensor{out}}
		want, _, err := oip.AppendResponse(nil, c, "m", 1, resp, oip.EncodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		most := 0
		c.Grow = func(dst []byte, n int) ([]byte, error) {
			most = max(most, len(dst)+n)
			return append(make([]byte, 0, max(len(dst)+n, 2*cap(dst))), dst...), nil
		}
		got, _, err := oip.AppendResponse(nil, c, "m", 1, resp, oip.EncodeOptions{})
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: %v, the text differs: %t", name, err, string(got) != string(want))
		}
		if most > len(want)+32<<10 {
			t.Errorf("%s: asked for %d bytes, %d are needed", name, most, len(want))
		}
		grown := 0
		c.Grow = func(dst []byte, n int) ([]byte, error) { // called when append would have to allocate
			if grown++; grown > 1 {
				return dst, infer.Errorf(infer.TooLarge, "no more")
			}
			return append(make([]byte, 0, len(dst)+n), dst...), nil
		}
		if got, _, err = oip.AppendResponse(nil, c, "m", 1, resp, oip.EncodeOptions{}); len(want) > 100_000 && infer.CodeOf(err) != infer.TooLarge || len(got) != 0 && err != nil {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}
