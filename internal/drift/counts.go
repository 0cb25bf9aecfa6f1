package drift

import (
	"fmt"
	"math"
)

// NewCounts returns the counts of zero rows, without halves. With 32 bins they take 370 bytes.
func (f *Feature) NewCounts() Counts {
	return Counts{Bins: make([]uint64, len(f.Edges)+1)}
}

// newSplitCounts returns the counts of zero rows with halves, 1 KiB more.
func (f *Feature) newSplitCounts() Counts {
	c := f.NewCounts()
	c.Halves = make([]Halves, len(c.Bins))
	return c
}

// AddIn counts one value of a row in these halves, and returns its bin like Add.
func (c *Counts) AddIn(f *Feature, x float64, halves Halves) (bin int) {
	bin, bad := c.add(f, x)
	if bin >= 0 {
		c.Halves[bin].add(halves)
	}
	if bad != 0 {
		c.flawed(bad, halves)
	}
	return bin
}

// Add counts one value of the feature, and returns its bin, -1 if the value is not finite or
// is one of a category that the reference does not have. It never
// allocates.
//
// The search halves the rest without a check for its end, so that each value takes the same few
// steps. A value that is hard to predict does not cost more.
func (c *Counts) Add(f *Feature, x float64) (bin int) {
	bin, _ = c.add(f, x)
	return bin
}

// add is Add. bad says in which ways the value is flawed.
func (c *Counts) add(f *Feature, x float64) (bin int, bad flaws) {
	if f.Measure == MeasureCategory {
		return c.addCategory(f, x)
	}
	d := x - f.Mean
	if d-d != 0 { // NaN or infinite; then x is too, unless the difference overflows
		return c.addSlow(f, x)
	}
	n := len(f.Edges)
	for n > 0 {
		half := (n + 1) >> 1
		above := 0
		if f.Edges[bin+half-1] < x { // becomes a flag and not a jump, which could not be predicted
			above = 1
		}
		bin += half * above
		n -= half
	}
	c.Bins[bin]++
	if len(f.Edges) > 0 && (x < f.Min || x > f.Max) {
		bad = c.addOutside(f, x)
	}
	if len(f.Tails) == 2 && (x <= f.Tails[0] || x > f.Tails[1]) {
		c.addTail(f, x)
	}
	if bin < len(f.Values) && x != f.Values[bin] {
		bad |= c.addNew(f, x, bin)
	}
	c.Sum += d
	if sq := c.Squares + d*d; sq <= math.MaxFloat64 {
		c.Squares = sq
	} else { // only here the sum can be out of range too
		c.Sum, c.Squares = finite(c.Sum), math.MaxFloat64
	}
	return bin, bad
}

// addSlow counts a value that is not finite. A value so large that the difference overflows counts
// as the largest number: sums must stay finite, since JSON has no infinities.
func (c *Counts) addSlow(f *Feature, x float64) (bin int, bad flaws) {
	switch {
	case x != x: // NaN
		c.Missing++
		return -1, isMissing
	case x > math.MaxFloat64:
		c.PosInf++
		return -1, isInf
	case x < -math.MaxFloat64:
		c.NegInf++
		return -1, isInf
	default:
		for bin < len(f.Edges) && f.Edges[bin] < x {
			bin++
		}
		c.Bins[bin]++
		if len(f.Edges) > 0 {
			bad = c.addOutside(f, x)
		}
		if len(f.Tails) == 2 {
			c.addTail(f, x)
		}
		if bin < len(f.Values) {
			bad |= c.addNew(f, x, bin)
		}
		c.Sum = addFinite(c.Sum, math.Copysign(math.MaxFloat64, x))
		c.Squares = math.MaxFloat64
		return bin, bad
	}
}

func (c *Counts) addOutside(f *Feature, x float64) flaws {
	switch {
	case x < f.Min:
		c.Below++
	case x > f.Max:
		c.Above++
	default:
		return 0
	}
	return isOutside
}

func (c *Counts) addTail(f *Feature, x float64) {
	if x <= f.Tails[0] {
		c.Low++
	} else if x > f.Tails[1] {
		c.High++
	}
}

// addNew counts a value that is not the one of its bin. Without a datatype, numbers that are equal in
// FP32 are one value, as in edges.
func (c *Counts) addNew(f *Feature, x float64, bin int) flaws {
	if v := f.Values[bin]; x == v || f.Datatype == "" && float32(x) == float32(v) {
		return 0
	}
	c.New++
	return isNew
}

// AddMissing counts a row without a value.
func (c *Counts) AddMissing() { c.Missing++ }

// AddMissingIn counts a row without a value in these halves.
func (c *Counts) AddMissingIn(halves Halves) {
	c.Missing++
	c.flawed(isMissing, halves)
}

// Merge adds the counts of other rows of the same feature. It does not add the names of values.
func (c *Counts) Merge(o Counts) {
	if len(c.Bins) != len(o.Bins) {
		panic(fmt.Sprintf("BUG: drift: counts of %d bins added to counts of %d", len(o.Bins), len(c.Bins)))
	}
	for i, n := range o.Bins {
		c.Bins[i] += n
	}
	if c.Halves != nil && o.Halves != nil {
		for i := range o.Halves {
			c.Halves[i].add(o.Halves[i])
		}
	} else {
		c.Halves = nil
	}
	for i := range o.Flaws {
		c.Flaws[i].merge(&o.Flaws[i])
	}
	c.Missing += o.Missing
	c.NaN += o.NaN
	c.PosInf += o.PosInf
	c.NegInf += o.NegInf
	c.Below += o.Below
	c.Above += o.Above
	c.New += o.New
	c.Low += o.Low
	c.High += o.High
	c.Unseen += o.Unseen
	c.Hours = c.Hours.with(o.Hours)
	c.Sum = addFinite(c.Sum, o.Sum)
	c.Squares = addFinite(c.Squares, o.Squares)
}

func addFinite(a, b float64) float64 {
	return max(-math.MaxFloat64, min(a+b, math.MaxFloat64))
}

// Finite returns the number of finite values.
func (c *Counts) Finite() uint64 {
	var n uint64
	for _, k := range c.Bins {
		n += k
	}
	return n
}

// Absent returns the number of rows without a value. An empty field of a file and a NaN of a tensor
// both mean a missing value, so both are counted.
func (c *Counts) Absent() uint64 { return c.Missing + c.NaN }

// Absent returns the number of rows without a value, like Counts.Absent.
func (o *Odd) Absent() uint64 { return o.Missing + o.NaN }

// N returns the number of counted rows.
func (c *Counts) N() uint64 {
	return c.Finite() + c.Unseen + c.Absent() + c.PosInf + c.NegInf
}

// Moments returns mean and sample variance of the finite values. Each is 0 if it is not defined.
func (c *Counts) Moments(f *Feature) (mean, variance float64) {
	n := float64(c.Finite())
	if n == 0 {
		return 0, 0
	}
	d := c.Sum / n
	if n > 1 {
		variance = max(0, c.Squares/(n-1)-d*(c.Sum/(n-1)))
	}
	return finite(f.Mean + d), finite(variance)
}

// finite limits a number to the range of JSON; NaN becomes 0.
func finite(x float64) float64 {
	if x != x { // NaN
		return 0
	}
	return max(-math.MaxFloat64, min(x, math.MaxFloat64))
}
