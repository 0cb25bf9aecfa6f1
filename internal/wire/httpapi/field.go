package httpapi

import (
	"bytes"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// field returns the value of a header without the blanks around it, nil if the header is absent.
// The error is Invalid if it is there more than once. It is for names that only a route or an
// endpoint uses; scan reads those of every request in one pass.
func (x *exchange) field(name string) (value []byte, err error) {
	seen := false
	for block := x.ctx.Request.Header.RawHeaders(); len(block) > 0; {
		var line []byte
		line, block, _ = bytes.Cut(block, []byte{'\n'})
		given, v, ok := bytes.Cut(line, []byte{':'})
		if !ok || len(given) != len(name) || !strings.EqualFold(view(given), name) {
			continue
		}
		if seen {
			return nil, infer.Errorf(infer.Invalid, "header '%s' is given more than once", name)
		}
		value, seen = bytes.Trim(v, " \t\r"), true
	}
	return value, nil
}
