package drift_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"sluice.io/sluice/internal/drift"
)

// sender makes the rows of a stream: it fills a row and returns its user, 0 for none.
type sender func(row []float64) (user uint64)

// again sends each row of normal values k times.
func again(k int) func(*rand.Rand) sender {
	return func(rng *rand.Rand) sender {
		var last []float64
		sent := 0
		return func(row []float64) uint64 {
			if sent%k == 0 {
				last = take(len(row), normal(rng))
			}
			sent++
			copy(row, last)
			return 0
		}
	}
}

// sequence makes each feature an AR(1) stream.
func sequence(rho float64) func(*rand.Rand) sender {
	return func(rng *rand.Rand) sender {
		var streams []source
		return func(row []float64) uint64 {
			for i := range row {
				if len(streams) == i {
					streams = append(streams, dependent(rng, rho))
				}
				row[i] = streams[i]()
			}
			return 0
		}
	}
}

// requests has rows in groups: half of the features are the same in all rows of a group.
func requests(size int) func(*rand.Rand) sender {
	return func(rng *rand.Rand) sender {
		shared := again(size)(rng)
		return func(row []float64) uint64 {
			copy(row, take(len(row), normal(rng)))
			return shared(row[:len(row)/2])
		}
	}
}

// users sends the rows of so many users, who come again and again. The features of a user never
// change.
func users(count int) func(*rand.Rand) sender {
	return func(rng *rand.Rand) sender {
		rows := make([][]float64, count)
		return func(row []float64) uint64 {
			user := rng.IntN(count)
			if rows[user] == nil {
				rows[user] = take(len(row), normal(rng))
			}
			copy(row, rows[user])
			return uint64(user) + 1
		}
	}
}

// rare makes each feature of another sender 1 in a share of its values, and 0 otherwise.
func rare(p float64, of func(*rand.Rand) sender) func(*rand.Rand) sender {
	least := math.Sqrt2 * math.Erfinv(1-2*p)
	return func(rng *rand.Rand) sender {
		inner := of(rng)
		return func(row []float64) uint64 {
			user := inner(row)
			for i, x := range row {
				row[i] = 0
				if x > least {
					row[i] = 1
				}
			}
			return user
		}
	}
}

// sent makes a window of a sender's rows.
func sent(p *drift.Profile, split *drift.Splitter, number, rows int, s sender) drift.Window {
	w := p.NewWindow(epoch.Add(time.Duration(number) * time.Hour))
	w.End, w.Rows = w.Start.Add(time.Hour), uint64(rows)
	split.Begin(w.Rows)
	row := make([]float64, len(p.Features))
	for range rows {
		halves := split.Next(s(row))
		for i, x := range row {
			w.Counts[i].AddIn(&p.Features[i], x, halves)
		}
	}
	return w
}

// The promise holds for rows that depend on each other, from the first window on. Each case is 10
// streams with references of their own; docs/drift.md has the result of more.
func TestFalseAlarmsOnDependentRows(t *testing.T) {
	f := func(name string, m, n int, of func(*rand.Rand) source, s func(*rand.Rand) sender) {
		t.Helper()
		const references, windows = 10, 20
		o := drift.CompleteOptions()
		o.FalseAlarmWindows = 200
		alarms, inAlarm := 0, 0
		for seed := range references {
			rng := rand.New(rand.NewPCG(11, uint64(seed)))
			p := profile(10, m, of(rng))
			d := detector(t, p, o)
			rows, split, was := s(rng), &drift.Splitter{}, false
			for k := range windows {
				v := d.Judge(sent(p, split, k, n, rows))
				is := v.State == drift.Detected || v.State == drift.Recovering
				if is {
					inAlarm++
				}
				if is && !was {
					alarms++
				}
				was = is
			}
		}
		promised := references * windows / o.FalseAlarmWindows
		t.Logf("%s, windows of %d, reference %d: promised at most %v alarms in %d windows, measured %d; in alarm for %d windows",
			name, n, m, promised, references*windows, alarms, inAlarm)
		if float64(alarms) > promised+4*math.Sqrt(promised) {
			t.Errorf("%s, windows of %d, reference %d: %d alarms", name, n, m, alarms)
		}
	}
	f("rows twice", 5000, 200, normal, again(2))
	f("rows 4 times", 5000, 1000, normal, again(4))
	f("rows 16 times", 5000, 200, normal, again(16))
	f("requests of 16 rows", 5000, 200, normal, requests(16))
	f("rho 0.6", 500, 200, normal, sequence(0.6))
	f("rho 0.9", 5000, 200, normal, sequence(0.9))
	f("rho 0.9", 5000, 1000, normal, sequence(0.9))
	f("100 users", 5000, 200, normal, users(100))
	f("300 users", 5000, 1000, normal, users(300))
	f("2 % of a value, rows 4 times", 5000, 500, share(0.02), rare(0.02, again(4)))
	f("2 % of a value, 300 users", 5000, 1000, share(0.02), rare(0.02, users(300)))
	f("10 % of a value, rho 0.9", 5000, 500, share(0.1), rare(0.1, sequence(0.9)))
}
