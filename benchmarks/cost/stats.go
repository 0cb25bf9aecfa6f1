package main

import (
	"fmt"
	"math"
	"slices"
)

// spread is what rounds say of one figure.
type spread struct{ median, low, high float64 }

func newSpread(values []float64) spread {
	s := slices.Sorted(slices.Values(values))
	if len(s) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	return spread{(s[(len(s)-1)/2] + s[len(s)/2]) / 2, s[0], s[len(s)-1]}
}

// text writes the median and the range with a verb for numbers.
func (s spread) text(verb string) string {
	if math.IsNaN(s.median) {
		return "–"
	}
	return fmt.Sprintf(verb+" ("+verb+" to "+verb+")", s.median, s.low, s.high)
}

// overlaps reports whether two ranges have a value in common.
func (s spread) overlaps(o spread) bool { return s.low <= o.high && o.low <= s.high }

// farthest is how far from zero the range reaches.
func (s spread) farthest() float64 { return max(math.Abs(s.low), math.Abs(s.high)) }

// rounds are the measurements of one point by round, nil if a round lacks it.
type rounds []*measurement

// figure is one number of a measurement.
type figure func(m *measurement) float64

func cpu(m *measurement) float64         { return m.cpu() }
func allocations(m *measurement) float64 { return m.allocations() }
func rate(m *measurement) float64        { return m.rate() }

// joined is how many requests shared a run.
func joined(m *measurement) float64 { return float64(m.Members) / float64(m.Runs) }

// tapped is the share of rows that the drift tap had room for; NaN without a tap.
func tapped(m *measurement) float64 {
	return float64(m.DriftRows) / float64(m.DriftRows+m.DriftDrops)
}

// choose returns those that ok wants, by round.
func (r *results) choose(ok func(m *measurement) bool) rounds {
	list := make(rounds, r.About.Rounds)
	for i := range r.Measured {
		if m := &r.Measured[i]; ok(m) && m.Round >= 1 && m.Round <= len(list) {
			list[m.Round-1] = m
		}
	}
	return list
}

func (r rounds) spread(f figure) spread {
	var values []float64
	for _, m := range r {
		if m != nil {
			values = append(values, f(m))
		}
	}
	return newSpread(values)
}

// over compares round by round with the mean of others: what moves the machine in a
// round moves both.
func (r rounds) over(f figure, base ...rounds) spread {
	var values []float64
next:
	for i, m := range r {
		if m == nil {
			continue
		}
		sum := 0.0
		for _, b := range base {
			if i >= len(b) || b[i] == nil {
				continue next
			}
			sum += f(b[i])
		}
		values = append(values, f(m)-sum/float64(len(base)))
	}
	return newSpread(values)
}
