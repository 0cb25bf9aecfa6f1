package compare

import (
	"math"
	"time"

	"sluice.io/sluice/api"
)

// latencies are counts by the logarithm of the time.
type latencies struct {
	counts [1300]int
	total  int
}

const latencyStep = 1.02

func (l *latencies) add(took time.Duration) {
	if took <= 0 {
		return // it is not known
	}
	i := int(math.Log1p(float64(took.Microseconds())) / math.Log(latencyStep))
	l.counts[min(i, len(l.counts)-1)]++
	l.total++
}

func (l *latencies) summary() api.ComparedLatency {
	const median, tail = 0.5, 0.99
	return api.ComparedLatency{Count: l.total, P50: l.quantile(median), P99: l.quantile(tail)}
}

func (l *latencies) quantile(q float64) float64 {
	rank, seen := int(math.Ceil(q*float64(l.total))), 0
	for i, n := range l.counts {
		if seen += n; n > 0 && seen >= rank {
			return math.Round(math.Expm1((float64(i) + 0.5) * math.Log(latencyStep)))
		}
	}
	return 0
}
