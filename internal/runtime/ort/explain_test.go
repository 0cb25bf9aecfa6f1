package ort_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/runtime/ort"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// unary is a model of one operator.
func unary(domain, op string) *onnxgen.Graph {
	g := onnxgen.New("unary")
	g.Output("y", infer.FP32, g.OpIn(domain, op, g.Input("x", infer.FP32, "N", 4)), "N", 4)
	return g
}

// refusal returns why a model file is not loaded, and checks that the text has no C++.
func refusal(t *testing.T, path string) string {
	t.Helper()
	s, err := env.Load(path, complete(ort.LoadOptions{Name: "m", Version: 1}))
	if err == nil {
		t.Fatal("loaded", s.Close())
	}
	text := infer.Message(err)
	if infer.CodeOf(err) != infer.Invalid || strings.Contains(text, "::") || strings.Contains(text, ".cc") || strings.Contains(text, ".h:") {
		t.Errorf("%v %q", infer.CodeOf(err), text)
	}
	return text
}

func TestModelsThatAreTooNew(t *testing.T) {
	f := func(want string, g *onnxgen.Graph, opsets ...any) {
		t.Helper()
		for i := 0; i < len(opsets); i += 2 {
			g.Opset(opsets[i].(string), int64(opsets[i+1].(int)))
		}
		if got := refusal(t, write(t, g)); got != "the model cannot be loaded: "+want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	version := "ONNX Runtime " + env.Version()
	const ml = "ai.onnx.ml"
	f("it uses opset 26 of domain 'ai.onnx', and "+version+" supports at most 25; export with opset ≤ 25", unary("", "Relu"), "", 26)
	f("it uses opset 6 of domain 'ai.onnx.ml', and "+version+" supports at most 5; export with opset ≤ 5", unary(ml, "Binarizer"), ml, 6)
	const later = ", which the model uses; export with an opset that has it, ≤ 25 for 'ai.onnx', or without it"
	f("operator 'Gelu' of domain 'ai.onnx' is not in opset 17"+later, unary("", "Gelu"))
	f("operator 'Nope' of domain 'ai.onnx.ml' is not in opset 3"+later, unary(ml, "Nope"), ml, 3)
	f("operator 'MyOp' of domain 'acme' is unknown: custom operators are not registered; list the library that has it in runtime.custom_ops, or export the model without it",
		unary("acme", "MyOp"), "acme", 1)
	f("operator 'Nope' of domain 'com.microsoft' is unknown: "+version+" does not have it; export the model without it", unary("com.microsoft", "Nope"), "com.microsoft", 1)
	f("it has operator 'MyOp' of domain 'acme' and does not import that domain; the file is not valid, export it again", unary("acme", "MyOp"))

	g := onnxgen.New("no_kernel")
	g.Output("y", infer.BF16, g.Op("Asin", g.Input("x", infer.BF16, "N")), "N")
	f(version+" has no implementation of operator 'Asin' (opset 22) for the datatypes of this model; export it with others, FP32 for example", g, "", 22)

	// In a graph within a node.
	g = onnxgen.New("inner")
	g.Opset("acme", 1)
	x := g.Input("x", infer.FP32, "N", 4)
	always := g.Init(infer.Tensor{DType: infer.Bool, Shape: infer.Shape{}, Data: []byte{1}})
	then, otherwise := g.Sub("then"), g.Sub("else")
	then.Output("a", infer.FP32, then.OpIn("acme", "MyOp", x), "N", 4)
	otherwise.Output("b", infer.FP32, otherwise.Op("Abs", x), "N", 4)
	g.Output("y", infer.FP32, g.Op("If", always).Graph("then_branch", then).Graph("else_branch", otherwise), "N", 4)
	if got := refusal(t, write(t, g)); !strings.HasPrefix(got, "the model cannot be loaded: operator 'MyOp' of domain 'acme' is unknown") {
		t.Errorf("got %q", got)
	}
}

func TestFormatThatIsTooNew(t *testing.T) {
	path := write(t, unary("", "Relu"))
	model, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	version := []byte{1 << 3, 8} // ir_version: 8
	if !bytes.HasPrefix(model, version) {
		t.Fatalf("%x", model)
	}
	model[1] = 99
	if err := os.WriteFile(path, model, 0o600); err != nil {
		t.Fatal(err)
	}
	want := "the model cannot be loaded: its IR version is 99, and ONNX Runtime " + env.Version() +
		" reads at most 13; export with opset ≤ 25, or with an earlier release of the onnx package"
	if got := refusal(t, path); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A message that explain does not know keeps the words of ONNX Runtime, without places in its
// source.
func TestOtherRefusals(t *testing.T) {
	g := onnxgen.New("wrong_type")
	g.Output("y", infer.Bytes, g.Op("Relu", g.Input("x", infer.Bytes, "N")), "N")
	if got := refusal(t, write(t, g)); !strings.Contains(got, "Type 'tensor(string)' of input parameter (x) of operator (Relu)") {
		t.Errorf("got %q", got)
	}
	g = onnxgen.New("shapes")
	x := g.Input("x", infer.FP32, 2, 3)
	g.Output("y", infer.FP32, g.Op("MatMul", x, x), 2, 3)
	refusal(t, write(t, g))
}
