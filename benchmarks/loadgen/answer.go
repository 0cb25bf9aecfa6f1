package loadgen

import (
	"bytes"
	"errors"
	"math"
)

// answer reads one HTTP/1.1 answer from pieces of any size. It keeps the status
// and skips the body. Nothing of what it is given is kept, apart from a head that
// came in parts.
type answer struct {
	status int
	closes bool // the server will close the connection, or no length was given

	state     answerState
	remaining int64  // bytes of the body or of a chunk
	partial   []byte // a head, or a chunk's line, as far as it came
}

type answerState uint8

const (
	inHead      answerState = iota
	inBody                  // remaining bytes of it are to come
	untilClosed             // it ends with the connection
	inChunkLine
	inChunk   // remaining bytes with the line end after them
	inTrailer // lines up to an empty one
	atEnd
)

// The longest head and the longest line of a chunk.
const (
	maxHead = 64 << 10
	maxLine = 4 << 10
)

var errAnswer = errors.New("this is no HTTP/1.1 answer")

// reset prepares for the next answer. The buffer stays.
func (a *answer) reset() {
	a.status, a.closes, a.state, a.remaining, a.partial = 0, false, inHead, 0, a.partial[:0]
}

// feed takes what was received next. It returns how many bytes belong to this
// answer; done says that it is complete.
func (a *answer) feed(b []byte) (used int, done bool, err error) {
	for a.state != atEnd {
		if a.state == untilClosed {
			return used + len(b), false, nil
		}
		n, err := a.step(b)
		if err != nil {
			return used, false, err
		}
		used += n
		b = b[n:]
		if len(b) == 0 {
			break
		}
	}
	return used, a.state == atEnd, nil
}

// closed tells that the connection has ended, and returns whether that completes
// the answer.
func (a *answer) closed() bool { return a.state == untilClosed }

// step takes what it can of b in its present state.
func (a *answer) step(b []byte) (n int, err error) {
	switch a.state {
	case inHead:
		head, n, err := a.until(b, "\r\n\r\n", maxHead)
		if err != nil || head == nil {
			return n, err
		}
		err = a.head(head)
		a.partial = a.partial[:0]
		return n, err
	case inBody, inChunk:
		n := int(min(a.remaining, int64(len(b))))
		if a.remaining -= int64(n); a.remaining == 0 {
			if a.state == inBody {
				a.state = atEnd
			} else {
				a.state = inChunkLine
			}
		}
		return n, nil
	default: // inChunkLine, inTrailer
		line, n, err := a.until(b, "\r\n", maxLine)
		if err != nil || line == nil {
			return n, err
		}
		err = a.line(line)
		a.partial = a.partial[:0]
		return n, err
	}
}

// until returns the bytes up to an end, with it, and how many of b they take. It
// returns nil if the end is still to come, and keeps what there is.
func (a *answer) until(b []byte, end string, limit int) (text []byte, n int, err error) {
	if len(a.partial) == 0 {
		if i := bytes.Index(b, []byte(end)); i >= 0 {
			return b[:i+len(end)], i + len(end), nil
		}
	}
	for i, c := range b { // the rare case: it came in parts
		a.partial = append(a.partial, c)
		if c == '\n' && bytes.HasSuffix(a.partial, []byte(end)) {
			return a.partial, i + 1, nil
		}
		if len(a.partial) > limit {
			return nil, i, errAnswer
		}
	}
	return nil, len(b), nil
}

// head reads the status line and the fields that say where the body ends.
func (a *answer) head(h []byte) error {
	const least = len("HTTP/1.1 200")
	if len(h) > maxHead || len(h) < least+4 || string(h[:7]) != "HTTP/1." || h[8] != ' ' {
		return errAnswer
	}
	status, err := number(h[9:12], 10)
	if err != nil || status < 100 || status > 999 || (h[12] != ' ' && h[12] != '\r') {
		return errAnswer
	}
	a.closes = h[7] == '0'
	length, chunked := int64(-1), false
	for rest := h[bytes.IndexByte(h, '\n')+1:]; len(rest) > 2; {
		end := bytes.IndexByte(rest, '\n')
		line := rest[:end]
		rest = rest[end+1:]
		if !bytes.HasSuffix(line, []byte("\r")) {
			return errAnswer
		}
		switch line[0] | 0x20 { // lower case
		case 'c':
			if v, ok := value(line, "content-length"); ok {
				n, err := number(v, 10)
				if err != nil || (length >= 0 && length != n) {
					return errAnswer
				}
				length = n
			} else if v, ok := value(line, "connection"); ok {
				a.closes = bytes.EqualFold(v, []byte("close")) || (a.closes && !bytes.EqualFold(v, []byte("keep-alive")))
			}
		case 't':
			if v, ok := value(line, "transfer-encoding"); ok {
				if chunked = bytes.EqualFold(v, []byte("chunked")); !chunked {
					return errAnswer // what we never asked for
				}
			}
		}
	}
	a.status = int(status)
	a.body(length, chunked)
	return nil
}

// body says what comes after the head.
func (a *answer) body(length int64, chunked bool) {
	switch {
	case a.status < 200:
		a.state = inHead // one that announces the real one
	case a.status == 204 || a.status == 304 || length == 0 && !chunked:
		a.state = atEnd
	case chunked:
		a.state = inChunkLine
	case length > 0:
		a.state, a.remaining = inBody, length
	default:
		a.state, a.closes = untilClosed, true
	}
}

// line reads a line between chunks, or after the last.
func (a *answer) line(line []byte) error {
	line = line[:len(line)-2]
	if a.state == inTrailer {
		if len(line) == 0 {
			a.state = atEnd
		}
		return nil
	}
	size, _, _ := bytes.Cut(line, []byte(";"))
	n, err := number(bytes.TrimRight(size, " \t"), 16)
	switch {
	case err != nil:
		return err
	case n == 0:
		a.state = inTrailer
	default:
		a.state, a.remaining = inChunk, n+2
	}
	return nil
}

// value returns what a field's line says, if it is the field of this name, given
// in lower case.
func value(line []byte, name string) ([]byte, bool) {
	if len(line) <= len(name) || line[len(name)] != ':' || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name)+1:]), true
}

// number reads digits only.
func number(text []byte, base int64) (n int64, err error) {
	if len(text) == 0 {
		return 0, errAnswer
	}
	for _, c := range text {
		digit := int64(math.MaxInt64)
		switch {
		case c >= '0' && c <= '9':
			digit = int64(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			digit = int64(c|0x20-'a') + 10
		}
		if digit >= base || n > (math.MaxInt64-16)/base {
			return 0, errAnswer
		}
		n = n*base + digit
	}
	return n, nil
}
