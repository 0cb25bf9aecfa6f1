package oip

import (
	"fmt"

	"sluice.io/sluice/internal/infer"
)

// problem is an error in a request. Its path grows from the inside out while the readers return:
// "[5]", "data[5]", "inputs[0].data[5]". nil means no problem.
type problem struct {
	code infer.Code
	path string
	msg  string
	// cause is an error that is returned unchanged; the other fields are then unused.
	cause error
}

func invalid(format string, args ...any) *problem {
	return &problem{code: infer.Invalid, msg: fmt.Sprintf(format, args...)}
}

// in adds to the path of p that it is inside the named member.
func (p *problem) in(member string) *problem {
	if p == nil {
		return nil
	}
	if p.path != "" && p.path[0] != '[' {
		member += "."
	}
	p.path = member + p.path
	return p
}

// at adds to the path of p that it is inside element i of an array.
func (p *problem) at(i int) *problem {
	if p == nil {
		return nil
	}
	return p.in(fmt.Sprintf("[%d]", i))
}

// err returns p as the error for the caller.
func (p *problem) err() error {
	if p == nil {
		return nil
	}
	if p.cause != nil {
		return p.cause
	}
	msg := p.msg
	if p.path != "" {
		msg = p.path + ": " + msg
	}
	return &infer.Error{Code: p.code, Msg: msg}
}

// excerpt returns the beginning of text for a message.
func excerpt(text []byte) string {
	const longest = 40
	if len(text) <= longest {
		return string(text)
	}
	return string(text[:longest]) + "…"
}
