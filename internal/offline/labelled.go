package offline

import (
	"encoding/json"

	"sluice.io/sluice/internal/estimate"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
)

// LabelledRows says what a profile knows of the labels of its rows.
type LabelledRows struct {
	Rows    int64
	Right   int64 // rows of which the predicted class is the true one
	Output  string
	Classes []LabelledClass
}

// LabelledClass counts the rows of a class.
type LabelledClass struct {
	Name                   string
	Rows, Predicted, Right int64
}

// LabelledRowsOf returns what a profile knows of labels, nil if that is nothing. Errors are Invalid.
func LabelledRowsOf(p *Profile) (*LabelledRows, error) {
	if len(p.Performance) == 0 {
		return nil, nil //nolint:nilnil // not an error
	}
	ref, err := estimate.Decode(p.Performance)
	if err != nil {
		return nil, err
	}
	var form labels.Form
	if err := json.Unmarshal(ref.Form, &form); err != nil {
		return nil, infer.Errorf(infer.Invalid, "the performance of the profile: its form is not valid: %v", err)
	}
	l := &LabelledRows{Rows: ref.Rows, Output: form.Output, Classes: make([]LabelledClass, ref.Classes())}
	for predicted, row := range ref.Confusion {
		for class, n := range row {
			l.Classes[predicted].Predicted += n
			l.Classes[class].Rows += n
		}
		l.Classes[predicted].Name, l.Classes[predicted].Right = form.Name(predicted), row[predicted]
		l.Right += row[predicted]
	}
	return l, nil
}
