package main

import (
	"context"
	"fmt"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/record"
)

// maxRepeats is how often a noisy cell is repeated; noisyShare bounds what all
// repetitions may add to a run on a machine that is never quiet.
const (
	maxRepeats = 2
	noisyShare = 0.1
)

// rounds runs every work against every contender in turn, again and again, after
// a round that warms up and is not written down.
func (b *bench) rounds(ctx context.Context) error {
	for round := range b.o.rounds + 1 {
		fmt.Fprintf(b.log, "%s: round %d of %d\n", b.setup, round, b.o.rounds)
		model := ""
		for _, w := range b.o.works {
			if w.model != model {
				model = w.model
				if err := b.raw(ctx, round, model); err != nil {
					return err
				}
			}
			for _, s := range b.servers {
				if _, ok := s.at[w.name]; !ok {
					continue
				}
				if err := b.measure(ctx, round, s, w); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// measure makes a cell, and again while others disturb it.
func (b *bench) measure(ctx context.Context, round int, s *server, w work) error {
	d := b.cellTime(s, w)
	if round == 0 {
		d /= 2
	}
	for attempt := 1; ; attempt++ {
		figures, err := b.load(ctx, s, w, loadgen.Plan{Conns: w.conns, Duration: d})
		if err != nil || round == 0 {
			return err
		}
		err = b.out.Add(b.line("cell", s, w, figures, "round", round, "attempt", attempt))
		if err != nil || figures["noisy"] == 0 || attempt > maxRepeats || !b.mayRepeat() {
			return err
		}
	}
}

// cellTime is how long a cell runs: longer where a run takes so many milliseconds
// that one more or less of them would show in the rate.
func (b *bench) cellTime(s *server, w work) time.Duration {
	const longer = 3
	if w.model == "enc" && s.name != record.Noop {
		return longer * b.o.cell
	}
	return b.o.cell
}

// mayRepeat counts a repetition, and says whether there may be one more.
func (b *bench) mayRepeat() bool {
	if float64(b.repeated) >= noisyShare*float64(b.o.rounds*len(b.o.works)*len(b.servers)) {
		return false
	}
	b.repeated++
	return true
}
