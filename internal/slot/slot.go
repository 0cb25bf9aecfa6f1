// Package slot maps a sticky key to a slot. The rule is published, so that a client can compute
// which version serves a key. The file slots.json in the repository's testdata has values to
// check against.
package slot

import (
	"github.com/zeebo/xxh3"

	"sluice.io/sluice/api"
)

// separator separates seed and key, so that "ab" + "c" differs from "a" + "bc".
const separator = 0x1f

// Slot returns the slot of a key, 0 or more and less than api.TotalWeight:
//
//	((xxh3_64(seed ‖ 0x1f ‖ key) >> 32) · 10000) >> 32
//
// The hash's upper half is scaled by a multiplication instead of a remainder: all of its bits
// count, and no slot is larger than another by more than one part in 400,000. It never
// allocates.
func Slot(seed, key string) int {
	var small [256]byte // large enough for most; to clear a larger one would cost more than the hash
	n := len(seed) + 1 + len(key)
	if n > len(small) {
		return slotSlow(seed, key)
	}
	copy(small[:], seed)
	small[len(seed)] = separator
	copy(small[len(seed)+1:], key)
	return scale(xxh3.Hash(small[:n]))
}

// slotSlow hashes in pieces, in a hasher that is larger than most keys.
func slotSlow(seed, key string) int {
	var h xxh3.Hasher
	_, _ = h.WriteString(seed)
	_, _ = h.WriteString(string([]byte{separator}))
	_, _ = h.WriteString(key)
	return scale(h.Sum64())
}

func scale(hash uint64) int { return int((hash >> 32) * api.TotalWeight >> 32) }

// Sampled reports whether a sample has a request. share is of api.TotalWeight. Predictions that
// are kept for labels and captured traffic have the same requests if their shares are equal.
func Sampled(requestID string, share int) bool {
	return share >= api.TotalWeight || Slot("labels", requestID) < share
}
