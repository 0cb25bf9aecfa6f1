package drift

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// TextValues are the values of a text in the reference.
type TextValues struct {
	// Distinct is about how many different values all rows have that were read. Sketch is a HyperLogLog
	// sketch of them, so that profiles can be merged.
	Distinct uint64 `json:"distinct"`
	Sketch   []byte `json:"sketch,omitempty"`

	// The next fields are those of a category. Names are the texts of the bins, the most frequent ones
	// first, cut after nameRunes characters; "" if the profile was made without texts. If there is one
	// more bin, it has all other values of the reference.
	Names []string `json:"names,omitempty"`
	// Hashes stand for the values of the reference, in ascending order. Rows has how many sampled rows
	// have each one, and Bins its bin.
	Hashes []uint64 `json:"hashes,omitempty"`
	Rows   []uint64 `json:"rows,omitempty"`
	Bins   []int    `json:"bins,omitempty"`
}

// The limits of a category.
const (
	// maxCategories is the max number of different values of a category.
	maxCategories = 1000
	// fewCategories are so few values that they are a category in a reference of any size.
	fewCategories = 8
	// maxOnce is the max share of rows whose value no other row has. It is about the share of later rows
	// with a value that the reference does not have (Good, Biometrika 40, 1953).
	maxOnce = 0.05
	// nameRunes is the max number of characters of a value in a profile or a message.
	nameRunes = 64
)

// bin returns the bin of a value, -1 if the reference does not have it.
func (v *TextValues) bin(hash uint64) int {
	if i, ok := slices.BinarySearch(v.Hashes, hash); ok {
		return v.Bins[i]
	}
	return -1
}

// once returns how many values exactly one sampled row has.
func (v *TextValues) once() (n float64) {
	for _, rows := range v.Rows {
		if rows == 1 {
			n++
		}
	}
	return n
}

// addCategory counts a value of a category, and returns its bin, -1 if the reference does not have it.
func (c *Counts) addCategory(f *Feature, x float64) (bin int, bad flaws) {
	if x != x { // NaN
		c.Missing++
		return -1, isMissing
	}
	if bin = f.Text.bin(uint64(x)); bin < 0 {
		c.Unseen++
		return -1, isNew
	}
	c.Bins[bin]++
	return bin, 0
}

// categorized are the sampled values of a text.
type categorized struct {
	name string
	hash uint64
	rows uint64
}

// areCategories reports whether a text with these values is a category. rows are those with a value.
func areCategories(values []categorized, rows uint64) bool {
	once := 0
	for i := range values {
		if values[i].rows == 1 {
			once++
		}
	}
	few := len(values) <= fewCategories
	return len(values) <= maxCategories && (few || float64(once) <= maxOnce*float64(rows))
}

// setCategories makes a feature a category with these values. Its bins are the most frequent ones, and
// one for all others if there are more, or if there is only one: a feature needs two bins.
func (f *Feature) setCategories(values []categorized) {
	f.Measure = MeasureCategory
	slices.SortFunc(values, func(a, b categorized) int {
		return cmp.Or(cmp.Compare(b.rows, a.rows), cmp.Compare(a.name, b.name), cmp.Compare(a.hash, b.hash))
	})
	own := len(values)
	if own > MaxBins {
		own = MaxBins - 1
	}
	bins := own
	if own < len(values) || own == 1 {
		bins++
	}
	f.Edges, f.Values = codes(bins)
	f.Reference = f.NewCounts()
	v := f.Text
	v.Names = make([]string, own)
	at := make(map[uint64]int, len(values))
	for i := range values {
		bin := min(i, own)
		if i < own {
			v.Names[i] = values[i].name
		}
		at[values[i].hash] = bin
		f.Reference.Bins[bin] += values[i].rows
	}
	slices.SortFunc(values, func(a, b categorized) int { return cmp.Compare(a.hash, b.hash) })
	v.Hashes, v.Rows, v.Bins = make([]uint64, len(values)), make([]uint64, len(values)), make([]int, len(values))
	for i := range values {
		v.Hashes[i], v.Rows[i], v.Bins[i] = values[i].hash, values[i].rows, at[values[i].hash]
	}
}

