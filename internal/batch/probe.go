package batch

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// ProbeOptions configure Probe.
type ProbeOptions struct {
	// Tolerance is how much an FP32 or FP64 output of the same row may differ between runs,
	// relative to its value plus 1. FP16 and BF16 may differ 64 and 512 times as much, in
	// proportion to their precision. Integers, booleans and strings must be equal.
	Tolerance float64
	// Mixes names an operator of the model that is known to make a row depend on the rows
	// beside it, which rounded outputs may hide. It is empty if there is none.
	Mixes string
	// Timeout is the longest time of a probe: a run in progress is then terminated. After a
	// fifth of it no further data is tried.
	Timeout time.Duration
	// MaxBytes bounds the made-up inputs of one run, and its outputs. Larger data is not tried.
	MaxBytes int64
}

const (
	budgetShare = 5 // the share of the timeout in which data is tried, as 1/n

	probeRows = 5 // unlike the small sizes, so that no axis looks like the rows
	enoughFit = 3 // sets of data that the model accepts, of different sizes and kinds
)

// Probe finds out whether rows can be joined in one run. The signature must allow it: every
// required input and every output has a free first dimension, of any name. Then rows of made-up
// data must give equal outputs alone, in runs of 2, 3 and 5 rows, in requests of several rows
// and in another order. Probe tries sizes of the other dimensions and kinds of data until the
// model accepts some. A model that refuses all of them, or gives equal answers to all rows, is
// undecided.
//
// Slow models are probed less, and never longer than the timeout or ctx allows. Probe returns
// when the instance is no longer in use.
func Probe(ctx context.Context, instance Instance, m *infer.Model, o ProbeOptions) Finding {
	if err := atLeast(bound{"Timeout", int64(o.Timeout), 1}, bound{"MaxBytes", o.MaxBytes, 1}); err != nil {
		panic("BUG: a probe: " + err.Error())
	}
	if f, found := signatureFinding(m); found {
		return f
	}
	if o.Mixes != "" {
		f := mixed("operator %s quantizes a row by all rows of a run", o.Mixes)
		f.Advice = "set batching.enabled to true if small differences do not matter"
		return f
	}
	p := &prober{
		comparer: comparer{instance: instance, tolerance: o.Tolerance, log: zap.NewNop()},
		model:    m, free: freeDimensions(m), kinds: kindsOfData(), most: o.MaxBytes,
	}
	p.enough = time.Now().Add(o.Timeout / budgetShare)
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	pattern := 0
	for at, sizes := range sizes(len(p.free)) {
		if p.slight.Reason != "" || p.seeing > 0 && at != pattern || p.seeing == enoughFit || p.late() {
			break // a model that accepts one pattern of sizes needs no other
		}
		pattern = at
		if f, found := p.try(ctx, withSizes(m, p.free, sizes)); found {
			return f
		}
	}
	return p.conclude(ctx, o.Timeout)
}

// prober tries made-up data.
type prober struct {
	comparer
	model *infer.Model
	free  []free
	kinds []data
	most  int64 // bytes of the inputs of a run, and of its outputs

	enough time.Time // no further data is tried after that
	fits   int       // how many sets of data the model accepted
	seeing int       // how many of these had rows that could be told apart
	takes  int       // the kind of data that it accepted first, or -1
	large  bool      // some data was too large to be tried
	slight Finding   // the finding of rows that differed slightly; its Reason may be empty
	seed   uint64    // of the next data
}

// verdict is the result of one set of data.
type verdict int

const (
	refused verdict = iota // by the model, or too large, or not clear
	ended                  // the time is over
	blind                  // all outputs are equal, but so are those of the rows
	agrees
	decided // the finding says why requests cannot be joined
)

// try looks for kinds of data that the model accepts in these sizes. found says that they show
// that requests cannot be joined.
func (p *prober) try(ctx context.Context, m *infer.Model) (f Finding, found bool) {
	for _, kind := range p.kindsToTry() {
		if p.late() {
			break
		}
		v, f := p.probe(ctx, m, p.kinds[kind])
		switch v {
		case decided:
			return f, true
		case ended:
			return Finding{}, false
		case refused:
		case blind:
			p.fits++
		case agrees:
			p.fits++
			p.seeing++
			if p.takes = kind; len(p.free) > 0 || p.seeing == enoughFit {
				return Finding{}, false // another size next
			}
		}
	}
	return Finding{}, false
}

