package loadgen

import (
	"bytes"
	"errors"
	"strconv"
)

// answer reads one HTTP/1.1 answer from pieces of any size: its status, and how long its
// body is, which is skipped. All servers that are measured send Content-Length.
type answer struct {
	status    int // 0 until the head has come
	closes    bool
	remaining int64  // bytes of the body
	head      []byte // as far as it came in pieces
}

const maxHead = 64 << 10

var errAnswer = errors.New("this is not an HTTP/1.1 answer with Content-Length")

func (a *answer) reset() { *a = answer{head: a.head[:0]} }

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
	if a.remaining -= int64(len(b)); a.remaining < 0 {
		return false, errAnswer
	}
	return a.remaining == 0, nil
}

// parse reads the status line and the two fields that matter.
func (a *answer) parse(head []byte) (err error) {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	if len(line) < len("HTTP/1.1 200") || string(line[:9]) != "HTTP/1.1 " {
		return errAnswer
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil || a.status < 200 {
		return errAnswer
	}
	a.remaining = -1
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		if line[0]|0x20 != 'c' {
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if a.remaining, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return errAnswer
			}
		case bytes.EqualFold(name, []byte("connection")):
			a.closes = bytes.EqualFold(value, []byte("close"))
		}
	}
	if a.remaining < 0 {
		return errAnswer
	}
	return nil
}
