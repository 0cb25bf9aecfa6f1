package labels

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Label is what was true of a row, as it was sent.
type Label struct {
	Text    string  // the name of a class; of a number or a bool, its shortest form
	Number  float64 // if Numeric
	Numeric bool
	Bool    bool // Text is true or false, and was not in quotes
}

// NumberLabel returns a label that was sent as a number.
func NumberLabel(x float64) Label {
	return Label{Text: strconv.FormatFloat(x, 'f', -1, 64), Number: x, Numeric: true}
}

// TextLabel returns a label that was sent as text, as all are in CSV. numeric says that text may
// be a number.
func TextLabel(s string, numeric bool) Label {
	l := Label{Text: s}
	if x, err := strconv.ParseFloat(s, 64); numeric && err == nil {
		l.Number, l.Numeric = x, true
		if x == math.Trunc(x) && math.Abs(x) < 1e15 {
			l.Text = strconv.FormatFloat(x, 'f', -1, 64) // 1.0 is the class 1
		}
	}
	return l
}

// BoolLabel returns a label that was sent as true or false.
func BoolLabel(b bool) Label { return Label{Text: strconv.FormatBool(b), Bool: true} }

// Row is a label of one row of a request.
type Row struct {
	RequestID string
	Row       int
	Label     Label
	Time      time.Time // when the truth became known; zero: now
	Problem   string    // why the row is invalid, whatever it is about; "" if it is not
}

// Check returns an Invalid error if a prediction of the form cannot have a label.
func (f *Form) Check(l Label) error {
	_, _, err := f.check(l)
	return err
}

// check returns a label as it is stored, and the index of its class.
func (f *Form) check(l Label) (stored []byte, class int, err error) {
	if f.Kind == kindValue {
		switch {
		case !l.Numeric:
			return nil, 0, infer.Errorf(infer.Invalid, "the label is '%.40s', expected a number", l.Text)
		case math.IsNaN(l.Number) || math.IsInf(l.Number, 0):
			return nil, 0, infer.Errorf(infer.Invalid, "the label is %v, expected a finite number", l.Number)
		}
		return binary.LittleEndian.AppendUint64(nil, math.Float64bits(l.Number)), 0, nil
	}
	if l.Text == "" || l.Numeric && (math.IsNaN(l.Number) || math.IsInf(l.Number, 0)) {
		return nil, 0, infer.Errorf(infer.Invalid, "the label is '%s', expected the name or the number of a class", l.Text)
	}
	if f.Kind == kindClass {
		return []byte(cut(l.Text, maxClassText)), 0, nil
	}
	class, err = f.class(l)
	return binary.LittleEndian.AppendUint32(nil, uint32(class)), class, err //nolint:gosec // at most maxScores
}

// restore returns a stored label.
func (f *Form) restore(stored []byte) (l Label, class int) {
	switch {
	case f.Kind == kindValue && len(stored) == 8:
		return NumberLabel(math.Float64frombits(binary.LittleEndian.Uint64(stored))), 0
	case f.Kind == kindClass:
		return Label{Text: string(stored)}, 0
	case len(stored) == 4:
		return Label{}, int(binary.LittleEndian.Uint32(stored))
	}
	return Label{}, 0
}
