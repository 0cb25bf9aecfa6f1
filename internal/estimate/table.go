package estimate

import (
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"
)

// table says how often the score of each bin of a curve comes true, and how sure that is.
type table struct {
	rate       []float64 // by bin
	block      []int     // by bin: the block of bins that have one rate in the reference
	variance   []float64 // by block: of its rate
	from, to   int       // the first and the last bin in which the reference has rows
	calibrated bool      // the rate is that of the reference; else it is the score
}

// newTable fits a table to the rows and hits of a reference by bin. scores are those in the middle
// of the bins.
func newTable(rows, hits, scores []float64) *table {
	t := &table{from: len(rows)}
	for b, n := range rows {
		if n > 0 {
			t.from, t.to = min(t.from, b), b
		}
	}
	fit := isotonic(rows, hits)
	t.block, t.variance = fit.block, fit.variance
	t.calibrated = calibrates(rows, hits, scores)
	if t.rate = fit.rate; !t.calibrated {
		t.rate = scores
	}
	return t
}

// fitted is an isotonic regression.
type fitted struct {
	rate     []float64
	block    []int
	variance []float64
}

// isotonic returns the rates that rise with the bin and are closest to the hits, by pooling
// adjacent violators. A bin without rows has a rate between those of its neighbours with rows.
//
// The variance of a block's rate is that of a share of its rows. One more hit and one more miss
// keep it above 0: a block without a hit does not prove that there are none.
func isotonic(rows, hits []float64) fitted {
	type block struct {
		from, to int // bins
		n, h     float64
	}
	var blocks []block
	for b, n := range rows {
		if n <= 0 {
			continue
		}
		blocks = append(blocks, block{b, b, n, hits[b]})
		for k := len(blocks) - 1; k > 0 && blocks[k-1].h*blocks[k].n >= blocks[k].h*blocks[k-1].n; k-- {
			blocks[k-1] = block{blocks[k-1].from, blocks[k].to, blocks[k-1].n + blocks[k].n, blocks[k-1].h + blocks[k].h}
			blocks = blocks[:k]
		}
	}
	f := fitted{make([]float64, len(rows)), make([]int, len(rows)), make([]float64, len(blocks))}
	if len(blocks) == 0 {
		return f
	}
	for k, x := range blocks {
		share := (x.h + 1) / (x.n + 2)
		f.variance[k] = share * (1 - share) / x.n
	}
	k := 0
	for b := range rows {
		for k+1 < len(blocks) && b >= blocks[k+1].from {
			k++
		}
		x := blocks[k]
		f.rate[b], f.block[b] = x.h/x.n, k
		if b > x.to && k+1 < len(blocks) {
			next := blocks[k+1]
			part := float64(b-x.to) / float64(next.from-x.to)
			f.rate[b] += part * (next.h/next.n - x.h/x.n)
			if part > 0.5 {
				f.block[b] = k + 1
			}
		}
	}
	return f
}

const (
	splits    = 10  // for the decision whether to calibrate
	testShare = 0.1 // of the rows, in each split
	eceBins   = 10  // with about the same number of rows each
)

// calibrates reports whether isotonic regression makes the expected calibration error of rows
// smaller that it has not seen. As in NannyML, 10 splits hold back a tenth of the rows each, and
// the errors over all of these are compared. The rows of a bin are alike, so a split draws from
// counts. The draws are always the same for the same reference.
func calibrates(rows, hits, scores []float64) bool {
	source := rand.NewPCG(1, 2)
	n, h, fit := make([]float64, len(rows)), make([]float64, len(rows)), make([]float64, len(rows))
	train, trainHits := make([]float64, len(rows)), make([]float64, len(rows))
	test := func(count float64) float64 {
		if count <= 0 {
			return 0
		}
		return distuv.Binomial{N: count, P: testShare, Src: source}.Rand()
	}
	for range splits {
		testRows, testHits := make([]float64, len(rows)), make([]float64, len(rows))
		for b := range rows {
			hit := test(hits[b])
			testRows[b], testHits[b] = hit+test(rows[b]-hits[b]), hit
			train[b], trainHits[b] = rows[b]-testRows[b], hits[b]-hit
		}
		rate := isotonic(train, trainHits).rate
		for b, k := range testRows {
			n[b], h[b], fit[b] = n[b]+k, h[b]+testHits[b], fit[b]+k*rate[b]
		}
	}
	raw := make([]float64, len(rows))
	for b := range raw {
		raw[b] = n[b] * scores[b]
	}
	return ece(n, h, raw) > ece(n, h, fit)
}

// ece returns the expected calibration error of sums of rates over bins, in groups of bins.
func ece(rows, hits, sums []float64) float64 {
	total := 0.0
	for _, n := range rows {
		total += n
	}
	var n, gap, errors float64
	for b := range rows {
		n += rows[b]
		gap += hits[b] - sums[b]
		if n >= total/eceBins || b == len(rows)-1 {
			errors += max(gap, -gap)
			n, gap = 0, 0
		}
	}
	if total == 0 {
		return 0
	}
	return errors / total
}
