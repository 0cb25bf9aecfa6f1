package main

import "gonum.org/v1/gonum/mathext"

// interval returns the exact 95 % interval of a share, that of Clopper and Pearson, of
// which n in total were seen.
func interval(n, total int) (low, high float64) {
	high = 1
	if n > 0 {
		low = mathext.InvRegIncBeta(float64(n), float64(total-n)+1, 0.025)
	}
	if n < total {
		high = mathext.InvRegIncBeta(float64(n)+1, float64(total-n), 0.975)
	}
	return low, high
}
