package batch

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Fit is the estimate of the run times of a shape: Fixed + PerRow · rows. If all runs had one
// size, Fixed is their mean and PerRow is 0.
type Fit struct {
	Shape            string // "x[-1,3]", the inputs given; -1 is the dimension of the joined rows
	Runs             uint64 // since the shape was last forgotten
	MinRows, MaxRows int    // of the runs it was fitted to
	Fixed, PerRow    time.Duration
	RunRows          int // the size that runs grow to under load, in rows; 0 if requests cannot be joined
	// Gain is how many times more rows a second runs of RunRows rows are expected to do than
	// runs of one row. It is 0 if requests cannot be joined, or if all runs had one size.
	Gain   float64
	Joined bool // waiting requests are joined; otherwise they run one by one
}

// Fits returns the estimates of the most used shapes, the most used first, at most `most`.
func (b *Batcher) Fits(most int) []Fit {
	type known struct {
		key  string
		solo bool
		cost cost
	}
	b.mu.Lock()
	all := make([]known, 0, len(b.queue.buckets))
	for key, bucket := range b.queue.buckets {
		if bucket.times.w > 0 {
			all = append(all, known{key, bucket.solo, bucket.times})
		}
	}
	b.mu.Unlock()
	slices.SortFunc(all, func(x, y known) int {
		return cmp.Or(cmp.Compare(y.cost.runs, x.cost.runs), cmp.Compare(x.key, y.key))
	})
	fits := make([]Fit, 0, min(most, len(all)))
	for _, k := range all[:min(most, len(all))] {
		c := &k.cost
		f := Fit{
			Shape: shapeText(k.key, k.solo, b.model), Runs: c.runs, MinRows: c.lo, MaxRows: c.hi, Joined: !k.solo && !c.alone,
			Fixed: time.Duration(math.Round(c.a)), PerRow: time.Duration(math.Round(c.b)),
		}
		if !k.solo {
			f.RunRows = b.queue.grown(c)
		}
		if !k.solo && c.hi > c.lo {
			f.Gain = float64(f.RunRows) * c.line(1) / c.line(float64(f.RunRows))
		}
		fits = append(fits, f)
	}
	return fits
}

// mostNamed is how many inputs shapeText names.
const mostNamed = 8

// shapeText formats a key that appendKey wrote.
func shapeText(key string, solo bool, m *infer.Model) string {
	rest := []byte(key)
	if solo {
		rest = rest[1:]
	}
	var parts []string
	for len(rest) > 0 {
		if len(parts) == mostNamed {
			parts = append(parts, "…")
			break
		}
		tag, n := binary.Uvarint(rest)
		rest = rest[n:]
		spec := &m.Inputs[tag>>1]
		shape := make(infer.Shape, len(spec.Shape))
		for i := range shape {
			if i == 0 && !solo {
				shape[i] = -1
				continue
			}
			shape[i], n = binary.Varint(rest)
			rest = rest[n:]
		}
		parts = append(parts, spec.Name+shape.String())
	}
	return strings.Join(parts, " ")
}
