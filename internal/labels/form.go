package labels

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/zeebo/xxh3"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// What the elements of a row of the output are.
const (
	kindScores = "scores" // one number for each class
	kindScore  = "score"  // the probability of the positive class of two
	kindClass  = "class"  // the predicted class itself
	kindValue  = "value"  // the value of a regression
)

// maxScores is the max number of classes of a form with scores. A row of more would take too much
// room, and an area under a curve for each class too.
const maxScores = 64

// Form says how predictions are read from the answers of a version, and what their labels are.
type Form struct {
	Task     string   `json:"task"` // api.TaskClassification or api.TaskRegression
	Output   string   `json:"output"`
	Kind     string   `json:"kind"`
	Width    int      `json:"width"`              // elements of a row
	Logits   bool     `json:"logits,omitempty"`   // scores are not probabilities yet
	Classes  []string `json:"classes,omitempty"`  // names by index; empty if labels are numbers of classes
	Positive int      `json:"positive,omitempty"` // the index of the positive class, if there are two
}

// Settings choose a form. Empty fields are detected.
type Settings struct {
	Task     string // api.TaskClassification, api.TaskRegression or ""
	Output   string
	Logits   bool
	Positive string // name or index of a class
}

// FormOf returns the form of a model's predictions, and the index of the output. Errors are
// Invalid: the settings do not fit the model, or they do not say enough.
func FormOf(m *infer.Model, s Settings) (f Form, index int, err error) {
	index, err = outputOf(m, s)
	if err != nil {
		return f, 0, err
	}
	spec := &m.Outputs[index]
	f = Form{Task: s.Task, Output: spec.Name, Logits: s.Logits, Width: width(spec), Classes: spec.Labels}
	floats := isFloat(spec.DType)
	if f.Task == "" {
		f.Task = api.TaskClassification
		if floats && f.Width == 1 && len(spec.Labels) == 0 && !hasClassOutput(m) {
			f.Task = api.TaskRegression
		}
	}
	switch {
	case f.Task == api.TaskRegression && f.Width == 1 && spec.DType != infer.Bytes:
		f.Kind, f.Classes, f.Logits = kindValue, nil, false
	case f.Task == api.TaskRegression:
		return f, 0, infer.Errorf(infer.Invalid, "output '%s' of shape %v is not one number a row, which a regression needs", spec.Name, spec.Shape)
	case floats && f.Width == 1:
		f.Kind = kindScore
	case floats && f.Width > 1 && f.Width <= maxScores:
		f.Kind = kindScores
	case !floats && f.Width == 1:
		f.Kind, f.Classes, f.Logits = kindClass, nil, false
	default:
		return f, 0, infer.Errorf(infer.Invalid, "output '%s' of shape %v does not have a class, or from 1 to %d scores, a row", spec.Name, spec.Shape, maxScores)
	}
	if len(f.Classes) > 0 && len(f.Classes) != f.classes() {
		f.Classes = nil
	}
	return f, index, f.setPositive(s.Positive)
}

// outputOf returns the output that is named, or the one that predictions are read from: scores
// before classes before a value.
func outputOf(m *infer.Model, s Settings) (int, error) {
	if s.Output != "" {
		i := slices.IndexFunc(m.Outputs, func(o infer.TensorSpec) bool { return o.Name == s.Output })
		if i < 0 {
			return 0, infer.Errorf(infer.Invalid, "model '%s' has no output '%s'", m.Name, s.Output)
		}
		return i, nil
	}
	var scores, classes, values []int
	for i := range m.Outputs {
		o := &m.Outputs[i]
		switch w := width(o); {
		case isFloat(o.DType) && w > 1:
			scores = append(scores, i)
		case isFloat(o.DType) && w == 1:
			values = append(values, i)
		case w == 1:
			classes = append(classes, i)
		}
	}
	named := len(scores) == 1 && (len(m.Outputs[scores[0]].Labels) > 0 || len(classes) == 1 || s.Task == api.TaskClassification)
	switch {
	case s.Task != api.TaskRegression && named:
		return scores[0], nil
	case s.Task != api.TaskRegression && len(scores) == 0 && len(classes) == 1 && len(values) == 0:
		return classes[0], nil
	case len(values) == 1 && (len(m.Outputs) == 1 || s.Task == api.TaskRegression):
		return values[0], nil
	}
	return 0, infer.Errorf(infer.Invalid, "the outputs of model '%s' do not say which one is the prediction; set labels.output and labels.task", m.Name)
}

