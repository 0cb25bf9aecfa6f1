package drift

import "math"

// Rows that depend on each other carry less evidence than their number suggests: rows of one
// request that share a user's features, rows that are sent again, readings that follow each other,
// a canary with few users. The counts of such rows vary more from window to window than those of
// independent rows. The ratio of the two variances is the design effect (Kish, Survey Sampling,
// 1965). Evidence is divided by it.
//
// It is estimated from the window itself, by random halves (Wolter, Introduction to Variance
// Estimation, 2007, chapter 3): clusters of rows are put in one of two halves by chance, a whole
// cluster at a time. If rows are independent, the counts of the two halves differ as two samples of
// single rows would. If the rows of a cluster are alike, they differ by more. A change between the
// reference and the window affects both halves alike, so it does not hide itself. Two splits cluster
// the rows by their user, and two by time.

// numSplits is the number of independent splits of the rows in halves: two by user, two by time.
const numSplits = 4

// Halves are the rows of a bin that are in the first half, by split.
type Halves [numSplits]uint64

// minCluster is the min number of consecutive rows in a cluster by time. It is longer than most
// requests, and than the memory of most sequences.
const minCluster = 16

// clustersPerWindow is the number of clusters by time in a window that has many more rows than
// minCluster.
const clustersPerWindow = 16

// Splitter assigns the rows of a stream to halves. Its zero value is ready for the first row.
type Splitter struct {
	length  uint64 // rows of a cluster by time; 0 means minCluster
	left    uint64 // remaining rows of the current cluster
	cluster uint64 // its number
}

// Begin sets the length of the clusters in a window with about this many rows.
func (s *Splitter) Begin(rows uint64) { s.length = max(minCluster, rows/clustersPerWindow) }

// Next returns the halves of the next row: 1 for the first half, 0 for the second. The user is a hash
// of who sent the row, 0 if it is not known; then the row is clustered by time alone.
func (s *Splitter) Next(user uint64) Halves {
	if s.left == 0 {
		s.cluster++
		s.left = max(minCluster, s.length)
	}
	s.left--
	time := mix(s.cluster)
	by := time >> numSplits
	if user != 0 {
		by = mix(user)
	}
	return Halves{by & 1, by >> 1 & 1, time & 1, time >> 1 & 1}
}

// mix spreads the bits of a number: the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (h *Halves) add(o Halves) {
	for i, n := range o {
		h[i] += n
	}
}

// variance has two design effects of the counts of some rows: the mean one over all bins, and that
// of the mean, which is the largest one in most sequences. 1 means independent rows. known is false
// if there is no estimate.
type variance struct {
	bins, mean float64
	known      bool
}

// The clusters by which design effects are estimated.
const (
	byUser = iota
	byTime
	byWindow // rows of a whole window: it is compared with the one before
	numClusterings
)

// estimate returns the design effects of the window's rows. before has the bins of the window
// before, nil if there is none.
func (g *grouped) estimate() (by [numClusterings]variance) {
	mean, spread := g.moments()
	if spread <= 0 {
		return by
	}
	for pair := byUser; pair <= byTime; pair++ {
		first, second := g.ofSplit(2*pair, mean, spread), g.ofSplit(2*pair+1, mean, spread)
		by[pair] = average(first, second)
	}
	by[byWindow] = g.between(func(c *cell) (rows, others float64) { return c.window, c.before }, mean, spread)
	return by
}

// ofSplit compares the halves of a split.
func (g *grouped) ofSplit(split int, mean, spread float64) variance {
	return g.between(func(c *cell) (rows, others float64) { return c.halves[split], c.window - c.halves[split] }, mean, spread)
}

// clusters returns the mean number of rows, weighted by itself, that the clusters by user have in a bin: 1 if
// they are independent, and all rows if one user sent them. The excess of a half over the other one has this
// variance, relative to the rows (Kish 1965). The largest design effects of a feature are means over its bins, and do not
// show one client that sends the same value again and again. Values that chance often gives are 1.
func (c *Counts) clusters(bin int) float64 {
	if c.Halves == nil {
		return 1
	}
	return clustersOf(c.Halves[bin], float64(c.Bins[bin]))
}

// clustersOf is clusters for the halves of some rows.
func clustersOf(halves Halves, rows float64) float64 {
	const likely = 4 // the mean of two chi-square variables is above this in 2 % of the cases
	if rows == 0 {
		return 1
	}
	size := 0.0
	for _, half := range halves[:2] {
		d := 2*float64(half) - rows
		size += d * d / rows / 2
	}
	if size < likely {
		return 1
	}
	return size
}

func average(a, b variance) variance {
	switch {
	case !a.known:
		return b
	case !b.known:
		return a
	default:
		return variance{bins: (a.bins + b.bins) / 2, mean: (a.mean + b.mean) / 2, known: true}
	}
}

// moments returns mean and variance of the groups' numbers in the window and the reference together.
func (g *grouped) moments() (mean, spread float64) {
	var square float64
	for i := range g.all {
		share := g.share(i)
		mean += share * float64(i)
		square += share * float64(i) * float64(i)
	}
	return mean, square - mean*mean
}

// share returns a group's share of all rows.
func (g *grouped) share(i int) float64 {
	return (g.all[i].window + g.all[i].ref) / max(1, g.sumW+g.sumRef)
}

