package drift

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// vectorColumns are the columns of a vector in a Builder. It keeps sketches of a sample of the rows, since the scale of the
// cosines is known only in the end.
type vectorColumns struct {
	v        Vector
	columns  []int // in the order of the elements
	parts    int   // norm and mean are the numbers of a row from here on
	round    func(float64) float64
	x        []float64 // the present row
	sketch   []float64
	rng      *rand.Rand
	rows     uint64 // that were finite
	capacity uint64
	sample   [][]float64
	// into counts all rows in the cosines of another profile; nil: there is a sample.
	into    *Vector
	of      *projector
	whiten  *whitening
	fourths float64
	white   []float64
}

// The sample of a vector: rows, and bytes of their sketches.
const (
	vectorRows        = 20_000
	vectorSampleBytes = 32 << 20
)

// vectorsOf groups the columns of vectors by their tensor.
func vectorsOf(features []Feature, seed uint64) (list []*vectorColumns) {
	for i := range features {
		f := &features[i]
		if f.Measure != MeasureVector {
			continue
		}
		at := slices.IndexFunc(list, func(v *vectorColumns) bool { return v.v.Kind == f.Kind && v.v.Tensor == f.Tensor })
		if at < 0 {
			at = len(list)
			list = append(list, &vectorColumns{
				v:     Vector{Name: f.Tensor, Kind: f.Kind, Tensor: f.Tensor, Datatype: f.Datatype, Seed: mix(seed + uint64(at))},
				round: rounding(f.Datatype),
			})
		}
		list[at].columns = append(list[at].columns, i)
	}
	for at, v := range list {
		slices.SortStableFunc(v.columns, func(a, b int) int { return cmp.Compare(features[a].Element, features[b].Element) })
		v.v.From, v.v.Size = features[v.columns[0]].Element, len(v.columns)
		v.x, v.sketch = make([]float64, v.v.Size), make([]float64, min(v.v.Size, maxSketch))
		v.rng = rand.New(rand.NewPCG(seed, 2+uint64(at)))            //nolint:gosec // a sample, not a secret
		bytes := vectorSampleBytes / len(list) / (8 * len(v.sketch)) //nolint:mnd // of a float64
		v.capacity = uint64(min(vectorRows, bytes))                  //nolint:gosec // positive
	}
	return list
}

// add reads the vector of a row, and returns its norm and mean.
func (v *vectorColumns) add(values []float64, missing []bool) (norm, mean float64) {
	for k, i := range v.columns {
		x := values[i]
		if missing[i] {
			x = math.NaN()
		}
		if v.round != nil {
			x = v.round(x)
		}
		v.x[k] = x
	}
	row := sketchIn(v.sketch, v.v.Size, v.v.Seed, func(i int) float64 { return v.x[i] })
	norm, mean = row.measures(v.v.Size)
	if norm-norm != 0 {
		return norm, mean
	}
	v.rows++
	if v.into != nil {
		var of [numCosines]int32
		if v.of.cosines(v.sketch, &of) {
			v.into.add(&of)
			v.fourths += v.whiten.fourth(&of, v.white)
		}
		return norm, mean
	}
	at := uint64(len(v.sample))
	if at >= v.capacity {
		if at = v.rng.Uint64N(v.rows); at < v.capacity {
			copy(v.sample[at], v.sketch)
		}
		return norm, mean
	}
	v.sample = append(v.sample, slices.Clone(v.sketch))
	return norm, mean
}

// countIn makes the columns count all rows in the cosines of another profile.
func (v *vectorColumns) countIn(o *Vector) {
	e := o.empty()
	v.into, v.of, v.whiten, v.v.Seed = &e, o.projector(), newWhitening(o), o.Seed
	v.white = make([]float64, v.whiten.rank())
}

// vector returns the vector of the rows so far.
func (v *vectorColumns) vector() Vector {
	if v.into != nil {
		e := *v.into
		if e.Rows > 0 {
			e.Fourth = finite(v.fourths / float64(e.Rows))
		}
		return e
	}
	v.v.Scale = v.scale()
	e := v.v.empty()
	p := e.projector()
	all := make([][numCosines]int32, 0, len(v.sample))
	for _, sketch := range v.sample {
		var of [numCosines]int32
		if p.cosines(sketch, &of) {
			e.add(&of)
			all = append(all, of)
		}
	}
	w := newWhitening(&e)
	white := make([]float64, w.rank())
	for i := range all {
		e.Fourth += w.fourth(&all[i], white) / float64(len(all))
	}
	e.Fourth = finite(e.Fourth)
	return e
}

// scale returns the median distance of two rows of the sample (Gretton et al., 2012).
func (v *vectorColumns) scale() float64 {
	const pairs = 2000
	n := len(v.sample)
	if n < 2 {
		return 1
	}
	rng := rand.New(rand.NewPCG(v.v.Seed, 3))
	distances := make([]float64, 0, pairs)
	total := 0.0
	for range pairs {
		i, j := rng.IntN(n), rng.IntN(n-1)
		if j >= i {
			j++
		}
		sum := 0.0
		for k, x := range v.sample[i] {
			d := x - v.sample[j][k]
			sum += d * d
		}
		distances = append(distances, math.Sqrt(sum))
		total += math.Sqrt(sum) / pairs
	}
	slices.Sort(distances)
	for _, scale := range [...]float64{distances[pairs/2], total} {
		if scale > 1e-300 && scale <= math.MaxFloat64 {
			return scale
		}
	}
	return 1 // a constant
}

// vectorFeatures returns norm and mean of a vector as features.
func (v *vectorColumns) features() (norm, mean Feature) {
	f := Feature{Kind: v.v.Kind, Tensor: v.v.Tensor, Element: v.v.From, Datatype: v.v.Datatype}
	norm, mean = f, f
	norm.Name, norm.Measure = v.v.Name+" "+MeasureNorm, MeasureNorm
	mean.Name, mean.Measure = v.v.Name+" "+MeasureMean, MeasureMean
	return norm, mean
}
