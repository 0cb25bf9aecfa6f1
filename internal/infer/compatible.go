package infer

// Compatible returns an Invalid error if a request that matches model a may not match model b,
// or the reverse, for more than the sizes of dimensions that vary. Both must have inputs of the
// same names and datatypes, with as many dimensions, and the dimensions that both fix must be
// equal. Outputs may differ.
func Compatible(a, b *Model) error {
	for i := range a.Inputs {
		x := &a.Inputs[i]
		at, ok := b.inputs[x.Name]
		if !ok {
			return Errorf(Invalid, "it has no input '%s'", x.Name)
		}
		y := &b.Inputs[at]
		switch {
		case y.Optional != x.Optional:
			return Errorf(Invalid, "its input '%s' is optional in one and required in the other", x.Name)
		case y.DType != x.DType:
			return Errorf(Invalid, "its input '%s' is %v, not %v", x.Name, y.DType, x.DType)
		case !compatibleShapes(x.Shape, y.Shape):
			return Errorf(Invalid, "its input '%s' has the shape %v, not %v", x.Name, y.Shape, x.Shape)
		}
	}
	for i := range b.Inputs {
		if _, ok := a.inputs[b.Inputs[i].Name]; !ok {
			return Errorf(Invalid, "it has an additional input '%s'", b.Inputs[i].Name)
		}
	}
	return nil
}

func compatibleShapes(a, b Shape) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] >= 0 && b[i] >= 0 && a[i] != b[i] {
			return false
		}
	}
	return true
}

// Keeps returns an Invalid error if model b lacks an output of model a, or has it with another
// datatype or number of dimensions.
func Keeps(a, b *Model) error {
	for i := range a.Outputs {
		x := &a.Outputs[i]
		var y *TensorSpec
		for j := range b.Outputs {
			if b.Outputs[j].Name == x.Name {
				y = &b.Outputs[j]
			}
		}
		switch {
		case y == nil:
			return Errorf(Invalid, "it has no output '%s'", x.Name)
		case y.DType != x.DType:
			return Errorf(Invalid, "its output '%s' is %v, not %v", x.Name, y.DType, x.DType)
		case !compatibleShapes(x.Shape, y.Shape):
			return Errorf(Invalid, "its output '%s' has the shape %v, not %v", x.Name, y.Shape, x.Shape)
		}
	}
	return nil
}
