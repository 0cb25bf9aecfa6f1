package httpapi

import (
	"bytes"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// header has the header fields that the data plane reads. The slices are views of the connection's
// buffer; nil means that a field is absent.
type header struct {
	requestID       []byte
	traceparent     []byte
	tracestate      []byte
	authorization   []byte
	contentType     []byte
	contentEncoding []byte
	acceptEncoding  []byte
	jsonLength      []byte // Inference-Header-Content-Length
	override        []byte // Sluice-Override
	contentLength   []byte
	origin          []byte
	fetchSite       []byte // Sec-Fetch-Site

	transferEncoding bool
}

// scan parses the header block as received, in one pass. fasthttp has already parsed it, but
// accepts forms that two parsers may frame differently: Content-Length together with chunks (RFC
// 9112, 6.3), the identity coding, folded lines (5.2), lines that end without a CR (2.2). Such a
// request is Invalid, and its connection must be closed.
func (h *header) scan(block []byte) error {
	var err error
	for len(block) > 0 {
		end := bytes.IndexByte(block, '\n')
		line, rest := block, []byte(nil)
		if end >= 0 {
			line, rest = block[:end], block[end+1:]
		}
		block = rest
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			err = infer.Errorf(infer.Invalid, "folded header lines are obsolete and not accepted")
			continue
		}
		if len(line) == 0 || line[len(line)-1] != '\r' {
			err = infer.Errorf(infer.Invalid, "a header line ends with a bare line feed; lines end with CR and LF")
		}
		colon := nameEnd(line)
		if colon < 0 {
			if bytes.IndexByte(line, ':') >= 0 {
				err = infer.Errorf(infer.Invalid, "a header's name has a blank or a control character")
			}
			continue // or the empty line at the end
		}
		if ferr := h.field(line[:colon], trim(line[colon+1:])); ferr != nil {
			err = ferr
		}
	}
	if h.contentLength != nil && h.transferEncoding {
		err = infer.Errorf(infer.Invalid, "Content-Length and Transfer-Encoding must not be sent together")
	}
	return err
}

// field takes one line.
func (h *header) field(name, value []byte) error {
	switch len(name) {
	case len("origin"):
		if isField(name, "origin") {
			h.origin = value
		}
	case len("tracestate"):
		if isField(name, "tracestate") {
			h.tracestate = joinList(h.tracestate, value)
		}
	case len("traceparent"):
		if isField(name, "traceparent") {
			h.traceparent = value
		}
	case len("x-request-id"): // and of content-type
		if isField(name, "x-request-id") {
			h.requestID = value
		} else if isField(name, "content-type") {
			h.contentType = value
		}
	case len("authorization"):
		if isField(name, "authorization") {
			if h.authorization != nil {
				return infer.Errorf(infer.Invalid, "more than one Authorization header")
			}
			h.authorization = value
		}
	case len("content-length"): // and of sec-fetch-site
		if isField(name, "content-length") {
			h.contentLength = value
		} else if isField(name, "sec-fetch-site") {
			h.fetchSite = value
		}
	case len("accept-encoding"): // and of sluice-override
		if isField(name, "accept-encoding") {
			h.acceptEncoding = joinList(h.acceptEncoding, value)
		} else if isField(name, "sluice-override") {
			if h.override != nil {
				return infer.Errorf(infer.Invalid, "more than one Sluice-Override header")
			}
			h.override = value
		}
	case len("content-encoding"):
		if isField(name, "content-encoding") {
			h.contentEncoding = joinList(h.contentEncoding, value)
		}
	case len("transfer-encoding"):
		if isField(name, "transfer-encoding") {
			h.transferEncoding = true
			if !bytes.EqualFold(value, []byte("chunked")) {
				return infer.Errorf(infer.Invalid, "Transfer-Encoding must be chunked or absent")
			}
		}
	case len("inference-header-content-length"):
		if isField(name, "inference-header-content-length") {
			if h.jsonLength != nil {
				return infer.Errorf(infer.Invalid, "more than one Inference-Header-Content-Length header")
			}
			h.jsonLength = value
		}
	}
	return nil
}

// claims reports whether the Content-Length is more than limit. fasthttp has checked that it is one
// number.
func (h *header) claims(limit int) bool {
	n := 0
	for _, c := range h.contentLength {
		if n = 10*n + int(c-'0'); n > limit {
			return true
		}
	}
	return false
}

// nameEnd returns the index of the colon after a field's name, -1 if there is none or if a
// character before it is a blank or not printable ASCII.
func nameEnd(line []byte) int {
	for i, c := range line {
		switch {
		case c == ':':
			return i
		case c <= ' ' || c > '~':
			return -1
		}
	}
	return -1
}

// trim returns a field's value without the blanks around it. It is not nil even if it is empty,
// since the field is there.
func trim(value []byte) []byte {
	for len(value) > 0 && isBlank(value[0]) {
		value = value[1:]
	}
	for len(value) > 0 && isBlank(value[len(value)-1]) {
		value = value[:len(value)-1]
	}
	return value
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

// isField compares a field's name with a lower-case one of the same length. Characters of a name
// that are not letters already have the bit 0x20 set.
func isField(name []byte, lower string) bool {
	for i := range name {
		if name[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}

// joinList joins the values of a repeated field into one list (RFC 9110, 5.3).
func joinList(list, value []byte) []byte {
	if list == nil {
		return value
	}
	return slices.Concat(list, []byte(","), value)
}
