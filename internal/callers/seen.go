package callers

import (
	"crypto/subtle"
	"hash/maphash"
	"sync/atomic"
	"time"
)

// seenSlots is how many accepted headers are remembered. It is a power of two.
const seenSlots = 1024

// seen remembers headers that were accepted: a digest of each key would cost more than all other
// decisions about a request together, and a token's signature far more. A header has one slot, which
// another one with the same hash takes over. The seed is random, so that nobody can choose whose.
type seen struct {
	seed  maphash.Seed
	slots [seenSlots]atomic.Pointer[accepted]
}

// accepted is a header and whose it is. It is as secret as the key in it.
type accepted struct {
	authorization string
	caller        *Caller
	until         time.Time // zero for a key, which does not expire
}

func newSeen() *seen { return &seen{seed: maphash.MakeSeed()} }

func (s *seen) slot(authorization []byte) *atomic.Pointer[accepted] {
	return &s.slots[maphash.Bytes(s.seed, authorization)%seenSlots]
}

// get returns the caller of a header, nil if it is not remembered. stale says that the header was accepted and must be
// verified again.
func (s *seen) get(authorization []byte) (c *Caller, stale bool) {
	a := s.slot(authorization).Load()
	if a == nil || !a.is(authorization) {
		return nil, false
	}
	if !a.until.IsZero() && !time.Now().Before(a.until) {
		return nil, true
	}
	return a.caller, false
}

// is compares in a time that reveals only the length.
func (a *accepted) is(authorization []byte) bool {
	if len(authorization) != len(a.authorization) {
		return false
	}
	different := byte(0)
	for i := range authorization {
		different |= authorization[i] ^ a.authorization[i]
	}
	return subtle.ConstantTimeByteEq(different, 0) == 1
}

// put remembers a header, until a time if it is not zero.
func (s *seen) put(authorization []byte, c *Caller, until time.Time) {
	s.slot(authorization).Store(&accepted{string(authorization), c, until})
}
