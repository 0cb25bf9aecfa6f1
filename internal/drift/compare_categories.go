package drift

import (
	"math"
	"strconv"
	"strings"
)

// overCategories counts the values of a category in the bins of another profile's. That is exact, since
// profiles have the rows of all values.
func (f *Feature) overCategories(a *Feature) Counts {
	c := a.NewCounts()
	c.Missing = f.Reference.Missing
	for i, hash := range f.Text.Hashes {
		if bin := a.Text.bin(hash); bin >= 0 {
			c.Bins[bin] += f.Text.Rows[i]
		} else {
			c.Unseen += f.Text.Rows[i]
		}
	}
	return c
}

// compareCategories sets the differences of a category from f's to those of g. Values that f does not have
// are one more bin. Categories have no order, so there is no distance of their distribution functions.
func (d *Difference) compareCategories(f, g *Feature) {
	counts := g.overCategories(f)
	n, m := float64(f.Reference.Finite()), float64(g.Reference.Finite())
	d.Outside = float64(counts.Unseen) / m
	var p, q []bounds
	exactly := func(share float64) bounds { return bounds{share, share, share} }
	for i := range counts.Bins {
		p, q = append(p, exactly(float64(f.Reference.Bins[i])/n)), append(q, exactly(float64(counts.Bins[i])/m))
	}
	if counts.Unseen > 0 {
		p, q = append(p, bounds{}), append(q, exactly(d.Outside))
	}
	d.compareShares(p, q, n, m)
}

// judgeCategories finds the strongest evidence that the values of a category differ.
func (d *Difference) judgeCategories(f, g *Feature, o *CompareOptions, take func(logP float64, change string)) {
	counts := g.overCategories(f)
	fresh := fraction{bad: float64(counts.Unseen), rows: float64(g.Reference.Finite())}
	take(excessTail(fresh, referenceQuality(StatisticNew, f), allowance{gain: o.RangeTolerance}), "new: "+percent(fresh.value())+" of the values, 0 % in A"+g.firstUnknown(f))
	take(compare(counts.Bins, f.Reference.Bins, o.Tolerance).logP, describeCategories(f, &counts, nil))
}

// firstUnknown names the most frequent value that another profile does not have, if the profile has its name.
func (f *Feature) firstUnknown(a *Feature) string {
	best, rows := -1, uint64(0)
	for i, hash := range f.Text.Hashes {
		if bin := f.Text.Bins[i]; a.Text.bin(hash) < 0 && f.Text.Rows[i] > rows && bin < len(f.Text.Names) && f.Text.Names[bin] != "" {
			best, rows = bin, f.Text.Rows[i]
		}
	}
	if best < 0 {
		return ""
	}
	return ", for example " + quoted(f.Text.Names[best])
}

// Summary describes the values of a text in a few words: how many there are, and the most frequent ones of
// a category. It is "" for other features.
func (f *Feature) Summary() string {
	if f.Text == nil {
		return ""
	}
	if !f.IsCategory() {
		return "about " + strconv.FormatUint(f.Text.Distinct, 10)
	}
	const most = 3
	n := float64(f.Reference.Finite())
	parts := make([]string, 0, most+1)
	for bin := range min(most, len(f.Text.Names)) {
		parts = append(parts, f.CategoryName(bin)+" "+percent(math.Round(1000*float64(f.Reference.Bins[bin])/n)/1000))
	}
	if len(f.Text.Hashes) > most {
		parts = append(parts, "…")
	}
	text := strconv.Itoa(len(f.Text.Hashes))
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}
