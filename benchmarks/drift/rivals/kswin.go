package rivals

import (
	"math"
	"math/rand/v2"
	"slices"
)

// KSWIN's settings, as river has them by default.
const (
	kswinRows   = 100
	kswinRecent = 30
	kswinBefore = kswinRows - kswinRecent
)

// kswin is KSWIN (Raab, Heusinger and Schleif, Reactive soft prototype computing for concept drift streams, Neurocomputing 2020).
// After each row it compares the last 30 rows with 30 of the 70 before them, drawn anew without replacement. The score is the
// distance of Kolmogorov and Smirnov; both samples have one size, so a limit on it is one on the p-value.
type kswin struct {
	rng    *rand.Rand
	rows   int
	sorted []kswinRow // the window by value, so that nothing is sorted after a row
	order  [kswinBefore]int
	drawn  [kswinRows]bool // by place
}

// kswinRow is a row of the window. Its place is its number modulo the rows of the window.
type kswinRow struct {
	value float64
	place int
}

func newKSWIN(*Reference) *kswin {
	k := &kswin{rng: rand.New(rand.NewPCG(42, 42)), sorted: make([]kswinRow, 0, kswinRows)} //nolint:gosec // a simulation
	for i := range k.order {
		k.order[i] = i
	}
	return k
}

func (k *kswin) Add(x float64) float64 {
	if math.IsNaN(x) {
		return math.Inf(-1)
	}
	place := k.rows % kswinRows
	if k.rows++; k.rows > kswinRows {
		oldest := slices.IndexFunc(k.sorted, func(r kswinRow) bool { return r.place == place })
		k.sorted = slices.Delete(k.sorted, oldest, oldest+1)
	}
	at := len(k.sorted)
	for at > 0 && k.sorted[at-1].value > x {
		at--
	}
	k.sorted = slices.Insert(k.sorted, at, kswinRow{x, place})
	if k.rows < kswinRows {
		return math.Inf(-1)
	}
	k.draw()
	return k.distance()
}

// draw chooses rows of those before the recent ones.
func (k *kswin) draw() {
	k.drawn = [kswinRows]bool{}
	for i := range kswinRecent {
		other := i + k.rng.IntN(kswinBefore-i)
		k.order[i], k.order[other] = k.order[other], k.order[i]
		k.drawn[(k.rows+k.order[i])%kswinRows] = true // the oldest row is at the place of the next one
	}
}

// distance returns the largest difference of the distribution functions of the recent rows and of those that were drawn.
func (k *kswin) distance() float64 {
	difference, most := 0, 0
	for i, r := range k.sorted {
		switch age := (k.rows - 1 - r.place + kswinRows) % kswinRows; {
		case age < kswinRecent:
			difference++
		case k.drawn[r.place]:
			difference--
		default:
		}
		if i+1 == len(k.sorted) || k.sorted[i+1].value != r.value {
			most = max(most, difference, -difference)
		}
	}
	return float64(most) / kswinRecent
}
