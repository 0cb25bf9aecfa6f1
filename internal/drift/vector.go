package drift

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"sluice.io/sluice/internal/infer"
)

// A vector is a tensor of numbers that is watched as a whole, such as an embedding or an image. Its norm and the mean of its
// elements are features like others. Its distribution is compared by random Fourier features (Rahimi and Recht, NIPS
// 2007): cosines of random projections, with a scale that is the median distance of two rows. The squared difference of
// their means estimates the MMD of two samples with a Gaussian kernel (Gretton et al., JMLR 13, 2012; Zhao and Meng,
// FastMMD, Neural Computation 27, 2015).
//
// A vector with more than maxSketch elements is first reduced to as many numbers, by sums of its elements with random
// signs (CountSketch: Charikar, Chen and Farach-Colton, ICALP 2002). No matrix is kept: a seed makes all random numbers.
//
// A cosine is rounded to a multiple of 1/cosineUnit, so that sums are integers: they merge exactly, in any order.

// Vector describes the vectors of a tensor in the reference, and how their cosines are computed.
type Vector struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`   // input or output
	Tensor   string `json:"tensor"` // its name in the model
	From     int    `json:"from"`   // the first element of a row of the tensor
	Size     int    `json:"size"`   // the number of elements
	Datatype string `json:"datatype,omitempty"`
	Seed     uint64 `json:"seed"`
	// Scale is the standard deviation of the kernel, more than 0.
	Scale float64 `json:"scale"`
	// Rows is the number of rows that the sums are over, and Sums are those of the cosines, times cosineUnit.
	Rows uint64  `json:"rows"`
	Sums []int64 `json:"sums"`
	// Products are the sums of the products of two cosines, i up to j at j(j+1)/2 + i, times cosineUnit².
	Products []int64 `json:"products"`
	// Fourth is the mean of the fourth power of the rows' distance from their mean, after whitening: how heavy their
	// tails are.
	Fourth float64 `json:"fourth"`
}

// The measures of a vector, which are features of their own, and the mark of its columns for a Builder.
const (
	MeasureVector = "vector" // a column that is an element of a vector
	MeasureNorm   = "norm"   // the Euclidean norm
	MeasureMean   = "mean"   // the mean of the elements
)

const (
	// MaxVectorSize is the max number of elements of a vector.
	MaxVectorSize = 1 << 20
	// MaxVectors is the max number of vectors of a profile.
	MaxVectors = 16

	maxSketch  = 256     // numbers that the cosines are computed from
	numCosines = 64      // random Fourier features
	cosineUnit = 1 << 15 // sums of products are exact up to 2^33 rows
	maxVector  = 1 << 33 // rows
)

// OfVector reports whether the feature is measured of a vector.
func (f *Feature) OfVector() bool { return f.Measure == MeasureNorm || f.Measure == MeasureMean }

// projector computes the numbers of vectors.
type projector struct {
	size   int
	seed   uint64
	sketch []float64
	// weights are those of a sketch, cosine by cosine, and phases are added.
	weights []float64
	phases  [numCosines]float64
}

func newProjector(size int, seed uint64, scale float64) *projector {
	p := &projector{size: size, seed: seed, sketch: make([]float64, min(size, maxSketch))}
	rng := rand.New(rand.NewPCG(seed, 1))
	p.weights = make([]float64, numCosines*len(p.sketch))
	for i := range p.weights {
		p.weights[i] = rng.NormFloat64() / scale
	}
	for i := range p.phases {
		p.phases[i] = rng.Float64() * 2 * math.Pi
	}
	return p
}

// vectorRow has sums over the elements of a row.
type vectorRow struct {
	sum, squares float64
	infinite     bool
}

// sketchIn sets sketch to the sketch of a row, and returns its sums. at returns an element.
func sketchIn(sketch []float64, size int, seed uint64, at func(i int) float64) (r vectorRow) {
	see := func(x float64) {
		r.sum += x
		r.squares += x * x
		r.infinite = r.infinite || math.IsInf(x, 0)
	}
	if size == len(sketch) {
		for i := range sketch {
			sketch[i] = at(i)
			see(sketch[i])
		}
		return r
	}
	clear(sketch)
	const perHash = 7 // 8 bits for the place and one for the sign
	var bits uint64
	for i := range size {
		if i%perHash == 0 {
			bits = mix(seed ^ uint64(i)) //nolint:gosec // not negative
		}
		x := at(i)
		see(x)
		place := bits & (maxSketch - 1)
		if bits>>8&1 == 0 {
			sketch[place] += x
		} else {
			sketch[place] -= x
		}
		bits >>= 9
	}
	return r
}

// measures returns norm and mean, with 13 significant bits, so that rounding errors do not look like different values. Both
// are NaN if an element is missing, and infinite if one is infinite.
func (r vectorRow) measures(size int) (norm, mean float64) {
	switch {
	case math.IsNaN(r.squares): // also beside an infinite element
		return math.NaN(), math.NaN()
	case r.infinite:
		return math.Inf(1), math.Inf(1)
	}
	return coarse(finite(math.Sqrt(finite(r.squares)))), coarse(finite(r.sum) / float64(size))
}

// coarse rounds to 13 significant bits.
func coarse(x float64) float64 {
	const low = 52 - 13
	if math.Abs(x) > math.MaxFloat64/2 {
		return x
	}
	return math.Float64frombits((math.Float64bits(x) + 1<<(low-1)) &^ (1<<low - 1))
}

// cosines sets the cosines of a sketch, and reports whether all are finite.
func (p *projector) cosines(sketch []float64, of *[numCosines]int32) bool {
	n := len(sketch)
	for i := range of {
		w := p.weights[i*n : (i+1)*n]
		var a, b, c, d float64
		k := 0
		for ; k+4 <= n; k += 4 {
			a += w[k] * sketch[k]
			b += w[k+1] * sketch[k+1]
			c += w[k+2] * sketch[k+2]
			d += w[k+3] * sketch[k+3]
		}
		for ; k < n; k++ {
			a += w[k] * sketch[k]
		}
		x := math.Cos(a + b + c + d + p.phases[i])
		if x != x {
			return false
		}
		of[i] = int32(math.RoundToEven(x * cosineUnit))
	}
	return true
}

// projector returns what computes the vector's numbers.
func (v *Vector) projector() *projector { return newProjector(v.Size, v.Seed, v.Scale) }

// add adds the cosines of a row of the reference.
func (v *Vector) add(of *[numCosines]int32) {
	v.Rows++
	at := 0
	for j := range of {
		v.Sums[j] += int64(of[j])
		for i := range of[:j+1] {
			v.Products[at] += int64(of[i]) * int64(of[j])
			at++
		}
	}
}

// empty returns the vector without rows.
func (v *Vector) empty() Vector {
	e := *v
	e.Rows, e.Fourth = 0, 0
	e.Sums, e.Products = make([]int64, numCosines), make([]int64, numCosines*(numCosines+1)/2)
	return e
}

// like reports whether the sums of two vectors can be added.
func (v *Vector) like(o *Vector) bool {
	return v.Kind == o.Kind && v.Tensor == o.Tensor && v.From == o.From && v.Size == o.Size && v.Datatype == o.Datatype && v.Seed == o.Seed && v.Scale == o.Scale
}

// merged returns the vector with the rows of another one. The sums are exact. Fourth is a mean by rows.
func (v *Vector) merged(o *Vector) (Vector, error) {
	if !v.like(o) {
		return Vector{}, infer.Errorf(infer.Invalid, "vector '%.60s' has other cosines in the other profile: build that one with the bins of the first", v.Name)
	}
	m := v.empty()
	m.Rows = v.Rows + o.Rows
	for i := range m.Sums {
		m.Sums[i] = v.Sums[i] + o.Sums[i]
	}
	for i := range m.Products {
		m.Products[i] = v.Products[i] + o.Products[i]
	}
	if m.Rows > 0 {
		a := float64(v.Rows) / float64(m.Rows)
		m.Fourth = v.Fourth*a + o.Fourth*(1-a)
	}
	return m, nil
}

// without returns the vector without the rows of another one, which are among its own. The sums are exact. Fourth has a rounding error, and is
// at least 0.
func (v *Vector) without(o *Vector) (Vector, error) {
	if !v.like(o) {
		return Vector{}, infer.Errorf(infer.Invalid, "vector '%.60s' has other cosines in the part", v.Name)
	}
	if o.Rows > v.Rows {
		return Vector{}, infer.Errorf(infer.Invalid, "vector '%.60s': the part has %d rows, the whole %d", v.Name, o.Rows, v.Rows)
	}
	r := v.empty()
	r.Rows = v.Rows - o.Rows
	for i := range r.Sums {
		r.Sums[i] = v.Sums[i] - o.Sums[i]
	}
	for i := range r.Products {
		r.Products[i] = v.Products[i] - o.Products[i]
	}
	if r.Rows > 0 {
		r.Fourth = max(0, (v.Fourth*float64(v.Rows)-o.Fourth*float64(o.Rows))/float64(r.Rows))
	}
	return r, nil
}

// check returns an error about the first value that is not valid, for a profile with so many sampled rows.
func (v *Vector) check(sampled uint64) error {
	dtype, known := infer.ParseDType(v.Datatype)
	switch {
	case v.Name == "" || v.Tensor == "":
		return errors.New("its name or tensor is missing")
	case v.Kind != KindInput && v.Kind != KindOutput:
		return fmt.Errorf("kind '%.60s'; expected %s or %s", v.Kind, KindInput, KindOutput)
	case v.Size < 2 || v.Size > MaxVectorSize || v.From < 0 || v.From > math.MaxInt32-v.Size:
		return fmt.Errorf("%d elements from %d; expected 2 to %d", v.Size, v.From, MaxVectorSize)
	case v.Datatype != "" && (!known || !numeric(dtype)):
		return fmt.Errorf("datatype '%.60s'; expected numbers", v.Datatype)
	case !(v.Scale > 0 && v.Scale <= math.MaxFloat64):
		return fmt.Errorf("scale %v; expected more than 0", v.Scale)
	case v.Rows > sampled || v.Rows > maxVector:
		return fmt.Errorf("%d rows; expected at most %d", v.Rows, min(sampled, maxVector))
	case len(v.Sums) != numCosines || len(v.Products) != numCosines*(numCosines+1)/2:
		return fmt.Errorf("%d sums and %d products; expected %d and %d", len(v.Sums), len(v.Products), numCosines, numCosines*(numCosines+1)/2)
	case !(v.Fourth >= 0 && v.Fourth <= math.MaxFloat64):
		return fmt.Errorf("a fourth moment of %v; expected 0 or more", v.Fourth)
	}
	rows := int64(v.Rows)
	at := 0
	for j, x := range v.Sums {
		if x > rows*cosineUnit || x < -rows*cosineUnit {
			return fmt.Errorf("sum %d is larger than %d rows can have", j, rows)
		}
		for i := range j + 1 {
			if y := v.Products[at]; y > rows*cosineUnit*cosineUnit || y < -rows*cosineUnit*cosineUnit || i == j && y < 0 {
				return fmt.Errorf("product %d is larger than %d rows can have", at, rows)
			}
			at++
		}
	}
	return nil
}

// checkVectors checks the vectors of a profile.
func (p *Profile) checkVectors() error {
	if len(p.Vectors) > MaxVectors {
		return infer.Errorf(infer.Invalid, "the profile has %d vectors; expected at most %d", len(p.Vectors), MaxVectors)
	}
	type name struct{ kind, name string }
	named := map[name]bool{}
	for i := range p.Vectors {
		v := &p.Vectors[i]
		if err := v.check(uint64(p.Sampled)); err != nil { //nolint:gosec // positive
			return infer.Errorf(infer.Invalid, "vector %d, '%.60s': %v", i+1, v.Name, err)
		}
		if named[name{v.Kind, v.Tensor}] || named[name{v.Kind, "\x00" + v.Name}] {
			return infer.Errorf(infer.Invalid, "two vectors of kind %s are named '%.60s', or of one tensor", v.Kind, v.Name)
		}
		named[name{v.Kind, v.Tensor}], named[name{v.Kind, "\x00" + v.Name}] = true, true
	}
	return nil
}

// fits returns an error if a model does not have the vector.
func (v *Vector) fits(m *infer.Model) error {
	specs := m.Inputs
	if v.Kind == KindOutput {
		specs = m.Outputs
	}
	for i := range specs {
		s := &specs[i]
		switch n, fixed := RowElements(s.Shape); {
		case s.Name != v.Tensor:
			continue
		case !numeric(s.DType):
			return fmt.Errorf("%s '%s' has datatype %v; expected numbers", v.Kind, v.Tensor, s.DType)
		case fixed && n != int64(v.From+v.Size):
			return fmt.Errorf("rows of %s '%s' have %d elements; expected %d", v.Kind, v.Tensor, n, v.From+v.Size)
		}
		return nil
	}
	return fmt.Errorf("the model has no %s '%.60s'", v.Kind, v.Tensor)
}