// kindsToTry begins with another kind each time, so that sizes and kinds both vary. After one
// kind is accepted, the rest is not tried at every size.
func (p *prober) kindsToTry() []int {
	if next := p.fits % len(p.kinds); p.seeing > 0 && len(p.free) > 0 {
		return []int{next, p.takes}
	}
	all := make([]int, len(p.kinds))
	for i := range all {
		all[i] = i
	}
	return all
}

// probe runs rows of one kind alone and together.
func (p *prober) probe(ctx context.Context, m *infer.Model, kind data) (verdict, Finding) {
	if p.tooLarge(m) {
		p.large = true
		return refused, Finding{}
	}
	rng := rand.New(rand.NewPCG(p.seed, 0x51)) //nolint:gosec // the same data at each load
	p.seed++
	rows := make([]sample, probeRows)
	for i := range rows {
		rows[i] = sample{rows: 1, inputs: kind.row(m, rng)}
		if err := p.alone(ctx, &rows[i]); err != nil {
			return p.failed(ctx, err), Finding{}
		}
		if bytesOf(rows[i].outputs) > p.most/probeRows {
			p.large = true
			return refused, Finding{}
		}
		if f := checkRows(&rows[i]); f.Reason != "" {
			return decided, f
		}
	}
	for i, arrangement := range arrangements() {
		if i > 0 && p.late() {
			break
		}
		f, err := p.together(ctx, rows, arrangement)
		switch {
		case ctx.Err() != nil || infer.CodeOf(err) == infer.TooLarge:
			return p.failed(ctx, err), Finding{}
		case err != nil:
			return decided, failTogether()
		case f.Undecided:
			p.slight = f
			return refused, Finding{}
		case f.Reason != "":
			return decided, f
		}
	}
	if !p.distinct(rows) {
		return blind, Finding{}
	}
	return agrees, Finding{}
}

// late reports whether no further data should be tried.
func (p *prober) late() bool { return time.Now().After(p.enough) }

// failed returns the verdict of an error of a run.
func (p *prober) failed(ctx context.Context, err error) verdict {
	if ctx.Err() != nil {
		return ended
	}
	if infer.CodeOf(err) == infer.TooLarge {
		p.large = true
	}
	return refused
}

// arrangements are ways to run 5 rows together: each is a list of requests, and each request a
// list of rows.
func arrangements() [][][]int {
	return [][][]int{
		{{3, 1, 0}}, // the only one that slow models run
		{{0}, {1}, {2}, {3}, {4}},
		{{4}, {2}},
		{{2, 0}, {4, 1, 3}},
	}
}

// tooLarge reports whether the inputs of all rows would be too large, or the outputs whose
// shapes the signature gives.
func (p *prober) tooLarge(m *infer.Model) bool {
	return fixedBytes(m.Inputs) > p.most || fixedBytes(m.Outputs) > p.most
}

// fixedBytes is the least size of tensors of probeRows rows, in bytes.
func fixedBytes(specs []infer.TensorSpec) (sum int64) {
	for i := range specs {
		if specs[i].Optional {
			continue
		}
		n, ok := specs[i].Shape.Fixed(probeRows).ByteSize(specs[i].DType)
		if !ok || n > math.MaxInt64-sum {
			return math.MaxInt64
		}
		sum += n
	}
	return sum
}

// conclude returns the finding if no data showed that requests cannot be joined.
func (p *prober) conclude(ctx context.Context, timeout time.Duration) Finding {
	switch {
	case p.slight.Reason != "":
		return undecided("with made-up data, " + p.slight.Reason + ", but so little that it may be rounding")
	case p.seeing > 0:
		return Finding{Batchable: true, Summary: yesProbed, Reason: "rows give equal outputs alone, together and permuted"}
	case ctx.Err() != nil:
		return undecided("the probe with made-up data did not end within " + timeout.String())
	case p.fits > 0:
		return undecided("the model gives equal answers to all made-up data, so rows cannot be told apart")
	case p.large:
		return undecided("made-up data that might suit the model takes more than " + sizeText(p.most) + " for a few rows")
	default:
		return undecided("the model refuses made-up data")
	}
}
