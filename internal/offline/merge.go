package offline

import (
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/estimate"
	"sluice.io/sluice/internal/infer"
)

// MergeProfiles returns the profile of the rows of all profiles, of which there is at least one. Bins and
// labels are counted exactly as in a profile of all rows with the same bins. Errors are Invalid: the
// profiles are not about the same features, bins, or predictions.
func MergeProfiles(list []*Profile) (*Profile, error) {
	sum := list[0]
	for _, p := range list[1:] {
		merged, err := drift.Merge(sum, p)
		if err != nil {
			return nil, err
		}
		if (len(sum.Performance) == 0) != (len(p.Performance) == 0) {
			return nil, infer.Errorf(infer.Invalid, "only some of the profiles have labels; build all with --label, or none")
		}
		if len(sum.Performance) > 0 {
			if merged.Performance, err = mergedPerformance(sum.Performance, p.Performance); err != nil {
				return nil, err
			}
		}
		sum = merged
	}
	return sum, nil
}

// mergedPerformance adds what two profiles know of labels.
func mergedPerformance(a, b []byte) ([]byte, error) {
	sum, err := estimate.Decode(a)
	if err != nil {
		return nil, err
	}
	more, err := estimate.Decode(b)
	if err != nil {
		return nil, err
	}
	if err := sum.Merge(more); err != nil {
		return nil, err
	}
	return sum.Encode()
}
