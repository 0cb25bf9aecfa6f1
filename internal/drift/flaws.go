package drift

import "math"

// Flawed values come in clusters: a field that is missing in all rows of a request, a client that sends infinities. The design effect
// of the bins does not show this, since they have no flawed values. So flawed rows have a design effect of their own for each statistic:
//
//   - from their runs, which are flawed rows one after the other. Of independent rows with a share p of flawed ones, x flawed rows have
//     about x (1 - p) runs (Wald and Wolfowitz, Annals of Mathematical Statistics 11, 1940).
//   - from random halves, as for the bins: the square of the difference of the shares in both halves, relative to what is expected
//     of independent rows. This covers rows of one user that are apart, and what is longer than a run, but is known well only after
//     some windows.

// numFlaws is the number of statistics of flawed values.
const numFlaws = len(qualities)

// flaws are the ways in which a value is flawed: bit j stands for the statistic qualities[j].
type flaws uint8

const (
	isMissing flaws = 1 << iota
	isInf
	isOutside
	isNew
)

// Flaws are the clusters of the rows that are flawed in one way.
type Flaws struct {
	Halves Halves `json:"halves"`
	Runs   uint64 `json:"runs"` // of flawed rows one after the other
	Last   uint64 `json:"last"` // the number of the last one among the rows, from 1
}

// flawed counts a flawed row, the last one of the counts.
func (c *Counts) flawed(bad flaws, halves Halves) {
	row := c.N()
	for j := range c.Flaws {
		if bad>>j&1 == 0 {
			continue
		}
		x := &c.Flaws[j]
		x.Halves.add(halves)
		if x.Last == 0 || x.Last+1 != row {
			x.Runs++
		}
		x.Last = row
	}
}

// merge adds the clusters of other rows.
func (x *Flaws) merge(o *Flaws) {
	x.Halves.add(o.Halves)
	x.Runs += o.Runs
	x.Last = max(x.Last, o.Last)
}

// ofRuns returns the design effect of flawed rows that their runs show, 1 if these are not known.
func (x *Flaws) ofRuns(window fraction) float64 {
	if x.Runs == 0 {
		return 1
	}
	return max(1, window.bad*(1-window.value())/float64(x.Runs))
}

// flawPast are the design effects of flawed values in the windows so far, and their share in the last one.
type flawPast struct {
	By    [numClusterings]smoothed `json:"by,omitzero"`
	Share float64                  `json:"share,omitempty"`
	Rows  float64                  `json:"rows,omitempty"`
}

func (h *flawPast) valid() bool {
	for i := range h.By {
		if !h.By[i].valid() {
			return false
		}
	}
	return h.Share >= 0 && h.Share <= 1 && h.Rows >= 0 && h.Rows <= maxRows
}

// flawMargin is for the error of design effects, as for bins; see history.weighed.
const flawMargin = 1.25

// before returns the design effect of the windows so far. Few of them count less, since they say little.
func (h *flawPast) before(l alarmLimits) float64 {
	const few = 8
	effect := 1.0
	for i := range h.By {
		windows := float64(h.By[i].Windows)
		ratio := 1 + (1-2*l.detect)/(4*(few+2*windows)) // see Tumbling.test
		effect = max(effect, 1+flawMargin*(max(1, h.By[i].Mean)-1)*ratio*ratio*windows/(windows+few))
	}
	return effect
}

// effect returns the design effect of the flawed rows of a window: that of the windows so far, or what the window itself shows if that is
// more, and clearly so for halves.
func (h *flawPast) effect(c *Counts, j int, window fraction, l alarmLimits) float64 {
	const likely = 4 // the mean of two chi-square variables is above this in 2 % of the cases
	effect := max(h.before(l), 1+flawMargin*(c.Flaws[j].ofRuns(window)-1))
	for _, v := range c.flawEffects(j, window) {
		if v.known && v.mean > likely {
			effect = max(effect, 1+flawMargin*(v.mean-1))
		}
	}
	return effect
}

// breakEffect returns the design effect of the flawed rows of a window that has not ended. Rows one after the other are what a break is,
// so only the windows so far count, and users.
func (h *flawPast) breakEffect(c *Counts, j int, users bool, l alarmLimits) float64 {
	const known, first = 3, 4 // the effect is at least first until known windows have had flawed rows
	effect := h.before(l)
	if h.By[byTime].Windows < known {
		effect = max(effect, first)
	}
	if users {
		effect = max(effect, clustersOf(c.Flaws[j].Halves, qualityOf(qualities[j], c).bad))
	}
	return effect
}

// flawEffects estimates the design effects of flawed rows from the splits of a window.
func (c *Counts) flawEffects(j int, window fraction) (by [numClusterings]variance) {
	if c.Halves == nil || c.Flaws[j].Runs == 0 || window.bad >= window.rows {
		return by
	}
	var first Halves // the rows in the first halves
	for i := range c.Halves {
		first.add(c.Halves[i])
	}
	if q := qualities[j]; q == StatisticMissing || q == StatisticInf { // shares of all rows, not only of values
		first.add(c.Flaws[0].Halves)
		first.add(c.Flaws[1].Halves)
	}
	if c.Unseen > 0 { // they have no bin
		first.add(c.Flaws[numFlaws-1].Halves)
	}
	split := func(s int) variance {
		bad := float64(c.Flaws[j].Halves[s])
		return differ(fraction{bad, float64(first[s])}, fraction{window.bad - bad, window.rows - float64(first[s])})
	}
	by[byUser], by[byTime] = average(split(0), split(1)), average(split(2), split(3))
	return by
}

// differ returns the square of the difference of two shares, relative to its variance if rows are independent.
func differ(a, b fraction) variance {
	const least = 0.1 // of the rows in the smaller sample
	rows := a.rows + b.rows
	if !(min(a.rows, b.rows) > least*rows) {
		return variance{}
	}
	share := (a.bad + b.bad) / rows
	expected := share * (1 - share) * (1/a.rows + 1/b.rows)
	if !(expected > 0) {
		return variance{}
	}
	d := a.bad/a.rows - b.bad/b.rows
	return variance{bins: d * d / expected, mean: d * d / expected, known: true}
}

// passed adds a judged window.
func (h *flawPast) passed(c *Counts, j int) {
	const independent = 4 // as in history.passed
	window := qualityOf(qualities[j], c)
	if window.rows == 0 || window.bad == 0 && h.Share == 0 {
		h.Share, h.Rows = 0, window.rows
		return
	}
	by := c.flawEffects(j, window)
	h.By[byUser].add(by[byUser], 0)
	h.By[byTime].add(by[byTime], 0)
	if h.Rows > 0 {
		h.By[byWindow].add(differ(window, fraction{h.Share * h.Rows, h.Rows}), independent)
	}
	h.Share, h.Rows = math.Min(1, window.value()), window.rows
}
