package drift

import (
	"slices"

	"sluice.io/sluice/internal/infer"
)

// expected is how large the evidence of several features together usually is. Its rounds are those of the
// features, and a round counts if no feature differs in it.
type expected struct {
	Usual usual `json:"usual,omitzero"`
	Next  usual `json:"next,omitzero"`
}

// everyCalibrated reports whether all features that can be judged are calibrated.
func (d *Tumbling) everyCalibrated() bool {
	for i := range d.learned {
		if len(d.profile.Features[i].Edges) > 0 && !d.learned[i].calibrated() {
			return false
		}
	}
	return true
}

// weighTogether is weigh for evidence of several features: place is 0 for their means, and 1 more than the paired
// feature's index for its correlations. Such changes are small, so none is gross.
func (d *Tumbling) weighTogether(t *track, place int, logP float64, rows uint64) weighed {
	if d.learned == nil {
		return weighed{logP: logP, promised: true}
	}
	for len(d.expected) <= place {
		d.expected = append(d.expected, expected{})
	}
	e := &d.expected[place]
	said := weighed{logP: logP}
	if e.Usual.Windows > 0 {
		said.logP, said.usual = max(logP, e.Usual.tail(-logP, rows)), e.Usual.contains(-logP, rows)
		said.promised = true
	}
	alarm := t.alarmed() && !t.Unpromised || said.promised && said.logP < d.limits.suspect
	if !alarm {
		e.Next.add(max(0, -logP), rows)
	}
	if d.ending {
		if d.everyCalibrated() {
			e.Usual.merge(&e.Next)
		}
		e.Next = usual{}
	}
	return said
}

// resumeTogether continues from a stored value.
func (d *Tumbling) resumeTogether(list []expected) error {
	if d.learned == nil || len(list) > 1+len(d.profile.Features) {
		return nil
	}
	for i := range list {
		if !list[i].Usual.valid() || !list[i].Next.valid() {
			return infer.Errorf(infer.Invalid, "calibration of several features: its numbers are not valid")
		}
	}
	d.expected = clonedExpected(list)
	return nil
}

func clonedExpected(list []expected) []expected {
	list = slices.Clone(list)
	for i := range list {
		list[i].Usual, list[i].Next = list[i].Usual.clone(), list[i].Next.clone()
	}
	return list
}
