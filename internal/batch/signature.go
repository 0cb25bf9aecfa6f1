package batch

import (
	"fmt"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// signatureFinding says why a model cannot be batched whatever it computes. The names of first
// dimensions do not matter, since exporters choose them freely. A name of a first dimension
// that is on another axis too does.
func signatureFinding(m *infer.Model) (f Finding, found bool) {
	rows := rowSymbols(m)
	var relaxable Finding
	check := func(kind string, s *infer.TensorSpec) bool {
		f = specFinding(kind, s, rows)
		if f.Relaxable {
			if relaxable.Reason == "" {
				relaxable = f
			}
			f = Finding{} // another tensor may have a problem that relaxing does not solve
		}
		return f.Reason == ""
	}
	given := false
	for i := range m.Inputs {
		if s := &m.Inputs[i]; !s.Optional {
			given = true
			if !check("input", s) {
				return f, true
			}
		}
	}
	if !given {
		return Finding{Summary: noRows, Reason: "no input is required, so no input has the rows of a request"}, true
	}
	for i := range m.Outputs {
		if !check("output", &m.Outputs[i]) {
			return f, true
		}
	}
	return relaxable, relaxable.Reason != ""
}

// specFinding says why a tensor has no rows along its first dimension. Its Reason is empty if
// it may have.
func specFinding(kind string, s *infer.TensorSpec, rows []string) Finding {
	axis := otherAxis(s, rows)
	switch {
	case len(s.Shape) == 0:
		return Finding{Summary: noRows, Reason: fmt.Sprintf("%s '%s' has no first dimension along which requests could be joined", kind, s.Name)}
	case axis > 0 && (kind == "input" || !slices.Contains(rows, name(s, 0))):
		return onAxis(kind, s.Name, axis)
	case s.Shape[0] < 0:
		return Finding{}
	}
	f := Finding{Summary: noFixed, Reason: fmt.Sprintf("%s '%s' has no free first dimension (it is fixed at %d)", kind, s.Name, s.Shape[0])}
	if s.Shape[0] == 1 {
		f.Relaxable, f.Advice = true, "set batching.relax to let requests be joined"
	} else {
		f.Advice = "export the model with a free first dimension"
	}
	return f
}

// onAxis is the finding of a tensor whose rows are not along its first dimension.
func onAxis(kind, tensor string, axis int) Finding {
	return Finding{Summary: noAxis, Reason: fmt.Sprintf("%s '%s' has its rows on axis %d; Sluice joins along axis 0 only", kind, tensor, axis)}
}

// rowSymbols are the names of the first dimensions of the required inputs.
func rowSymbols(m *infer.Model) []string {
	var names []string
	for i := range m.Inputs {
		if s := &m.Inputs[i]; !s.Optional && varies(s) && name(s, 0) != "" {
			names = append(names, name(s, 0))
		}
	}
	return names
}

// otherAxis returns the axis, other than the first, that has the name of the rows, or 0.
func otherAxis(s *infer.TensorSpec, rows []string) int {
	for axis := 1; axis < len(s.Shape); axis++ {
		if n := name(s, axis); s.Shape[axis] < 0 && n != "" && slices.Contains(rows, n) {
			return axis
		}
	}
	return 0
}

// name returns the name of a dimension, "" if it has none. Paddle writes "?" for any that it
// does not know.
func name(s *infer.TensorSpec, axis int) string {
	if axis >= len(s.Symbols) || s.Symbols[axis] == "?" {
		return ""
	}
	return s.Symbols[axis]
}

func varies(s *infer.TensorSpec) bool { return len(s.Shape) > 0 && s.Shape[0] < 0 }

// joinedInputs reports for each input whether its first dimension counts the rows of a request.
// That of each required input must. That of an optional input does if it is free and has either
// no name or that of a required input. problem says why the model has no rows.
func joinedInputs(m *infer.Model) (joined []bool, problem string) {
	joined = make([]bool, len(m.Inputs))
	rows := rowSymbols(m)
	for i := range m.Inputs {
		s := &m.Inputs[i]
		switch {
		case !s.Optional && !varies(s):
			return nil, "input '" + s.Name + "' has no free first dimension"
		case !s.Optional:
			joined[i] = true
		case varies(s):
			joined[i] = name(s, 0) == "" || len(rows) == 0 || slices.Contains(rows, name(s, 0))
		}
	}
	if !slices.Contains(joined, true) {
		return nil, "no input has a free first dimension"
	}
	return joined, ""
}

// sameRows reports whether all joined inputs must have equally many rows: their first
// dimensions have one name, or none.
func sameRows(m *infer.Model, joined []bool) bool {
	rows := rowSymbols(m)
	for i := range m.Inputs {
		if joined[i] && len(rows) > 0 && name(&m.Inputs[i], 0) != rows[0] && name(&m.Inputs[i], 0) != "" {
			return false
		}
	}
	return true
}