// between compares two samples of rows: by their shares of the groups, and by the means of the
// groups' numbers, both relative to what is expected of independent rows.
func (g *grouped) between(sample func(*cell) (a, b float64), mean, spread float64) (v variance) {
	var sumA, sumB float64
	for i := range g.all {
		a, b := sample(&g.all[i])
		sumA, sumB = sumA+a, sumB+b
	}
	const least = 0.1 // of the rows in the smaller sample
	if min(sumA, sumB) <= least*(sumA+sumB) {
		return v
	}
	rows, linear := sumA*sumB/(sumA+sumB), 0.0
	for i := range g.all {
		a, b := sample(&g.all[i])
		difference := a/sumA - b/sumB
		if share := g.share(i); share > 0 {
			v.bins += rows * difference * difference / share
		}
		linear += difference * (float64(i) - mean)
	}
	return variance{bins: v.bins / float64(len(g.all)-1), mean: rows * linear * linear / spread, known: true}
}

// history is what is known of a feature from the windows so far: the design effects of its rows, and
// the effect that is usual in windows without a finding.
type history struct {
	By     [numClusterings]smoothed `json:"by"`
	Before []uint64                 `json:"before,omitempty"` // the bins of the last window
	Hours  Hours                    `json:"hours,omitempty"`  // and its rows by the hour of the week
	Clean  int                      `json:"clean,omitempty"`  // windows without a finding, maxSmoothed at most
	Usual  float64                  `json:"usual,omitempty"`  // the mean effect in these
	// Flaws has the same for flawed values, by statistic in the order of qualities.
	Flaws [numFlaws]flawPast `json:"flaws,omitzero"`
	Seen  []seen             `json:"seen,omitempty"` // the last windows, for the onset of a change
}

// smoothed are the design effects for one kind of clusters.
type smoothed struct {
	Windows int     `json:"windows"` // maxSmoothed at most
	Bins    float64 `json:"bins"`
	Mean    float64 `json:"mean"`
}

// maxSmoothed is the number of windows over which design effects are smoothed.
const maxSmoothed = 64

// observe adds the estimates within a window.
func (h *history) observe(by [numClusterings]variance) {
	h.By[byUser].add(by[byUser], 0)
	h.By[byTime].add(by[byTime], 0)
}

// passed adds the difference between a judged window and the one before. The window itself is
// judged without it, since it may have drifted.
func (h *history) passed(c *Counts, by [numClusterings]variance) {
	const independent = 4 // windows that are assumed at first
	h.By[byWindow].add(by[byWindow], independent)
	h.Before, h.Hours = append(h.Before[:0], c.Bins...), c.Hours
}

// add adds a window to the averages. They start with so many windows of independent rows. One
// window counts with three times the average at most: a change in the middle of a window, or
// between two, looks like dependence.
func (s *smoothed) add(v variance, independent int) {
	const steepest = 3
	if !v.known {
		return
	}
	if s.Windows == 0 {
		s.Bins, s.Mean = 1, 1
	}
	if s.Windows > 0 || independent > 0 {
		v.bins, v.mean = min(v.bins, steepest*max(1, s.Bins)), min(v.mean, steepest*max(1, s.Mean))
	}
	s.Windows = min(s.Windows+1, maxSmoothed)
	weight := 1 / float64(s.Windows+independent)
	s.Bins += (v.bins - s.Bins) * weight
	s.Mean += (v.mean - s.Mean) * weight
}

// clean adds the effect in a window without a finding.
func (h *history) clean(effect float64) {
	h.Clean = min(h.Clean+1, maxSmoothed)
	h.Usual += (effect - h.Usual) / float64(h.Clean)
}

// usual returns the effect that the error of the reference gives every window: its mean in clean
// windows, up to three standard deviations of that error.
func (h *history) usual(df, reference float64) float64 {
	return max(0, min(h.Usual, 3*math.Sqrt(2*df)/reference))
}

// inflation has the design effects that a comparison assumes: the mean one of the bins, and the
// largest one.
type inflation struct{ bins, largest float64 }

// inflated returns the mean design effect of the bins in the windows so far.
func (h *history) inflated() float64 {
	return max(1, h.By[byUser].Bins, h.By[byTime].Bins, h.By[byWindow].Bins)
}

// with returns the design effects of some rows: the estimates of these rows, or of the windows so
// far if they are larger. They are at least 1: halves that happen to be alike are no reason to
// trust the counts more.
func (h *history) with(by [numClusterings]variance) inflation { return h.weighed(by, 1) }

// shrunk is like with, but the estimates of these rows count less the fewer groups they are from: two
// splits of few groups say little. Thirty degrees of freedom count as much as the windows so far.
func (h *history) shrunk(by [numClusterings]variance, groups int) inflation {
	degrees := 2 * float64(max(1, groups-1))
	return h.weighed(by, degrees/(degrees+30))
}

// weighed is with for a weight of the rows' own estimates, at most 1.
func (h *history) weighed(by [numClusterings]variance, weight float64) inflation {
	// The standard error of an estimate from two splits of 31 degrees of freedom is 0.18. It does not
	// shrink with time if the users stay the same.
	const margin = 1.25
	by[byWindow] = variance{} // see passed
	e, windows := inflation{1, 1}, 1
	for i := range by {
		past := max(1, h.By[i].Bins)
		own := max(past, by[i].bins)
		if weight < 1 {
			own = past + weight*(own-past)
		}
		now := 1 + margin*(own-1)
		e.bins = max(e.bins, now)
		e.largest = max(e.largest, now, now*h.By[i].Mean/past)
		windows = max(windows, h.By[i].Windows)
	}
	e.largest *= 1 + 1/float64(windows) // few windows say little
	return e
}
