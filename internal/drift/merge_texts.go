package drift

import (
	"github.com/axiomhq/hyperloglog"

	"sluice.io/sluice/internal/infer"
)

// mergedCategory returns a category with the rows of another one. It is exact with any bins, since profiles have
// the rows of all values. A value without a name, since it had no bin of its own, may get one.
func (f *Feature) mergedCategory(o *Feature) (Feature, error) {
	text, err := f.Text.merged(o.Text)
	if err != nil {
		return Feature{}, err
	}
	values := map[uint64]*categorized{}
	for _, from := range []*Feature{f, o} {
		for i, hash := range from.Text.Hashes {
			v := values[hash]
			if v == nil {
				v = &categorized{hash: hash}
				values[hash] = v
			}
			v.rows += from.Text.Rows[i]
			if bin := from.Text.Bins[i]; bin < len(from.Text.Names) && v.name == "" {
				v.name = from.Text.Names[bin]
			}
		}
	}
	if len(values) > maxCategories {
		return Feature{}, infer.Errorf(infer.Invalid, "feature '%.60s' has %d different values together; a category has at most %d", f.Name, len(values), maxCategories)
	}
	list := make([]categorized, 0, len(values))
	for _, v := range values {
		list = append(list, *v)
	}
	m := *f
	m.Text, m.Hours = text, nil
	m.Read.Missing += o.Read.Missing
	m.setCategories(list)
	m.Reference.Missing = f.Reference.Missing + o.Reference.Missing
	return m, nil
}

// merged returns the number of different values of two texts together.
func (v *TextValues) merged(o *TextValues) (*TextValues, error) {
	if o == nil {
		return nil, infer.Errorf(infer.Invalid, "the other profile does not have the number of different values of a text")
	}
	var a, b hyperloglog.Sketch
	for _, x := range []struct {
		sketch *hyperloglog.Sketch
		from   []byte
	}{{&a, v.Sketch}, {&b, o.Sketch}} {
		if err := x.sketch.UnmarshalBinary(x.from); err != nil {
			return nil, infer.Errorf(infer.Invalid, "the sketch of the values of a text is not valid: %v", err)
		}
	}
	if err := a.Merge(&b); err != nil {
		return nil, infer.Errorf(infer.Invalid, "the sketches of the values of a text cannot be merged: %v", err)
	}
	distinct := a.Estimate()
	sketch, err := a.MarshalBinary()
	return &TextValues{Distinct: distinct, Sketch: sketch}, err
}
