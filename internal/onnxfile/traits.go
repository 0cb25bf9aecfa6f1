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
	// Recurrent says that the model, or a graph within it, has an operator such as LSTM.
	// Of an empty input ONNX Runtime 1.24 makes with these a call of std::terminate, which
	// nothing can catch, or outputs that it has not written.
	Recurrent bool
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
	err := open(root, path, func(w *walker, size int64) error {
		w.node = func(operator, domain string) {
			t.Steady = t.Steady && isSteady(operator, domain)
			t.Recurrent = t.Recurrent || isRecurrent(operator)
			if t.Mixes == "" && mixes(operator, domain) {
				t.Mixes = operator
			}
		}
		return w.walk(model, span{0, size}, 0)
	})
	return t, err
}

// isRecurrent looks at the name alone: DynamicQuantizeLSTM and others are of domains of
// their own.
func isRecurrent(operator string) bool {
	return strings.HasSuffix(operator, "LSTM") || strings.HasSuffix(operator, "GRU") || operator == "RNN"
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
