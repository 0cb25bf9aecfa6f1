package front

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"sync/atomic"
)

// MaxRequestID is the max length of a caller's id in bytes.
const MaxRequestID = 128

// requestIDs makes ids that are unique among all servers: random digits of this server, and a
// count. This is far cheaper than a random id for each request.
type requestIDs struct {
	prefix [17]byte
	count  atomic.Uint64
}

func newRequestIDs() *requestIDs {
	g := &requestIDs{}
	var random [8]byte
	rand.Read(random[:])
	hex.Encode(g.prefix[:], random[:])
	g.prefix[16] = '-'
	return g
}

// append appends the caller's id if it is valid, otherwise a new one.
func (g *requestIDs) append(dst, given []byte) []byte {
	if validRequestID(given) {
		return append(dst, given...)
	}
	dst = append(dst, g.prefix[:]...)
	return strconv.AppendUint(dst, g.count.Add(1), 16)
}

// validRequestID accepts ids that need no quoting in a header, a log or a shell.
func validRequestID(id []byte) bool {
	if len(id) == 0 || len(id) > MaxRequestID {
		return false
	}
	for _, c := range id {
		switch {
		case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
		case c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=', c == '@', c == '~':
		default:
			return false
		}
	}
	return true
}
