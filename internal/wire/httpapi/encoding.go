package httpapi

import (
	"bytes"

	"sluice.io/sluice/internal/infer"
)

// coding is a content coding of HTTP.
type coding uint8

const (
	identity coding = iota
	gzipCoding
	deflateCoding // the zlib format, RFC 1950, as HTTP defines it
	zstdCoding
	codings // how many there are
)

// acceptedCodings is the list in an answer to an unknown Content-Encoding.
const acceptedCodings = "zstd, gzip, deflate"

// String returns the name in HTTP headers.
func (c coding) String() string {
	switch c {
	case gzipCoding:
		return "gzip"
	case deflateCoding:
		return "deflate"
	case zstdCoding:
		return "zstd"
	default:
		return "identity"
	}
}

// parseContentEncoding parses the coding of a request's body, ignoring case. An empty value and
// identity mean a plain body. A list is refused, since clients have no reason to compress twice.
func parseContentEncoding(value []byte) (coding, error) {
	switch {
	case len(value) == 0 || bytes.EqualFold(value, []byte("identity")):
		return identity, nil
	case bytes.EqualFold(value, []byte("gzip")):
		return gzipCoding, nil
	case bytes.EqualFold(value, []byte("deflate")):
		return deflateCoding, nil
	case bytes.EqualFold(value, []byte("zstd")):
		return zstdCoding, nil
	default:
		return identity, infer.Errorf(infer.Unsupported, "unsupported Content-Encoding '%s', expected one of zstd, gzip, deflate and identity", value)
	}
}

// negotiate picks the coding of an answer from Accept-Encoding (RFC 9110, 12.5.3): the one with the
// highest weight, the first of zstd, gzip and deflate if several have it, and identity if that has a
// higher weight than all. A wildcard alone means identity: it allows compression but does not ask for it.
func negotiate(accept []byte) coding {
	weights := [codings]int{identity: -1, gzipCoding: -1, deflateCoding: -1, zstdCoding: -1}
	for len(accept) > 0 {
		var item []byte
		item, accept, _ = bytes.Cut(accept, []byte{','})
		name, parameters, _ := bytes.Cut(item, []byte{';'})
		name = bytes.TrimSpace(name)
		for c := range codings {
			if bytes.EqualFold(name, []byte(c.String())) {
				weights[c] = weight(parameters)
			}
		}
	}
	best := zstdCoding
	for _, c := range [...]coding{gzipCoding, deflateCoding} {
		if weights[c] > weights[best] {
			best = c
		}
	}
	if weights[best] <= 0 || weights[identity] > weights[best] {
		return identity
	}
	return best
}

// weight returns the q of an item's parameters in thousandths, 1000 if there is none, and 0 if it
// is not valid.
func weight(parameters []byte) int {
	for len(parameters) > 0 {
		var p []byte
		p, parameters, _ = bytes.Cut(parameters, []byte{';'})
		name, value, _ := bytes.Cut(p, []byte{'='})
		if bytes.EqualFold(bytes.TrimSpace(name), []byte{'q'}) {
			return parseWeight(bytes.TrimSpace(value))
		}
	}
	return 1000
}

// parseWeight parses 0 or 1 with up to three decimals.
func parseWeight(s []byte) int {
	if len(s) == 0 || len(s) > len("0.000") || s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return 0
	}
	q, unit := int(s[0]-'0')*1000, 100
	for _, c := range s[min(2, len(s)):] {
		if c < '0' || c > '9' {
			return 0
		}
		q += int(c-'0') * unit
		unit /= 10
	}
	if q > 1000 {
		return 0
	}
	return q
}
