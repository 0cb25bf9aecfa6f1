package drift

import (
	"math"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// counted counts all rows in the bins of another profile, so that there is no sample.
type counted struct {
	columns []countedColumn
	vectors []countedVector
	failed  error // the rows cannot be counted so
}

// countedColumn has the features of a column: one, or those of a text that is not a category.
type countedColumn struct {
	like []Feature // with the moments of the other profile, around which the sums are
	// values are those of a category; nil for others. known are the names in the other profile.
	values map[uint64]*categorized
	odd    Counts // the rows of a category without a value
}

// CountIn makes the builder count all rows in the bins of another profile, which must have the same
// features, instead of a sample in bins of its own. It is called before Add. Errors are Invalid.
func (b *Builder) CountIn(of *Profile) error {
	c := &counted{columns: make([]countedColumn, len(b.features))}
	features, err := b.countVectors(c, of)
	if err != nil {
		return err
	}
	for i := range b.features {
		if b.columns[i].vector {
			continue
		}
		var err error
		if c.columns[i].like, err = b.features[i].likeIn(of); err != nil {
			return err
		}
		if c.columns[i].like[0].IsCategory() {
			c.columns[i].values = map[uint64]*categorized{}
		}
		features += len(c.columns[i].like)
	}
	if len(of.Features) != features {
		return infer.Errorf(infer.Invalid, "the profile with the bins has %d features, the rows have %d", len(of.Features), features)
	}
	if of.TextBytes > 0 {
		b.o.TextBytes = of.TextBytes
	}
	b.counted = c
	return nil
}

// likeIn returns the features of a column in a profile, ready to count.
func (f *Feature) likeIn(of *Profile) ([]Feature, error) {
	var list []Feature
	for i := range of.Features {
		o := &of.Features[i]
		if o.Kind == f.Kind && o.Tensor == f.Tensor && o.Element == f.Element && o.Datatype == f.Datatype && o.OfText() == f.IsText() && (f.OfVector() || o.OfVector()) == (f.Measure == o.Measure && f.OfVector()) {
			list = append(list, *o)
		}
	}
	if len(list) == 0 || !list[0].IsCategory() && f.IsText() && len(list) != len(measured) || len(list) > 1 && !f.IsText() {
		return nil, infer.Errorf(infer.Invalid, "the profile with the bins does not have feature '%.60s' of the same datatype", f.Name)
	}
	for i := range list {
		g := &list[i]
		if len(g.Edges) == 0 && !g.IsCategory() {
			return nil, infer.Errorf(infer.Invalid, "feature '%.60s' has no finite value in the profile with the bins, so it has no bins", g.Name)
		}
		g.Min, g.Max = math.Inf(-1), math.Inf(1) // nothing is out of range of its own rows
		g.Reference, g.Hours = g.NewCounts(), nil
	}
	return list, nil
}

// Err returns the error that makes the rows so far no profile: a category of the profile with the bins has
// more different values than a category may have or, after Profile, no segment has enough rows. It is Invalid.
func (b *Builder) Err() error {
	if b.counted == nil || b.counted.failed == nil {
		return b.segments.failed
	}
	return b.counted.failed
}

// addRow counts the values of a row, as they are in the tensors.
func (c *counted) addRow(b *Builder, values []float64, texts []string, missing []bool) {
	for i := range c.columns {
		if b.columns[i].vector {
			continue
		}
		column := &c.columns[i]
		part := b.columns[i].part
		if b.columns[i].text != nil {
			numbers := b.textNumbers(i, texts[i], missing[i])
			for k, x := range numbers {
				b.moments[part+k].add(x)
			}
			c.addText(b, i, numbers, len(texts[i]))
			continue
		}
		x := values[i]
		if missing[i] {
			x = math.NaN()
		}
		column.like[0].countIn(&b.week, b.moments[part].add(x))
	}
	for i := range c.vectors {
		c.vectors[i].add(b, values, missing)
	}
}

// addText counts the numbers of a text.
func (c *counted) addText(b *Builder, at int, numbers [textParts]float64, whole int) {
	column := &c.columns[at]
	switch {
	case column.values == nil:
		for k := range column.like {
			f := &column.like[k]
			f.countIn(&b.week, numbers[1+slices.Index(measured[:], f.Measure)])
		}
		return
	case numbers[0] != numbers[0]: // NaN
		column.odd.AddMissing()
		return
	}
	hash := uint64(numbers[0])
	v := column.values[hash]
	if v == nil {
		if len(column.values) >= maxCategories {
			c.failed = infer.Errorf(infer.Invalid, "feature '%.60s' has more than %d different values, and is a category in the profile with the bins", column.like[0].Name, maxCategories)
			return
		}
		v = &categorized{hash: hash}
		if b.o.TextNames {
			v.name = nameOf(b.columns[at].text.head, whole)
		}
		column.values[hash] = v
	}
	v.rows++
}

// described returns the features of the rows.
func (c *counted) described(b *Builder) []Feature {
	list := make([]Feature, 0, len(c.columns))
	for i := range c.columns {
		column, part := &c.columns[i], b.columns[i].part
		var values *TextValues
		if text := b.columns[i].text; text != nil {
			values = text.mustValues()
		}
		if column.values != nil {
			f := b.features[i]
			f.Name, f.Text, f.Read = column.like[0].Name, values, b.moments[part].odd
			all := make([]categorized, 0, len(column.values))
			for _, v := range column.values {
				all = append(all, *v)
			}
			f.setCategories(all)
			f.Reference.Missing = column.odd.Missing
			list = append(list, f)
			continue
		}
		for k := range column.like {
			like := &column.like[k]
			f, at := b.features[i], part
			f.Measure = like.Measure
			if f.OfText() {
				at += 1 + slices.Index(measured[:], f.Measure)
			}
			b.moments[at].describe(&f)
			r := like.Reference.around(like.Mean, f.Mean)
			if f.Edges, f.Values, f.Tails = like.Edges, like.Values, like.Tails; r.New > 0 {
				f.Values, r.New = nil, 0
			}
			f.Name, f.Reference, f.Hours = like.Name, r, b.week.around(like, &f)
			if f.Measure == MeasureLength {
				f.Text = values
			}
			list = append(list, f)
		}
	}
	for i := range c.vectors {
		list = append(list, c.vectors[i].described(b)...)
	}
	return list
}
