package labels

import (
	"encoding/binary"
	"fmt"
	"math"
)

// cellFormat is the first byte of a stored cell. Format 1 has no sums of predictions without labels,
// and format 2, which is written if there are none, no sums of expected losses.
const cellFormat = 3

// encode returns the cell as it is stored. Most bins of the histograms are empty, so only others
// are stored, with the distance from the one before.
func (c *cell) encode() []byte {
	b := []byte{cellFormat}
	if len(c.Expected) == 0 {
		b[0] = 2
	}
	for _, n := range []int64{c.Kept, c.Labelled, c.Unmeasured, c.First, c.Last, c.MaxDelay, c.Correct, c.Scored} {
		b = binary.AppendVarint(b, n)
	}
	for _, x := range []float64{c.Brier, c.Brier2, c.LogLoss, c.LogLoss2, c.Errors, c.Squares, c.Absolute, c.Fourth} {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	b = appendSparse(b, c.Delays[:])
	for _, x := range c.Bins {
		b = binary.AppendVarint(binary.AppendVarint(b, x.Rows), x.Hits)
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x.Scores))
	}
	b = binary.AppendUvarint(b, uint64(len(c.Positives)))
	for i := range c.Positives {
		b = appendSparse(appendSparse(b, c.Positives[i]), c.Negatives[i])
	}
	b = c.scoreSums.encode(b)
	if len(c.Expected) > 0 {
		b = encodeExpected(b, c.Expected)
	}
	return b
}

func appendSparse(b []byte, counts []int64) []byte {
	last := -1
	for i, n := range counts {
		if n != 0 {
			b = binary.AppendUvarint(b, uint64(i-last)) //nolint:gosec // at least 1
			b = binary.AppendVarint(b, n)
			last = i
		}
	}
	return binary.AppendUvarint(b, 0)
}

// decodeCell decodes a stored cell.
func decodeCell(b []byte) (*cell, error) {
	r := reader{b: b}
	format := r.byte()
	if format < 1 || format > cellFormat {
		return nil, fmt.Errorf("a cell has the format %d, expected 1 to %d", format, cellFormat)
	}
	c := &cell{}
	for _, n := range []*int64{&c.Kept, &c.Labelled, &c.Unmeasured, &c.First, &c.Last, &c.MaxDelay, &c.Correct, &c.Scored} {
		*n = r.varint()
	}
	for _, x := range []*float64{&c.Brier, &c.Brier2, &c.LogLoss, &c.LogLoss2, &c.Errors, &c.Squares, &c.Absolute, &c.Fourth} {
		*x = math.Float64frombits(r.uint64())
	}
	r.sparse(c.Delays[:])
	for i := range c.Bins {
		c.Bins[i] = bin{r.varint(), r.varint(), math.Float64frombits(r.uint64())}
	}
	curves := r.uvarint()
	if curves > maxScores+1 {
		r.failed = true
	}
	for range curves {
		if r.failed {
			break
		}
		p, n := make([]int64, scoreBins), make([]int64, scoreBins)
		r.sparse(p)
		r.sparse(n)
		c.Positives, c.Negatives = append(c.Positives, p), append(c.Negatives, n)
	}
	if format > 1 {
		c.decode(&r)
	}
	if format > 2 {
		c.Expected = r.expected()
	}
	if r.failed {
		return nil, fmt.Errorf("a cell of %d bytes is damaged", len(b))
	}
	return c, nil
}

func (r *reader) varint() int64 {
	x, n := binary.Varint(r.b)
	if n <= 0 {
		r.failed, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return x
}

func (r *reader) uvarint() uint64 {
	x, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.failed, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return x
}

func (r *reader) sparse(counts []int64) {
	at := -1
	for step := r.uvarint(); step != 0; step = r.uvarint() {
		if r.failed || step > uint64(len(counts)) || at+int(step) >= len(counts) { //nolint:gosec // at most the length
			r.failed, r.b = true, nil
			return
		}
		at += int(step) //nolint:gosec // as above
		counts[at] = r.varint()
	}
}
