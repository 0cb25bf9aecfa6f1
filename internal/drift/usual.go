package drift

import (
	"math"
	"slices"
)

// usual is how large the evidence against a feature is in windows that are taken for clean: the
// number of these windows and the largest evidence, as -log p, in descending order.
//
// The p-value of another window is its conformal rank among them (Vovk, Gammerman and Shafer,
// Algorithmic Learning in a Random World, 2005): the probability to be above the (k+1)-th largest of n
// is (k+1)/(n+1) for any law, if the order of the windows does not matter. A rank among n windows is
// never below 1/(n+1), and a promise needs far smaller p-values. So from the (k+1)-th largest on, the
// tail is taken for exponential, with the mean of the k excesses over it. If the tail is exponential,
// the ratio of a new excess and the mean of k others has the F distribution with 2 and 2k degrees of
// freedom (Rényi's representation), so
//
//	p = (k+1)/(n+1) · (1 + excess/(k·mean))^-k
//
// holds exactly, with the uncertainty of the mean. Evidence has an exponential tail if rows are
// independent, since p is uniform then, and also if windows differ by a normal effect of their own. A
// tail that is lighter than that, like the one of a swing with a largest size, makes p too large.
type usual struct {
	Windows int       `json:"windows"`
	Rows    uint64    `json:"rows,omitempty"` // of the largest window
	Top     []float64 `json:"top,omitempty"`
}

// maxTop is the number of excesses that the tail is fitted to, and topShare the share of the windows
// that have one.
const (
	maxTop   = 32
	topShare = 0.2
)

// add adds the evidence of a window.
func (u *usual) add(evidence float64, rows uint64) {
	const digits = 1000 // states have many of these numbers
	u.Windows++
	u.Rows = max(u.Rows, rows)
	u.put(math.Ceil(evidence*digits) / digits)
}

func (u *usual) put(evidence float64) {
	at, _ := slices.BinarySearchFunc(u.Top, evidence, func(a, b float64) int {
		if a > b {
			return -1
		}
		return 1
	})
	if at > maxTop {
		return
	}
	u.Top = slices.Insert(u.Top, at, evidence)
	u.Top = u.Top[:min(len(u.Top), maxTop+1)]
}

// merge adds other windows.
func (u *usual) merge(o *usual) {
	u.Windows += o.Windows
	u.Rows = max(u.Rows, o.Rows)
	for _, evidence := range o.Top {
		u.put(evidence)
	}
}

// excesses returns k, the number of excesses in the tail; 0 if the windows are too few for one.
func (u *usual) excesses() int {
	return max(0, min(int(topShare*float64(u.Windows)), len(u.Top)-1, maxTop))
}

// tail returns the log probability of this evidence or more in a window of so many rows. Evidence
// of an effect grows with the rows, so a window that is larger than all others needs more.
func (u *usual) tail(evidence float64, rows uint64) float64 {
	k := u.excesses()
	if k == 0 {
		return 0
	}
	if rows > u.Rows && u.Rows > 0 {
		evidence *= float64(u.Rows) / float64(rows)
	}
	base := math.Log(float64(k+1) / float64(u.Windows+1))
	excess := evidence - u.Top[k]
	if excess <= 0 {
		return base
	}
	const least = 1e-9
	var sum float64
	for _, e := range u.Top[:k] {
		sum += e - u.Top[k]
	}
	return base - float64(k)*math.Log1p(excess/max(least, sum))
}

// clone returns a copy.
func (u *usual) clone() usual {
	return usual{Windows: u.Windows, Rows: u.Rows, Top: slices.Clone(u.Top)}
}

// valid reports whether a stored value can be used.
func (u *usual) valid() bool {
	for i, e := range u.Top {
		if !(e >= 0 && e <= math.MaxFloat64) || i > 0 && e > u.Top[i-1] {
			return false
		}
	}
	return u.Windows >= len(u.Top) && len(u.Top) <= maxTop+1
}
