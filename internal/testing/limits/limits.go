// Package limits has the default limits of the configuration, for tests.
package limits

import "sluice.io/sluice/internal/wire/oip"

// Tensors returns the limits of the tensors of a request.
func Tensors() oip.Limits {
	return oip.Limits{
		MaxInputs: 1024, MaxOutputs: 1024, MaxRank: 32, MaxNesting: 100, MaxParameters: 128,
		MaxIDBytes: 1 << 10, MaxNameBytes: 1 << 10, MaxStickyKeyBytes: 1 << 10, MaxTensorBytes: 64 << 20, MaxClassified: 1_000_000,
	}
}
