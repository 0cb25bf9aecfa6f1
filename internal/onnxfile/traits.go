package onnxfile

import (
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of NodeProto.
const nodeOperator, nodeDomain = 4, 7

// Traits are what a model's operators tell of its runs.
type Traits struct {
	// Steady says that the time of a run follows from the shapes of its inputs: no
	// operator repeats a subgraph or makes a tensor as large as a value says, and all are
	// of the standard.
	Steady bool
	// NoEmpty names an operator of the model, or of a graph within it, that takes no empty
	// tensor, or is empty: ONNX Runtime 1.24 ends the process on some of these, which
	// nothing can catch, or returns outputs that it has not written.
	NoEmpty string
	// Mixes names an operator that computes each row of a run by all of them, however
	// little, or is empty: dynamic quantization takes its scale from the largest and the
	// smallest number of a run. Answers that are rounded after it, labels for example, hide
	// that until the data is such that they do not.
	Mixes string
}

// TraitsOf looks at all operators of a model file. The error is that of
// VerifyExternalData if the file cannot be read or is not an ONNX model.
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

// isNoEmpty looks at the name alone: DynamicQuantizeLSTM and others are of domains of
// their own. The list is what crashed when the models of ONNX's own tests of operators, with
// all dimensions free, were run with each dimension 0 in turn. GatherND is from a sentence
// encoder whose attention mask was empty.
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

// operator tells node of an operator.
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
