package tabular

import (
	"errors"
	"io"
)

// errRowTooLong ends a row that would fill the memory.
var errRowTooLong = errors.New("the row is too long")

// guard bounds the bytes that one row may read. encoding/csv keeps a row until its end, and a quote
// that is never closed moves that to the end of the file.
type guard struct {
	r    io.Reader
	read int64 // bytes so far
	most int64 // the max of read
}

// Read implements io.Reader.
func (g *guard) Read(p []byte) (int, error) {
	room := g.most - g.read
	if room <= 0 {
		return 0, errRowTooLong
	}
	n, err := g.r.Read(p[:min(int64(len(p)), room)])
	g.read += int64(n)
	return n, err
}
