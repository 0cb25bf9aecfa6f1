package main

import "gonum.org/v1/gonum/mathext"

// interval returns the exact 95 % interval of a share, that of Clopper and Pearson, of
// which n in total were seen.
func interval(n, total float64) (low, high float64) {
	high = 1
	if n > 0 {
		low = mathext.InvRegIncBeta(n, total-n+1, 0.025)
	}
	if n < total {
		high = mathext.InvRegIncBeta(n+1, total-n, 0.975)
	}
	return low, high
}
