package loss_test

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"sluice.io/sluice/internal/loss"
)

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// options are for windows by rows, with an alarm allowed every 1,000 of them.
func options() loss.Options {
	return loss.Options{
		Tolerance: 0.02, ReferenceRows: 1000, FalseAlarmEvery: 30 * 24 * time.Hour, Window: 5 * time.Minute,
		FalseAlarmWindows: 1000, Rows: 200, Streams: 1, MinRows: 50, Recover: 3,
	}
}

func detector(t testing.TB, o loss.Options, names ...string) *loss.Detector {
	t.Helper()
	d, err := loss.New(o, names...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// source makes the next loss for a mean, and says whether its row is of the same request as the one
// before.
type source func(mean float64) (x float64, same bool)

func coin(rng *rand.Rand, p float64) float64 {
	if rng.Float64() < p {
		return 1
	}
	return 0
}

func independent(rng *rand.Rand) source {
	return func(mean float64) (float64, bool) { return coin(rng, mean), false }
}

// smooth makes losses between 0 and 1 that vary little.
func smooth(rng *rand.Rand) source {
	return func(mean float64) (float64, bool) { return mean * 2 * rng.Float64(), false }
}

// repeated sends each row several times, as requests of their own or in one.
func repeated(rng *rand.Rand, times int, one bool) source {
	u, i := 0.0, 0
	return func(mean float64) (float64, bool) {
		if i%times == 0 {
			u = rng.Float64()
		}
		i++
		if u < mean {
			return 1, one && i%times != 1
		}
		return 0, one && i%times != 1
	}
}

// shared makes requests of rows, half of which have the luck of their request.
func shared(rng *rand.Rand, rows int) source {
	u, i := 0.0, 0
	return func(mean float64) (float64, bool) {
		if i%rows == 0 {
			u = rng.Float64()
		}
		i++
		luck := u
		if rng.Float64() < 0.5 {
			luck = rng.Float64()
		}
		if luck < mean {
			return 1, i%rows != 1
		}
		return 0, i%rows != 1
	}
}

// sequence has a correlation of the luck from row to row.
func sequence(rng *rand.Rand, rho float64) source {
	z := rng.NormFloat64()
	return func(mean float64) (float64, bool) {
		z = rho*z + math.Sqrt(1-rho*rho)*rng.NormFloat64()
		if 0.5*math.Erfc(-z/math.Sqrt2) < mean {
			return 1, false
		}
		return 0, false
	}
}

// users are a number of users with constant losses, who come again and again.
func users(rng *rand.Rand, n int) source {
	luck := make([]float64, n)
	for i := range luck {
		luck[i] = (float64(i) + 0.5) / float64(n)
	}
	return func(mean float64) (float64, bool) {
		if luck[rng.IntN(n)] < mean {
			return 1, false
		}
		return 0, false
	}
}

// feed counts rows with a mean loss.
func feed(d *loss.Detector, s source, rows int, mean float64) {
	request := 0
	for range rows {
		x, same := s(mean)
		if !same {
			request = int(d.State().Rows)
		}
		d.Count(epoch.Add(time.Duration(d.State().Rows)*time.Second), strconv.Itoa(request), []float64{x})
	}
}
