package main

import (
	"math"
	"math/rand/v2"
	"slices"

	"sluice.io/sluice/benchmarks/drift/rivals"
)

// race compares the detector with rivals at the same rate of false alarms. Each rival has a limit for each law of a feature, such
// that ten features together have one false alarm in so many rows.
type race struct {
	seed      uint64
	runs      int // streams for each change
	stretches int // clean ones of a feature for each law, for the limits
	every     float64

	rivals []rivals.Rival
	limits [][numLaws]float64 // by rival
	own    []ownMethod
	// table has a line for each method: ours, then the rivals.
	table []raceLine
}

// stretchRows is the length of a clean stretch, alone and with a reference of its own.
const stretchRows = 20_000

// stretchesPerReference is how many stretches are compared with the same reference, which takes longer to make than they do.
const stretchesPerReference = 20

func newRace(seed uint64, runs, stretches int) *race {
	return &race{seed: seed, runs: runs, stretches: stretches, every: 200_000, rivals: rivals.All()}
}

func (r *race) seeded(purpose, number int) *rand.Rand {
	return rand.New(rand.NewPCG(r.seed, uint64(purpose)<<32|uint64(number))) //nolint:gosec // a simulation
}

// calibrate sets the limits: the quantile of the highest scores of clean stretches. With one false alarm of ten features in E rows,
// one of a feature in a stretch of L rows has the probability 1 - exp(-L/(10 E)).
func (r *race) calibrate() {
	r.limits = make([][numLaws]float64, len(r.rivals))
	passed := 1 - math.Exp(-stretchRows/(features*r.every))
	for l := range numLaws {
		chunks := parallel(r.stretches/stretchesPerReference, func(chunk int) (highest [][]float64) {
			rng := r.seeded(1+int(l), chunk)
			ref := rivals.NewReference(drawn(rng, l, rivalsReference))
			for range stretchesPerReference {
				highest = append(highest, r.highest(ref, drawn(rng, l, stretchRows)))
			}
			return highest
		})
		all := slices.Concat(chunks...)
		for m, rival := range r.rivals {
			if rival.Sanity {
				continue
			}
			scores := make([]float64, len(all))
			for i := range all {
				scores[i] = all[i][m]
			}
			slices.Sort(scores)
			// So many scores may be above the limit.
			r.limits[m][l] = scores[len(scores)-1-int(passed*float64(len(scores)))]
		}
	}
}

func drawn(rng *rand.Rand, l law, n int) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = l.draw(rng)
	}
	return all
}

// highest returns the highest score of each rival in clean rows.
func (r *race) highest(ref *rivals.Reference, rows []float64) []float64 {
	scores := make([]float64, len(r.rivals))
	for m, rival := range r.rivals {
		d, most := rival.New(ref), math.Inf(-1)
		for _, x := range rows {
			most = max(most, d.Add(x))
		}
		scores[m] = most
	}
	return scores
}

// raceOutcome is what became of a method in a stream: the rows since the change when it was found, raceMissed, or raceAlready for a
// false alarm before the change.
type raceOutcome int

const (
	raceMissed  raceOutcome = -1
	raceAlready raceOutcome = 0
)

// raceLine has the outcomes of a method by change and stream, and its false alarms in clean streams.
type raceLine struct {
	name, settings string
	sanity         bool
	outcomes       [][]raceOutcome
	falseAlarms    []int // by kind of clean rows
	cleanRows      int   // of each kind
}

// run calibrates and measures.
func (r *race) run() {
	r.calibrate()
	r.own = r.ownMethods()
	changes, kinds := shifts(), cleanKinds()
	for _, m := range r.own {
		r.table = append(r.table, raceLine{name: m.name, settings: m.settings})
	}
	for _, m := range r.rivals {
		r.table = append(r.table, raceLine{name: m.Name, settings: m.Settings, sanity: m.Sanity})
	}
	streams := parallel(r.runs, r.stream)
	for i := range r.table {
		line := &r.table[i]
		line.outcomes, line.falseAlarms = make([][]raceOutcome, len(changes)), make([]int, len(kinds))
		for _, s := range streams {
			line.cleanRows += stretchRows
			for k := range kinds {
				line.falseAlarms[k] += s.alarms[i][k]
			}
			for c := range changes {
				line.outcomes[c] = append(line.outcomes[c], s.outcomes[i][c])
			}
		}
	}
}

// raceResult is what became of one stream, by method.
type raceResult struct {
	outcomes [][]raceOutcome // by change
	alarms   [][]int         // by kind of clean rows
}

// stream runs all methods on one stream.
func (r *race) stream(number int) (of raceResult) {
	s, changes, kinds := r.newRaceStream(number), shifts(), cleanKinds()
	of.outcomes, of.alarms = make([][]raceOutcome, len(r.table)), make([][]int, len(r.table))
	for k := range kinds {
		clean := kinds[k].rows(r.seeded(200+k, number), stretchRows)
		for i, m := range r.own {
			of.alarms[i] = append(of.alarms[i], s.ownFalseAlarms(clean, m.options))
		}
		for i, m := range r.rivals {
			at := len(r.own) + i
			of.alarms[at] = append(of.alarms[at], s.falseAlarms(clean, m, &r.limits[i]))
		}
	}
	for c := range changes {
		for i, m := range r.own {
			of.outcomes[i] = append(of.outcomes[i], s.own(&changes[c], m.options))
		}
		for i, m := range r.rivals {
			at := len(r.own) + i
			of.outcomes[at] = append(of.outcomes[at], s.rival(&changes[c], m, &r.limits[i]))
		}
	}
	return of
}