// codes returns the edges and the values of bins for the numbers 0, 1, 2 and so on.
func codes(bins int) (edges, values []float64) {
	edges = make([]float64, 0, max(0, bins-1))
	for i := range bins {
		values = append(values, float64(i))
		if i > 0 {
			edges = append(edges, float64(i)-0.5)
		}
	}
	return edges, values
}

// check returns an error about values that are not consistent with the feature.
func (v *TextValues) check(f *Feature) error {
	if !f.IsCategory() {
		if len(v.Names)+len(v.Hashes)+len(v.Rows)+len(v.Bins) > 0 {
			return fmt.Errorf("values of a category, but the measure is %s", f.Measure)
		}
		return nil
	}
	n, bins := len(v.Hashes), len(f.Reference.Bins)
	switch {
	case n > maxCategories || n > 0 && bins < 2:
		return fmt.Errorf("%d values in %d bins; expected at most %d values, in two bins or more", n, bins, maxCategories)
	case len(v.Rows) != n || len(v.Bins) != n:
		return fmt.Errorf("%d values, %d numbers of rows and %d bins of them; expected as many of each", n, len(v.Rows), len(v.Bins))
	case len(v.Names) > bins:
		return fmt.Errorf("%d names for %d bins", len(v.Names), bins)
	case slices.ContainsFunc(v.Names, func(name string) bool { return len(name) > maxNameBytes }):
		return fmt.Errorf("a name of more than %d bytes", maxNameBytes)
	}
	rows := make([]uint64, bins)
	for i := range v.Hashes {
		switch {
		case v.Hashes[i] >= 1<<53 || i > 0 && v.Hashes[i] <= v.Hashes[i-1]:
			return fmt.Errorf("hash %d is %d; expected them to ascend, below 2^53", i+1, v.Hashes[i])
		case v.Bins[i] < 0 || v.Bins[i] >= bins:
			return fmt.Errorf("value %d is in bin %d of %d", i+1, v.Bins[i], bins)
		case v.Rows[i] > f.Reference.Bins[v.Bins[i]]-rows[v.Bins[i]]:
			return fmt.Errorf("its values have more rows than bin %d", v.Bins[i])
		}
		rows[v.Bins[i]] += v.Rows[i]
	}
	if !slices.Equal(rows, f.Reference.Bins) {
		return errors.New("the rows of its values do not add up to those of its bins")
	}
	return nil
}

// maxNameBytes is the max size of a name: characters of up to 4 bytes, and the sign that it is cut.
const maxNameBytes = 4*nameRunes + len("…")

// nameOf cuts a text to the name of a value, and makes it valid UTF-8. whole is its length in bytes, of
// which head is the beginning.
func nameOf(head []byte, whole int) string {
	text := string(head[:min(len(head), maxNameBytes)])
	if whole > len(text) { // without a character that is cut
		text = strings.ToValidUTF8(text, "")
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	runes := 0
	for at := range text {
		if runes == nameRunes {
			return strings.Clone(text[:at]) + "…"
		}
		runes++
	}
	if whole > len(head) {
		text += "…"
	}
	return text
}

// CategoryName returns the name of a bin of a category for messages: in quotes, with escapes for
// characters that cannot be seen.
func (f *Feature) CategoryName(bin int) string {
	switch v := f.Text; {
	case bin >= len(v.Names) && len(v.Names) > 0:
		return "another known value"
	case bin >= len(v.Names) || v.Names[bin] == "":
		return "value " + strconv.Itoa(bin+1)
	default:
		return quoted(v.Names[bin])
	}
}

// quoted writes a value in a message.
func quoted(name string) string { return strconv.Quote(name) }

// CategoryNames returns the names of the bins of a category for messages, nil for other features.
func (f *Feature) CategoryNames() []string {
	if !f.IsCategory() {
		return nil
	}
	names := make([]string, len(f.Reference.Bins))
	for bin := range names {
		names[bin] = f.CategoryName(bin)
	}
	return names
}
