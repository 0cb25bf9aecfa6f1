package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"sluice.io/sluice/internal/offline"
)

// correlations are the correlations of a profile as its page shows them.
type correlations struct {
	Strongest []namedPair
	Rows      []correlationRow // by feature
}

type namedPair struct {
	A, B  string
	Value float64
}

type correlationRow struct {
	Name  string
	Cells []correlationCell // by feature, in the order of the rows
}

// correlationCell is drawn in the colour of its class.
type correlationCell struct {
	Class    string // positive, negative, or self
	Strength string // 0 to 1
	Title    string
}

// correlationsOf returns nil if the profile has no correlations.
func correlationsOf(p *offline.Profile) *correlations {
	const strongest = 10
	pairs := p.Correlations()
	if len(pairs) == 0 {
		return nil
	}
	c := &correlations{}
	values := make(map[[2]int]float64, 2*len(pairs))
	for _, x := range pairs {
		values[[2]int{x.A, x.B}], values[[2]int{x.B, x.A}] = x.Value, x.Value
		c.Strongest = append(c.Strongest, namedPair{p.Features[x.A].Name, p.Features[x.B].Name, x.Value})
	}
	slices.SortStableFunc(c.Strongest, func(x, y namedPair) int { return cmp.Compare(math.Abs(y.Value), math.Abs(x.Value)) })
	c.Strongest = c.Strongest[:min(strongest, len(c.Strongest))]
	for _, i := range p.Pairs.Features {
		row := correlationRow{Name: p.Features[i].Name}
		for _, j := range p.Pairs.Features {
			row.Cells = append(row.Cells, cellOf(p, i, j, values[[2]int{i, j}]))
		}
		c.Rows = append(c.Rows, row)
	}
	return c
}

func cellOf(p *offline.Profile, i, j int, value float64) correlationCell {
	if i == j {
		return correlationCell{Class: "self", Strength: "1", Title: p.Features[i].Name}
	}
	cell := correlationCell{
		Class: "positive", Strength: fmt.Sprintf("%.2f", math.Abs(value)),
		Title: fmt.Sprintf("%s and %s: %.2f", p.Features[i].Name, p.Features[j].Name, value),
	}
	if value < 0 {
		cell.Class = "negative"
	}
	return cell
}