// hasClassOutput reports whether a model has an output of classes besides.
func hasClassOutput(m *infer.Model) bool {
	return slices.ContainsFunc(m.Outputs, func(o infer.TensorSpec) bool { return !isFloat(o.DType) && width(&o) == 1 })
}

// width returns the number of elements of a row of an output, 0 if it is not known.
func width(o *infer.TensorSpec) int {
	switch len(o.Shape) {
	case 0, 1:
		return 1
	case 2:
		if w := o.Shape[1]; w > 0 && w <= math.MaxInt32 {
			return int(w)
		}
		return len(o.Labels)
	default:
		return 0
	}
}

func isFloat(d infer.DType) bool {
	return d == infer.FP32 || d == infer.FP64 || d == infer.FP16 || d == infer.BF16
}

// classes returns the number of classes, 0 if it is not known.
func (f *Form) classes() int {
	switch f.Kind {
	case kindScores:
		return f.Width
	case kindScore:
		return 2
	default:
		return 0
	}
}

// Scored reports whether the form has scores of classes.
func (f *Form) Scored() bool { return f.curves() > 0 }

// setPositive sets the positive class of two: the second, unless another one is named.
func (f *Form) setPositive(name string) error {
	if f.classes() != 2 {
		if name != "" {
			return infer.Errorf(infer.Invalid, "labels.positive is for a classification with scores of two classes; output '%s' is another", f.Output)
		}
		return nil
	}
	if f.Positive = 1; name == "" {
		return nil
	}
	i, err := f.class(Label{Text: name})
	f.Positive = i
	return err
}

// class returns the index of the class that a label names.
func (f *Form) class(l Label) (int, error) {
	if len(f.Classes) == 0 {
		i, err := strconv.Atoi(l.Text)
		if err != nil || i < 0 || i >= f.classes() {
			return 0, infer.Errorf(infer.Invalid, "the label is '%.40s', expected the number of a class, 0 to %d", l.Text, f.classes()-1)
		}
		return i, nil
	}
	if i := slices.Index(f.Classes, l.Text); i >= 0 {
		return i, nil
	}
	if l.Bool { // classes of bools have other names in Python
		if i := slices.Index(f.Classes, map[string]string{"true": "True", "false": "False"}[l.Text]); i >= 0 {
			return i, nil
		}
		if i := slices.Index(f.Classes, map[string]string{"true": "1", "false": "0"}[l.Text]); i >= 0 {
			return i, nil
		}
	}
	return 0, infer.Errorf(infer.Invalid, "the label is '%.40s', expected one of the classes %s", l.Text, quoted(f.Classes))
}

// Name returns the name of a class.
func (f *Form) Name(class int) string {
	if class < len(f.Classes) {
		return f.Classes[class]
	}
	return strconv.Itoa(class)
}

// quoted lists names for a message, and cuts the list if it is long.
func quoted(names []string) string {
	const most = 10
	text := ""
	for i, name := range names {
		if i == most {
			return text + fmt.Sprintf(" and %d more", len(names)-most)
		}
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("'%.40s'", name)
	}
	return text
}

// encoded returns the form as it is stored, and the number that identifies it.
func (f *Form) encoded() (text []byte, id uint64) {
	text, err := json.Marshal(f)
	if err != nil {
		panic(fmt.Sprintf("BUG: a form does not marshal: %v", err))
	}
	return text, xxh3.Hash(text)
}
