package parity

import "math"

// ksTest returns the two-sided p-value of the Kolmogorov-Smirnov test of two samples as scipy does: the exact
// one for up to 10,000 values, else that of one sample of n·m/(n+m) values.
func ksTest(a, b []float64) float64 {
	const exact = 10_000
	n, m, d := len(a), len(b), kolmogorovSmirnov(a, b)
	if max(n, m) <= exact {
		return ksExact(n, m, d)
	}
	return ksTail(int(math.RoundToEven(float64(n)*float64(m)/float64(n+m))), d)
}

// ksExact returns P(D >= d) over all orders of the values of two samples (Hodges, Arkiv för Matematik 3, 1958): the
// share of lattice paths from (0, 0) to (n, m) that leave the band.
func ksExact(n, m int, d float64) float64 {
	if d <= 0 {
		return 1
	}
	least := d - 0.5/(float64(n)*float64(m)) // differences are multiples of twice as much
	outside := func(i, j int) bool { return math.Abs(float64(i)/float64(n)-float64(j)/float64(m)) >= least }
	paths := make([]float64, m+1) // by j, for one i: the share of the paths to (i, j) that were outside
	for i := range n + 1 {
		for j := range m + 1 {
			switch {
			case outside(i, j):
				paths[j] = 1
			case i == 0 && j == 0:
				paths[j] = 0
			case j == 0: // from (i-1, 0) alone
			case i == 0:
				paths[j] = paths[j-1]
			default:
				from := float64(i) / float64(i+j)
				paths[j] = from*paths[j] + (1-from)*paths[j-1]
			}
		}
	}
	return paths[m]
}

// ksTail returns P(D_n > d) for one sample of n values (Simard and L'Ecuyer, Journal of Statistical Software 39,
// 2011): twice the one-sided tail if it is so small that both sides hardly happen together, the matrix of
// Marsaglia, Tsang and Wang (2003) for small n, and the series of Pelz and Good (1976) for others.
func ksTail(n int, d float64) float64 {
	const small = 140
	least := 2.2 // of n d², from which on both sides hardly happen together
	if n <= small {
		least = 4
	}
	switch {
	case d <= 0.5/float64(n):
		return 1
	case d >= 1:
		return 0
	case float64(n)*d*d >= least:
		return min(1, 2*oneSided(n, d))
	case n <= small:
		return max(0, 1-ksMatrix(n, d))
	default:
		return max(0, 1-pelzGood(n, d))
	}
}

// oneSided returns P(D_n+ >= d) (Birnbaum and Tingey 1951).
func oneSided(n int, d float64) (p float64) {
	size := float64(n)
	all, _ := math.Lgamma(size + 1)
	for j := range int(math.Floor(size*(1-d))) + 1 {
		x := d + float64(j)/size
		left := size - float64(j)
		chosen, _ := math.Lgamma(float64(j) + 1)
		others, _ := math.Lgamma(left + 1)
		log := all - chosen - others + (float64(j)-1)*math.Log(x)
		if rest := 1 - x; rest > 0 {
			log += left * math.Log(rest)
		} else if left > 0 {
			continue
		}
		p += math.Exp(log)
	}
	return p * d
}

// ksMatrix returns P(D_n < d).
func ksMatrix(n int, d float64) float64 {
	k := int(float64(n)*d) + 1
	size, h := 2*k-1, float64(k)-float64(n)*d
	m := make([][]float64, size)
	for i := range m {
		m[i] = make([]float64, size)
		for j := range m[i] {
			if i-j+1 >= 0 {
				m[i][j] = 1
			}
		}
	}
	for i := range size {
		m[i][0] -= math.Pow(h, float64(i+1))
		m[size-1][i] -= math.Pow(h, float64(size-i))
	}
	if 2*h-1 > 0 {
		m[size-1][0] += math.Pow(2*h-1, float64(size))
	}
	for i := range m {
		for j := range m[i] {
			for g := 1; g <= i-j+1; g++ {
				m[i][j] /= float64(g)
			}
		}
	}
	p := 1.0
	row := make([]float64, size)
	row[k-1] = 1
	for i := 1; i <= n; i++ { // a row of the n-th power, times n!/n^n
		next := make([]float64, size)
		for a, x := range row {
			for b := range next {
				next[b] += x * m[a][b]
			}
		}
		for b := range next {
			next[b] *= float64(i) / float64(n)
		}
		row = next
	}
	return p * row[k-1]
}

// pelzGood returns P(D_n < d) for large n: the limit of Kolmogorov with three terms in 1/√n.
func pelzGood(n int, d float64) float64 {
	root := math.Sqrt(float64(n))
	z := root * d
	z2, z4, z6 := z*z, math.Pow(z, 4), math.Pow(z, 6)
	pi2, pi4, pi6 := math.Pi*math.Pi, math.Pow(math.Pi, 4), math.Pow(math.Pi, 6)
	var k0, k1, k2, k2b, k3, k3b float64
	const terms = 20
	for k := range terms {
		half := float64(k) + 0.5
		h2 := half * half
		e := math.Exp(-pi2 * h2 / (2 * z2))
		k0 += e
		k1 += (pi2*h2 - z2) * e
		k2 += (6*z6 + 2*z4 + pi2*(2*z4-5*z2)*h2 + pi4*(1-2*z2)*h2*h2) * e
		k3 += (pi6*math.Pow(half, 6)*(5-30*z2) + pi4*h2*h2*(-60*z2+212*z4) + pi2*h2*(135*z4-96*z6) - (30*z6 + 90*z4*z4)) * e
	}
	for k := 1; k <= terms; k++ {
		h2 := float64(k * k)
		e := math.Exp(-pi2 * h2 / (2 * z2))
		k2b += pi2 * h2 * e
		k3b += (-pi4*h2*h2 + 3*pi2*h2*z2) * e
	}
	s2 := math.Sqrt(2 * math.Pi)
	half := math.Sqrt(math.Pi / 2)
	sum := k0*s2/z + k1*half/(3*z4*root)
	sum += (k2*half/(36*math.Pow(z, 7)) - k2b*half/(18*z*z2)) / float64(n)
	sum += (k3*half/(3240*math.Pow(z, 10)) + k3b*half/(108*z6)) / (float64(n) * root)
	return sum
}
