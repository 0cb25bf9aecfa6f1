package drift

import "sluice.io/sluice/internal/infer"

// withoutCategory returns a category without the rows of a part. The rows of each value are known, so
// the bins may differ.
func (f *Feature) withoutCategory(o *Feature) (Feature, error) {
	if !o.IsCategory() || o.Text == nil {
		return Feature{}, infer.Errorf(infer.Invalid, "feature '%.60s' is a category in only one of the profiles", f.Name)
	}
	fewer := make(map[uint64]uint64, len(o.Text.Hashes))
	for i, hash := range o.Text.Hashes {
		fewer[hash] = o.Text.Rows[i]
	}
	list := make([]categorized, 0, len(f.Text.Hashes))
	for i, hash := range f.Text.Hashes {
		v := categorized{hash: hash, rows: f.Text.Rows[i]}
		if fewer[hash] > v.rows {
			return Feature{}, notPart(f, "more rows of a value than")
		}
		v.rows -= fewer[hash]
		delete(fewer, hash)
		if bin := f.Text.Bins[i]; bin < len(f.Text.Names) {
			v.name = f.Text.Names[bin]
		}
		if v.rows > 0 {
			list = append(list, v)
		}
	}
	if len(fewer) > 0 {
		return Feature{}, notPart(f, "a value that is not in")
	}
	var err error
	r := *f
	r.Hours = nil
	if r.Read, err = f.withoutOdd(&f.Read, &o.Read); err != nil {
		return Feature{}, err
	}
	if o.Reference.Missing > f.Reference.Missing {
		return Feature{}, notPart(f, "more missing values than")
	}
	r.Text = &TextValues{Distinct: f.Text.Distinct, Sketch: f.Text.Sketch}
	r.setCategories(list)
	r.Reference.Missing = f.Reference.Missing - o.Reference.Missing
	return r, nil
}
