package main

import (
	"iter"
	"math"
	"math/rand/v2"

	"sluice.io/sluice/internal/drift"
)

// cleanStretch has rows without a change, as columns, and who sent each of them.
type cleanStretch struct {
	columns [][]float64
	users   []uint64 // nil: not known
}

// cleanKind is a way in which clean rows depend on each other.
type cleanKind struct {
	name string
	rows func(rng *rand.Rand, n int) *cleanStretch
}

const (
	neighbours  = 0.6 // correlation from row to row
	stickyUsers = 300
)

// cleanKinds are the kinds of clean rows. The first one is that of the calibration. In each of them a feature has the same law.
func cleanKinds() []cleanKind {
	return []cleanKind{
		{"independent", independentRows},
		{"each row twice", func(rng *rand.Rand, n int) *cleanStretch {
			var row []float64
			return cleanOf(n, nil, func(k int) []float64 {
				if k%2 == 0 {
					row = quantiles(rng)
				}
				return row
			})
		}},
		{"correlation from row to row 0.6", func(rng *rand.Rand, n int) *cleanStretch {
			row := quantiles(rng)
			return cleanOf(n, nil, func(int) []float64 {
				for i, z := range quantiles(rng) {
					row[i] = neighbours*row[i] + math.Sqrt(1-neighbours*neighbours)*z
				}
				return row
			})
		}},
		{"300 users, known by a key", func(rng *rand.Rand, n int) *cleanStretch {
			rows, users := make([][]float64, stickyUsers), make([]uint64, n)
			for i := range rows {
				rows[i] = quantiles(rng)
			}
			return cleanOf(n, users, func(k int) []float64 {
				user := rng.IntN(stickyUsers)
				users[k] = uint64(user) + 1 //nolint:gosec // positive
				return rows[user]
			})
		}},
	}
}

func independentRows(rng *rand.Rand, n int) *cleanStretch {
	return cleanOf(n, nil, func(int) []float64 { return quantiles(rng) })
}

// quantiles returns a row of independent standard normal variables.
func quantiles(rng *rand.Rand) []float64 {
	row := make([]float64, features)
	for i := range row {
		row[i] = rng.NormFloat64()
	}
	return row
}

// cleanOf makes rows of standard normal variables.
func cleanOf(n int, users []uint64, next func(k int) []float64) *cleanStretch {
	c := &cleanStretch{columns: make([][]float64, features), users: users}
	for i := range c.columns {
		c.columns[i] = make([]float64, n)
	}
	for k := range n {
		z := next(k)
		for i := range c.columns {
			x := z[i]
			if i == rightFeature {
				x = pairCorrelation*z[leftFeature] + math.Sqrt(1-pairCorrelation*pairCorrelation)*x
			}
			c.columns[i][k] = lawOf(i).of(x)
		}
	}
	return c
}

// from yields the rows from one on. The slices are the same for all rows.
func (c *cleanStretch) from(first int) iter.Seq[drift.Row] {
	return func(yield func(drift.Row) bool) {
		row := drift.Row{At: epoch(), Values: make([]float64, features), Missing: make([]bool, features)}
		for k := first; k < len(c.columns[0]); k++ {
			for i := range row.Values {
				row.Values[i] = c.columns[i][k]
			}
			if c.users != nil {
				row.User = c.users[k]
			}
			if !yield(row) {
				return
			}
		}
	}
}
