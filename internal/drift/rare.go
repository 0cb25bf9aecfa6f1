package drift

// tailShare is the share of the reference in each tail.
const tailShare = 0.01

// minTail is the min number of the reference's values in a tail.
const minTail = 5

// valuesOf returns the value of each bin, from the sorted finite values of a feature with edges. It
// returns nil if a bin has several values, and for a constant, any other value of which is out of
// range.
func valuesOf(sorted []float64, f *Feature) []float64 {
	var values []float64
	for i, x := range sorted {
		if i > 0 && (x == sorted[i-1] || f.Datatype == "" && float32(x) == float32(sorted[i-1])) {
			continue
		}
		if len(values) > len(f.Edges) {
			return nil
		}
		values = append(values, x)
	}
	if len(values) < 2 || len(values) != len(f.Edges)+1 {
		return nil
	}
	for i := range f.Edges {
		if !(values[i] <= f.Edges[i] && f.Edges[i] < values[i+1]) {
			return nil
		}
	}
	return values
}

// tailsOf returns the borders of the tails, from the sorted finite values of a feature with edges. Like
// edges they are halfway between two values. It returns nil if the values are few, or if one value
// has a whole tail: then its bin is tested.
func tailsOf(sorted []float64, f *Feature) []float64 {
	n := len(sorted)
	low := int(tailShare * float64(n))
	high := n - low
	if f.Values != nil || len(f.Edges) < 2 || low < minTail {
		return nil
	}
	same := func(i int) bool {
		return sorted[i-1] == sorted[i] || f.Datatype == "" && float32(sorted[i-1]) == float32(sorted[i])
	}
	for low > 0 && same(low) {
		low--
	}
	for high < n && same(high) {
		high++
	}
	if low < minTail || n-high < minTail || low >= high {
		return nil
	}
	tails := []float64{between(sorted[low-1], sorted[low]), between(sorted[high-1], sorted[high])}
	if !(tails[0] < tails[1]) {
		return nil
	}
	return tails
}
