package drift

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"sluice.io/sluice/internal/infer"
)

// seen is a window of a feature, as the estimate of an onset needs it.
type seen struct { //nolint:recvcheck // JSON is written from a value and read into a pointer
	Start int64   // its start, in nanoseconds since 1970
	Rows  float32 // effective ones
	Mean  float32 // of the scores, in standard deviations
	Root  float32 // √(2G), whose variance is about 1
}

// MarshalJSON writes a list of the four numbers, since a state has many of them.
func (s seen) MarshalJSON() ([]byte, error) {
	return json.Marshal([4]any{s.Start, s.Rows, s.Mean, s.Root})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *seen) UnmarshalJSON(text []byte) error {
	var list []json.Number
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	if len(list) != 4 {
		return infer.Errorf(infer.Invalid, "a window has %d numbers; expected 4", len(list))
	}
	var err error
	if s.Start, err = list[0].Int64(); err != nil {
		return err
	}
	for i, into := range []*float32{&s.Rows, &s.Mean, &s.Root} {
		x, err := strconv.ParseFloat(list[1+i].String(), 32)
		if err != nil {
			return err
		}
		*into = float32(x)
	}
	return nil
}

// at returns the time of its start.
func (s *seen) at() time.Time { return time.Unix(0, s.Start).UTC() }

// maxSeen is the number of windows in which an onset is looked for.
const maxSeen = 24

// saw adds a window. The oldest one gives way.
func (h *history) saw(x seen) {
	if len(h.Seen) >= maxSeen {
		h.Seen = append(h.Seen[:0], h.Seen[len(h.Seen)-maxSeen+1:]...)
	}
	h.Seen = append(h.Seen, x)
}

// onsetMargin is by how much the sum of squares of a window in the interval of an onset may be larger than the least one.
// For a normal sequence with one change, the likelihood ratio of its place has no chi-square law (Siegmund, Annals of Statistics 16,
// 1988). TestOnset measures the coverage.
const onsetMargin = 9

// onset is the estimated first window of a change, with an interval of about 95 %.
type onset struct{ at, from, to time.Time }

// findOnset finds the window since which the windows have another level than those before: the place that
// minimizes the sum of squares around the levels before and after it, weighted by precision. The mean decides if the
// change is one of the mean, otherwise G.
func findOnset(windows []seen, mean bool) (o onset) {
	value := func(x *seen) (y, weight float64) {
		if mean {
			return float64(x.Mean), float64(x.Rows)
		}
		return float64(x.Root), 1
	}
	n := len(windows)
	// sums[i] has the weights, the values and the squares of the windows before i.
	sums := make([][3]float64, n+1)
	for i := range windows {
		y, w := value(&windows[i])
		sums[i+1] = [3]float64{sums[i][0] + w, sums[i][1] + w*y, sums[i][2] + w*y*y}
	}
	around := func(from, to int) float64 {
		w, y, yy := sums[to][0]-sums[from][0], sums[to][1]-sums[from][1], sums[to][2]-sums[from][2]
		if w <= 0 {
			return 0
		}
		return max(0, yy-y*y/w)
	}
	best, least := 0, math.Inf(1)
	squares := make([]float64, n)
	for i := range windows {
		if squares[i] = around(0, i) + around(i, n); squares[i] < least {
			best, least = i, squares[i]
		}
	}
	first, last := best, best
	for i, s := range squares {
		if s <= least+onsetMargin {
			first, last = min(first, i), max(last, i)
		}
	}
	return onset{windows[best].at(), windows[first].at(), windows[last].at()}
}
