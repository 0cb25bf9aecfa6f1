package main

import (
	"fmt"
	"slices"

	"sluice.io/sluice/benchmarks/record"
)

// spread is the median of some rounds and their range.
type spread struct{ median, low, high float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return spread{(s[(n-1)/2] + s[n/2]) / 2, s[0], s[n-1]}
}

// text writes the median and, where there was more than one value, the range.
func (s spread) text(format func(float64) string) string {
	if s.low == s.high {
		return format(s.median)
	}
	return fmt.Sprintf("%s (%s–%s)", format(s.median), format(s.low), format(s.high))
}

// results are those of a run, arranged to be asked.
type results struct {
	*record.Run
	cells map[cellKey][]record.Cell // in the order of the rounds
}

type cellKey struct{ setup, work, contender string }

func arrange(run *record.Run) *results {
	r := &results{run, map[cellKey][]record.Cell{}}
	for _, c := range run.Cells {
		r.keep(c)
	}
	for _, list := range r.cells {
		slices.SortFunc(list, func(a, b record.Cell) int { return a.Round - b.Round })
	}
	return r
}

// keep takes one attempt of a round: the first that was not noisy, else the one
// that others disturbed least.
func (r *results) keep(c record.Cell) {
	key := cellKey{c.Setup, c.Name, c.Contender}
	list := r.cells[key]
	i := slices.IndexFunc(list, func(o record.Cell) bool { return o.Round == c.Round })
	switch {
	case i < 0:
		r.cells[key] = append(list, c)
	case list[i].Noisy && (!c.Noisy || c.Others < list[i].Others):
		list[i] = c
	}
}

// of returns the spread of a figure over a contender's rounds.
func (r *results) of(setup, work, contender string, figure func(record.Cell) float64) (spread, bool) {
	list := r.cells[cellKey{setup, work, contender}]
	values := make([]float64, len(list))
	for i, c := range list {
		values[i] = figure(c)
	}
	return spreadOf(values), len(values) > 0
}

// ratio is how a's rate stands to b's, round by round: the two ran one after the
// other, so what slowed down both does not count.
func (r *results) ratio(setup, work, a, b string) (spread, bool) {
	others := map[int]float64{}
	for _, c := range r.cells[cellKey{setup, work, b}] {
		others[c.Round] = c.Rate
	}
	var values []float64
	for _, c := range r.cells[cellKey{setup, work, a}] {
		if o := others[c.Round]; o > 0 {
			values = append(values, c.Rate/o)
		}
	}
	return spreadOf(values), len(values) > 0
}

// setups returns those that were run, in their order.
func (r *results) setups() []string { return r.Machine.Settings.Setups }

// works returns those that were measured in a set-up, in their order.
func (r *results) works(setup string) []record.Work {
	var list []record.Work
	for _, name := range r.Machine.Settings.Works {
		for _, c := range r.Machine.Settings.Contenders {
			if cells := r.cells[cellKey{setup, name, c}]; len(cells) > 0 {
				list = append(list, cells[0].Work)
				break
			}
		}
	}
	return list
}

func (r *results) contender(setup, name string) (record.Contender, bool) {
	for _, c := range r.Contenders {
		if c.Setup == setup && c.Name == name {
			return c, true
		}
	}
	return record.Contender{}, false
}
