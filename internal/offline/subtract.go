package offline

import (
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/estimate"
	"sluice.io/sluice/internal/infer"
)

// SubtractProfiles returns the profile of the rows of whole without those of part, and what is only a bound in
// it. It is the inverse of MergeProfiles. Errors are Invalid: the profiles are not about the same features,
// bins or predictions, or part is not a part of whole.
func SubtractProfiles(whole, part *Profile) (*drift.Subtracted, error) {
	rest, err := drift.Subtract(whole, part)
	if err != nil {
		return nil, err
	}
	if (len(whole.Performance) == 0) != (len(part.Performance) == 0) {
		return nil, infer.Errorf(infer.Invalid, "only one of the profiles has labels; build both with --label, or none")
	}
	if len(whole.Performance) > 0 {
		if rest.Profile.Performance, err = subtractedPerformance(whole.Performance, part.Performance); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// subtractedPerformance subtracts what a part knows of labels.
func subtractedPerformance(whole, part []byte) ([]byte, error) {
	rest, err := estimate.Decode(whole)
	if err != nil {
		return nil, err
	}
	fewer, err := estimate.Decode(part)
	if err != nil {
		return nil, err
	}
	if err := rest.Subtract(fewer); err != nil {
		return nil, err
	}
	return rest.Encode()
}
