package callers

import (
	"net"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"sluice.io/sluice/internal/infer"
)

// To verify a token takes far longer than to make one up. So a refused token is remembered for a
// short time, and an address whose tokens are refused too often must wait before another unknown one is
// verified. Keys are not concerned: to look one up takes only its digest. Nor are tokens that were accepted before.
const (
	rememberRefusal = 5 * time.Second // short, since the keys of an issuer may have changed
	maxRefusals     = 4096            // refused tokens that are remembered
	maxAddresses    = 4096            // addresses whose refusals are counted
	refusalBurst    = 100             // refusals of an address at once
	refusalsASecond = 10
)

// refusal is why a token was refused.
type refusal struct {
	err   error
	until time.Time
}

// refusals are what a Book remembers of refused tokens.
type refusals struct {
	tokens    *lru.Cache[Key, refusal]
	addresses *lru.Cache[netip.Addr, *rate.Limiter] // a later book has the same
}

func newRefusals(before *refusals) (*refusals, error) {
	tokens, err := lru.New[Key, refusal](maxRefusals)
	if err != nil {
		return nil, err
	}
	if before != nil {
		return &refusals{tokens, before.addresses}, nil
	}
	addresses, err := lru.New[netip.Addr, *rate.Limiter](maxAddresses)
	return &refusals{tokens, addresses}, err
}

// check returns an error if a token need not be verified: it was refused a short time ago, or too many of
// the address were.
func (r *refusals) check(token Key, from netip.Addr, now time.Time) error {
	if known, ok := r.tokens.Get(token); ok && now.Before(known.until) {
		return known.err
	}
	if l, ok := r.addresses.Get(from); ok && l.TokensAt(now) < 1 {
		return &infer.Error{Code: infer.Overloaded, RetryAfter: time.Second, Msg: "too many tokens from this address were refused, try again later"}
	}
	return nil
}

// add remembers that a token was refused.
func (r *refusals) add(token Key, from netip.Addr, err error, now time.Time) {
	r.tokens.Add(token, refusal{err, now.Add(rememberRefusal)})
	l := rate.NewLimiter(refusalsASecond, refusalBurst)
	if other, ok, _ := r.addresses.PeekOrAdd(from, l); ok {
		l = other
	}
	l.AllowN(now, 1)
}

// addressOf returns whose refusals are counted together: an address, or a network of IPv6, where everybody has many
// addresses. It is the zero Addr for an address of another kind.
func addressOf(remote net.Addr) netip.Addr {
	if remote == nil {
		return netip.Addr{}
	}
	host, _, err := net.SplitHostPort(remote.String())
	if err != nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	if a = a.Unmap(); a.Is6() {
		network, _ := a.WithZone("").Prefix(64) // it is not too long
		return network.Addr()
	}
	return a
}
