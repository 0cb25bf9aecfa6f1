package loadgen

import (
	"bytes"
	"errors"
	"strconv"
)

// answer reads one HTTP/1.1 answer from pieces of any size: its status, and where its body
// ends, which is skipped.
type answer struct {
	status    int // 0 until the head has come
	closes    bool
	remaining int64  // bytes of the body or of a chunk, with the line end after it
	last      bool   // nothing comes after these
	head      []byte // as far as it came in pieces
	line      []byte // that of a chunk's size, likewise
}

const maxHead = 64 << 10

var errAnswer = errors.New("this is not an HTTP/1.1 answer")

func (a *answer) reset() { *a = answer{head: a.head[:0], line: a.line[:0]} }

// feed takes what was received next, and reports whether that completes the answer. Bytes
// after its end are an error: nothing more was asked for.
func (a *answer) feed(b []byte) (done bool, err error) {
	if a.status == 0 {
		if len(a.head) > 0 || !bytes.Contains(b, []byte("\r\n\r\n")) { // rare: it came in pieces
			a.head = append(a.head, b...)
			b = a.head
		}
		head, body, whole := bytes.Cut(b, []byte("\r\n\r\n"))
		switch {
		case !whole && len(b) > maxHead:
			return false, errAnswer
		case !whole:
			return false, nil
		}
		if err := a.parse(head); err != nil {
			return false, err
		}
		b = body
	}
	for len(b) > 0 && (a.remaining > 0 || !a.last) {
		if a.remaining > 0 {
			n := min(a.remaining, int64(len(b)))
			a.remaining, b = a.remaining-n, b[n:]
			continue
		}
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 {
			end = len(b)
		}
		a.line, b = append(a.line, b[:end]...), b[end:]
		if !bytes.HasSuffix(a.line, []byte("\n")) {
			break
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(a.line)), 16, 32)
		if err != nil || size < 0 {
			return false, errAnswer
		}
		a.remaining, a.last, a.line = size+2, size == 0, a.line[:0]
	}
	if len(b) > 0 {
		return false, errAnswer
	}
	return a.remaining == 0 && a.last, nil
}

// parse reads the status line and the fields that matter.
func (a *answer) parse(head []byte) (err error) {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	if len(line) < len("HTTP/1.1 200") || string(line[:9]) != "HTTP/1.1 " {
		return errAnswer
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil || a.status < 200 {
		return errAnswer
	}
	known := false
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		if first := line[0] | 0x20; first != 'c' && first != 't' {
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			a.remaining, err = strconv.ParseInt(string(value), 10, 64)
			known, a.last = err == nil && a.remaining >= 0, true
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			known = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("connection")):
			a.closes = bytes.EqualFold(value, []byte("close"))
		}
	}
	if !known {
		return errAnswer
	}
	return nil
}
