package drift

import (
	"math"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// Learned is what a stream has learned of clean windows, for a later watch of the stream, or for another
// version of its model.
type Learned struct {
	Round    round            `json:"round"`
	Features []LearnedFeature `json:"features"`
	Together []expected       `json:"together,omitempty"`
	Vectors  []LearnedVector  `json:"vectors,omitempty"`
}

// LearnedVector is what was learned of a vector.
type LearnedVector struct {
	Kind string `json:"kind,omitempty"`
	Name string `json:"name,omitempty"`
	vectorStatus
}

// LearnedFeature is what was learned of a feature.
type LearnedFeature struct {
	Kind     string  `json:"kind"`
	Name     string  `json:"name"`
	Mean     float64 `json:"mean"` // of the reference
	Variance float64 `json:"variance"`
	Few      bool    `json:"few,omitempty"` // its values are few
	learned
}

// LearnedOf returns what a state has learned, nil if that is nothing. It shares memory with the state.
func LearnedOf(p *Profile, s *Snapshot) *Learned {
	if len(s.Learned) != len(p.Features) {
		return nil
	}
	l := &Learned{Round: s.Round, Together: s.Expected, Features: make([]LearnedFeature, len(p.Features))}
	for i := range s.Vectors {
		v := &s.Vectors[i]
		l.Vectors = append(l.Vectors, LearnedVector{p.Vectors[i].Kind, p.Vectors[i].Name, vectorStatus{Usual: v.Usual, From: v.From, Next: v.Next, Pool: v.Pool, Differs: v.Differs}})
	}
	for i := range p.Features {
		f := &p.Features[i]
		l.Features[i] = LearnedFeature{Kind: f.Kind, Name: f.Name, Mean: f.Mean, Variance: f.Variance, Few: f.Values != nil, learned: s.Learned[i]}
	}
	return l
}

// Resume makes a state continue with what was learned with the same profile.
func (l *Learned) Resume(s *Snapshot, p *Profile) error {
	if len(l.Features) != len(p.Features) {
		return infer.Errorf(infer.Invalid, "a calibration of %d features for a profile with %d", len(l.Features), len(p.Features))
	}
	list := make([]learned, len(p.Features))
	for i := range l.Features {
		x, f := &l.Features[i], &p.Features[i]
		if x.Kind != f.Kind || x.Name != f.Name {
			return infer.Errorf(infer.Invalid, "a calibration of %s %.60s for %s %.60s of the profile", x.Kind, x.Name, f.Kind, f.Name)
		}
		list[i] = x.learned
	}
	s.Learned, s.Round, s.Expected = list, l.Round, l.Together
	if len(l.Vectors) == len(p.Vectors) && len(s.Vectors) <= len(l.Vectors) {
		vectors := make([]vectorStatus, len(l.Vectors))
		copy(vectors, s.Vectors)
		for i := range vectors {
			v, from := &vectors[i], &l.Vectors[i]
			v.Usual, v.From, v.Next, v.Pool, v.Differs = from.Usual, from.From, from.Next, from.Pool, from.Differs
		}
		s.Vectors = vectors
	}
	return nil
}

// Inherit gives a state what was learned of another version or with another profile, for features that are
// comparable. It returns their number. The first clean round takes its place.
func (l *Learned) Inherit(s *Snapshot, p *Profile, version int64) (n int) {
	list := make([]learned, len(p.Features))
	for i := range p.Features {
		for j := range l.Features {
			if x := &l.Features[j]; x.comparable(&p.Features[i]) && x.calibrated() {
				list[i] = learned{Usual: x.Usual.clone(), From: version}
				n++
				break
			}
		}
	}
	if n > 0 {
		s.Learned, s.Round = list, round{}
		l.inheritVectors(s, p, version)
	}
	return n
}

// inheritVectors gives vectors how much evidence is usual. Its sums are of other cosines, so they are left.
func (l *Learned) inheritVectors(s *Snapshot, p *Profile, version int64) {
	list := make([]vectorStatus, len(p.Vectors))
	for i := range p.Vectors {
		kind, name := p.Vectors[i].Kind, p.Vectors[i].Name
		at := slices.IndexFunc(l.Vectors, func(v LearnedVector) bool { return v.Kind == kind && v.Name == name })
		if at >= 0 && l.comparable(p, kind, name+" norm") && l.comparable(p, kind, name+" mean") {
			list[i] = vectorStatus{Usual: l.Vectors[at].Usual.clone(), From: version}
		}
	}
	if len(list) > 0 {
		s.Vectors = list
	}
}

// comparable reports whether what was learned of a feature is of one that is like that of a profile.
func (l *Learned) comparable(p *Profile, kind, name string) bool {
	at := slices.IndexFunc(l.Features, func(x LearnedFeature) bool { return x.Kind == kind && x.Name == name })
	of := slices.IndexFunc(p.Features, func(f Feature) bool { return f.Kind == kind && f.Name == name })
	return at >= 0 && of >= 0 && l.Features[at].comparable(&p.Features[of])
}

// comparable reports whether evidence against two features is comparable: they have the same name, and
// their references are alike.
func (x *LearnedFeature) comparable(f *Feature) bool {
	if x.Kind != f.Kind || x.Name != f.Name || x.Few != (f.Values != nil) {
		return false
	}
	const shift, spread = 0.25, 1.25
	a, b := math.Sqrt(max(0, x.Variance)), math.Sqrt(max(0, f.Variance))
	return math.Abs(x.Mean-f.Mean) <= shift*b && a <= spread*b && b <= spread*a
}
