package onnxfile

import (
	"os"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of NodeProto.
const nodeOperator, nodeDomain = 4, 7

// Steady reports whether the time of a run follows from the shapes of its inputs, so
// far as the operators tell: none repeats a subgraph or makes a tensor as large as a
// value says, and all are of the standard. The error is that of VerifyExternalData
// where the file cannot be read or is not an ONNX model.
func Steady(root *os.Root, path string) (bool, error) {
	steady := true
	err := open(root, path, func(w *walker, size int64) error {
		w.node = func(operator, domain string) { steady = steady && isSteady(operator, domain) }
		return w.walk(model, span{0, size}, 0)
	})
	return steady, err
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
