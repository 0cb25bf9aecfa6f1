package main

import (
	"iter"
	"math/rand/v2"

	"sluice.io/sluice/benchmarks/drift/rivals"
	"sluice.io/sluice/internal/drift"
)

// raceStream is what all methods see in one run: columns.
type raceStream struct {
	profile    *drift.Profile
	references []*rivals.Reference
	rows       [][]float64 // without a change
	changeAt   int         // the row from which on they change
	seed       uint64      // of what changes are drawn with
}

func (r *race) newRaceStream(number int) *raceStream {
	rng := r.seeded(100, number)
	reference := independentRows(rng, rivalsReference).columns
	s := &raceStream{profile: rivalsProfile(reference), changeAt: rivalsClean + rng.IntN(rivalsWindow), seed: rng.Uint64()}
	for _, column := range reference {
		s.references = append(s.references, rivals.NewReference(column))
	}
	s.rows = independentRows(rng, s.changeAt+rivalsChanged).columns
	return s
}

// changed yields the rows of a stream with a change. The slice is the same for all rows.
func (s *raceStream) changed(c *shift) iter.Seq2[int, []float64] {
	return func(yield func(int, []float64) bool) {
		rng := rand.New(rand.NewPCG(s.seed, 1)) //nolint:gosec // a simulation
		row := make([]float64, features)
		for k := range s.rows[0] {
			for i := range row {
				row[i] = s.rows[i][k]
			}
			if k >= s.changeAt {
				c.of(row, k-s.changeAt, rng)
			}
			if !yield(k, row) {
				return
			}
		}
	}
}

// outcome returns that of an alarm after row k.
func (s *raceStream) outcome(k int) raceOutcome {
	if k < s.changeAt {
		return raceAlready
	}
	return raceOutcome(k - s.changeAt + 1)
}

// rival runs a rival on the features that change.
func (s *raceStream) rival(c *shift, m rivals.Rival, limits *[numLaws]float64) raceOutcome {
	detectors := make([]rivals.Detector, len(c.watched))
	for j, i := range c.watched {
		detectors[j] = m.New(s.references[i])
	}
	for k, row := range s.changed(c) {
		if m.Sanity && k < s.changeAt {
			continue
		}
		for j, i := range c.watched {
			if detectors[j].Add(row[i]) > limits[lawOf(i)] {
				return s.outcome(k)
			}
		}
	}
	return raceMissed
}

// falseAlarms runs a rival on all features of clean rows. It begins anew after an alarm.
func (s *raceStream) falseAlarms(clean *cleanStretch, m rivals.Rival, limits *[numLaws]float64) (alarms int) {
	for i, column := range clean.columns {
		d := m.New(s.references[i])
		for _, x := range column {
			if d.Add(x) > limits[lawOf(i)] {
				alarms++
				d = m.New(s.references[i])
			}
		}
	}
	return alarms
}
