// Package slot is the rule that turns a sticky key into a slot. Whoever keeps to
// it knows beforehand which version a key is served by; the file slots.json in the
// repository's testdata holds values to check against.
package slot

import (
	"github.com/zeebo/xxh3"

	"sluice.io/sluice/api"
)

// separator stands between seed and key, so that "ab" + "c" is not "a" + "bc".
const separator = 0x1f

// Slot returns the slot of a key, from 0 up to api.TotalWeight exclusively:
//
//	((xxh3_64(seed ‖ 0x1f ‖ key) >> 32) · 10000) >> 32
//
// The hash's upper half is scaled by a multiplication instead of a remainder: all
// of its bits count, and no slot is larger than another by more than one part in
// 400,000. It never allocates.
func Slot(seed, key string) int {
	var small [256]byte // most; a larger one would cost more to clear than the hash
	n := len(seed) + 1 + len(key)
	if n > len(small) {
		return slotSlow(seed, key)
	}
	copy(small[:], seed)
	small[len(seed)] = separator
	copy(small[len(seed)+1:], key)
	return scale(xxh3.Hash(small[:n]))
}

// slotSlow hashes piece by piece, in a hasher that is larger than most keys.
func slotSlow(seed, key string) int {
	var h xxh3.Hasher
	_, _ = h.WriteString(seed)
	_, _ = h.WriteString(string([]byte{separator}))
	_, _ = h.WriteString(key)
	return scale(h.Sum64())
}

func scale(hash uint64) int { return int((hash >> 32) * api.TotalWeight >> 32) }
