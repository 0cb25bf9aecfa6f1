package drift

import (
	"fmt"
	"math"

	"github.com/axiomhq/hyperloglog"
)

// A Builder does not know yet whether a column of texts is a category. So it keeps all numbers of each
// text: its hash, its length and the shares of classes of characters.

// textParts is the number of numbers that a Builder keeps of a text.
const textParts = 1 + len(measured)

// sketchPrecision gives a sketch of up to 4 KiB with a standard error of 1.6 %.
const sketchPrecision = 12

// textColumn is a column of texts.
type textColumn struct {
	sketch *hyperloglog.Sketch
	// known are the values of the sample, by hash; nil if they are too many for a category.
	known map[uint64]*categorized
	head  []byte // for reuse
}

func newTextColumn() *textColumn {
	sketch, err := hyperloglog.NewSketch(sketchPrecision, true)
	if err != nil {
		panic(fmt.Sprintf("BUG: drift: a sketch of precision %d: %v", sketchPrecision, err))
	}
	return &textColumn{sketch: sketch, known: map[uint64]*categorized{}}
}

// read measures a text, of which the first limit bytes are looked at, and counts it as one of all values.
func (t *textColumn) read(text string, limit int) Text {
	t.head = append(t.head[:0], text[:min(len(text), limit)]...)
	x := ReadText(t.head, len(text))
	t.sketch.InsertHash(mix(x.hash)) // a sketch needs all 64 bits
	return x
}

// sampled counts a text that is in the sample now, the last one that was read.
func (t *textColumn) sampled(hash uint64, whole int) {
	if t.known == nil {
		return
	}
	if v := t.known[hash]; v != nil {
		v.rows++
		return
	}
	if len(t.known) >= 2*maxCategories { // twice, since values may leave the sample
		t.known = nil
		return
	}
	t.known[hash] = &categorized{name: nameOf(t.head, whole), hash: hash, rows: 1}
}

// replaced forgets a text that has left the sample.
func (t *textColumn) replaced(hash float64) {
	if hash != hash { // it was missing
		return
	}
	v := t.known[uint64(hash)]
	if v == nil {
		return
	}
	if v.rows--; v.rows == 0 {
		delete(t.known, v.hash)
	}
}

// mustValues returns about how many different values there are, and their sketch.
func (t *textColumn) mustValues() *TextValues {
	distinct := t.sketch.Estimate() // first, since it brings a sketch into one form
	sketch, err := t.sketch.MarshalBinary()
	if err != nil {
		panic(fmt.Sprintf("BUG: drift: a sketch cannot be written: %v", err))
	}
	return &TextValues{Distinct: distinct, Sketch: sketch}
}

// textFeatures returns the features of a column of texts: a category, or its length and classes.
func (b *Builder) textFeatures(column int) []Feature {
	c := &b.columns[column]
	f := b.features[column]
	f.Text = c.text.mustValues()
	rows := uint64(0)
	for at := range b.sampled {
		if x := b.row(at)[c.part]; x == x {
			rows++
		}
	}
	if c.text.known != nil {
		list := make([]categorized, 0, len(c.text.known))
		for _, v := range c.text.known {
			list = append(list, *v)
		}
		if areCategories(list, rows) {
			if !b.o.TextNames {
				for i := range list {
					list[i].name = ""
				}
			}
			f.setCategories(list)
			f.Read = b.moments[c.part].odd
			f.Reference.Missing = b.sampled - rows
			b.byHour(&f, c.part)
			return []Feature{f}
		}
	}
	features := make([]Feature, 0, len(measured))
	for i, measure := range measured {
		g := f
		g.Name, g.Measure = f.Name+" "+measure, measure
		if i > 0 {
			g.Text = nil
		}
		features = append(features, b.feature(g, c.part+1+i))
	}
	return features
}

// addText sets the numbers of a text in a row, NaN if it is missing. row is nil if it is not sampled.
func (b *Builder) addText(column int, text string, missing bool, row []float64, full bool) {
	c := &b.columns[column]
	if row != nil && full {
		c.text.replaced(row[c.part])
	}
	numbers := b.textNumbers(column, text, missing)
	if row != nil && numbers[0] == numbers[0] { // not NaN
		c.text.sampled(uint64(numbers[0]), len(text))
	}
	for i, x := range numbers {
		x = b.moments[c.part+i].add(x)
		if row != nil {
			row[c.part+i] = x
		}
	}
}

// textNumbers returns the numbers of a text, NaN if it is missing.
func (b *Builder) textNumbers(column int, text string, missing bool) (numbers [textParts]float64) {
	if missing || text == "" {
		for i := range numbers {
			numbers[i] = math.NaN()
		}
		return numbers
	}
	x := b.columns[column].text.read(text, b.o.TextBytes)
	numbers[0], numbers[1] = float64(x.hash), x.length
	copy(numbers[2:], x.classes[:])
	return numbers
}
