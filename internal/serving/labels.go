package serving

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
)

// nameClasses sets the class labels of a model's outputs: from labels.txt, from the removed
// ZipMaps, or else from the model's metadata. It returns their sources. Labels that do not
// match the model are logged and not used.
func nameClasses(model *infer.Model, f *File, limits config.ClassLabels, log *zap.Logger) (sources []string) {
	n := namer{model: model, log: log.With(zap.String("model", model.Name), zap.Int64("version", model.Version)), limits: limits}
	if labels, err := onnxfile.ReadLabels(f.root, limits.MaxCount, int64(limits.MaxBytes)); err != nil {
		n.warn(onnxfile.LabelsFile, err)
	} else if labels != nil {
		n.name(onnxfile.LabelsFile, labels)
	}
	n.nameCut(f.zipMaps)
	if len(n.sources) > 0 {
		return n.sources
	}
	for _, key := range onnxfile.LabelKeys() {
		text, ok := f.head.Labels[key]
		if !ok {
			continue
		}
		source := "metadata '" + key + "'"
		labels, err := onnxfile.ParseLabels(text, limits.MaxCount)
		if err != nil {
			n.warn(source, err)
			continue
		}
		if n.name(source, labels) {
			break
		}
	}
	return n.sources
}

// namer sets the labels of a model's outputs.
type namer struct {
	model   *infer.Model
	limits  config.ClassLabels
	log     *zap.Logger
	sources []string
}

func (n *namer) warn(source string, err error) {
	n.log.Warn("class labels are not used", zap.String("source", source), zap.String("reason", infer.Message(err)))
}

// name sets labels on the outputs that they can belong to: those whose last dimension is the
// number of labels, floats before integers, or else the only float output, if its last
// dimension is free.
func (n *namer) name(source string, labels []string) bool {
	outputs := n.suited(len(labels))
	if len(outputs) == 0 {
		n.warn(source, infer.Errorf(infer.Invalid, "there are %d labels, and no output has that many classes: %s", len(labels), n.shapes()))
		return false
	}
	for _, spec := range outputs {
		spec.Labels = labels
	}
	n.sources = append(n.sources, source)
	return true
}

func (n *namer) suited(classes int) []*infer.TensorSpec {
	var floats, integers, free []*infer.TensorSpec
	all := 0
	for i := range n.model.Outputs {
		spec := &n.model.Outputs[i]
		if isFloat(spec.DType) {
			all++
		}
		if len(spec.Shape) == 0 {
			continue
		}
		switch last := spec.Shape[len(spec.Shape)-1]; {
		case isFloat(spec.DType) && last == int64(classes):
			floats = append(floats, spec)
		case isFloat(spec.DType) && last < 0:
			free = append(free, spec)
		case spec.DType != infer.Bytes && spec.DType != infer.Bool && last == int64(classes):
			integers = append(integers, spec)
		}
	}
	switch {
	case len(floats) > 0:
		return floats
	case len(integers) > 0:
		return integers
	case all == 1:
		return free
	default:
		return nil
	}
}

func isFloat(d infer.DType) bool {
	return d == infer.FP32 || d == infer.FP64 || d == infer.FP16 || d == infer.BF16
}

func (n *namer) shapes() string {
	texts := make([]string, len(n.model.Outputs))
	for i := range n.model.Outputs {
		texts[i] = fmt.Sprintf("'%s' is %v%v", n.model.Outputs[i].Name, n.model.Outputs[i].DType, n.model.Outputs[i].Shape)
	}
	return strings.Join(texts, ", ")
}

// nameCut sets the ZipMap's labels on each output whose ZipMap was removed, unless it already
// has labels.
func (n *namer) nameCut(zipMaps []onnxfile.ZipMap) {
	const source = "ZipMap"
	named := false
	for _, z := range zipMaps {
		size := 0
		for _, label := range z.Labels {
			size += len(label)
		}
		if slices.ContainsFunc(z.Labels, func(label string) bool { return !utf8.ValidString(label) }) {
			n.warn(source, infer.Errorf(infer.Invalid, "the labels are not valid UTF-8"))
			continue
		}
		if len(z.Labels) > n.limits.MaxCount || size > int(n.limits.MaxBytes) {
			n.warn(source, infer.Errorf(infer.Invalid, "there are %d labels with %d bytes, more than class_labels.max_count or class_labels.max_bytes allow", len(z.Labels), size))
			continue
		}
		for i := range n.model.Outputs {
			if spec := &n.model.Outputs[i]; spec.Name == z.Output && spec.Labels == nil {
				spec.Labels = z.Labels
				named = true
			}
		}
	}
	if named {
		n.sources = append(n.sources, source)
	}
}
