package onnxfile

import (
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of NodeProto.
const nodeOperator, nodeDomain = 4, 7

// Traits are properties of runs that follow from a model's operators.
type Traits struct {
	// Steady says that the time of a run follows from the shapes of its inputs: no operator
	// repeats a subgraph or makes a tensor whose size depends on a value, and all are standard.
	Steady bool
	// NoEmpty names an operator of the model, or of a subgraph, that does not accept an empty
	// tensor, or is empty. With some of these ONNX Runtime 1.24 ends the process, which cannot
	// be caught, or returns outputs that it has not written.
	NoEmpty string
	// Mixes names an operator that computes each row of a run from all rows, however little, or
	// is empty: dynamic quantization takes its scale from the largest and the smallest number
	// of a run. Outputs that are rounded after it, labels for example, hide that for most data.
	Mixes string
}

// TraitsOf reads all operators of a model file. The error is that of VerifyExternalData if the
// file cannot be read or is not an ONNX model.
func TraitsOf(root *os.Root, path string) (Traits, error) {
	t := Traits{Steady: true}
	err := open(root, path, nil, func(w *walker, size int64) error {
		w.node = func(operator, domain string) {
			t.Steady = t.Steady && isSteady(operator, domain)
			if t.NoEmpty == "" && isNoEmpty(operator) {
				t.NoEmpty = operator
			}
			if t.Mixes == "" && mixes(operator, domain) {
				t.Mixes = operator
			}
		}
		return w.walk(model, span{0, size}, 0)
	})
	return t, err
}

// isNoEmpty ignores the domain: DynamicQuantizeLSTM and others have domains of their own. The
// list has the operators that crashed in ONNX's own tests of operators, with all dimensions
// free and each dimension 0 in turn. GatherND is from a sentence encoder with an empty
// attention mask.
func isNoEmpty(operator string) bool {
	switch operator {
	case "ConvTranspose", "Einsum", "GatherND", "GridSample", "LRN", "RNN", "Unique":
		return true
	default:
		return strings.HasSuffix(operator, "LSTM") || strings.HasSuffix(operator, "GRU")
	}
}

func mixes(operator, domain string) bool {
	switch domain {
	case "", "ai.onnx":
		return operator == "DynamicQuantizeLinear"
	case "com.microsoft":
		return operator == "DynamicQuantizeMatMul" || operator == "DynamicQuantizeLSTM"
	default:
		return false
	}
}

func isSteady(operator, domain string) bool {
	switch domain {
	case "", "ai.onnx", "ai.onnx.ml":
	default:
		return false
	}
	switch operator {
	case "If", "Loop", "Scan", "SequenceMap", // run a graph, as often as a value says
		"AffineGrid", "BlackmanWindow", "CenterCropPad", "Col2Im", "ConstantOfShape", "DFT", "Expand", "HammingWindow",
		"HannWindow", "MaxUnpool", "MelWeightMatrix", "OneHot", "Pad", "Range", "Resize", "STFT", "Tile", "Upsample":
		return false
	default:
		return true
	}
}

// operator calls node with an operator.
func (w *walker) operator(s span) error {
	var operator, domain string
	err := w.fields(s, func(f field) (err error) {
		f.to = min(f.to, f.from+maxTextBytes)
		switch {
		case f.typ != protowire.BytesType:
		case f.number == nodeOperator:
			operator, err = w.text(f.span)
		case f.number == nodeDomain:
			domain, err = w.text(f.span)
		}
		return err
	})
	if err == nil {
		w.node(operator, domain)
	}
	return err
}
