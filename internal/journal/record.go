package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// maxEventBytes bounds the JSON of one event.
const maxEventBytes = 1 << 20

// head is the last event's number and hash. An empty log has the zero head.
type head struct {
	seq  int64
	hash [sha256.Size]byte
}

// seal returns the head after an event with the given JSON, and its record.
func (h head) seal(text []byte) (head, []byte) {
	next := h.next(text)
	return next, append(next.hash[:len(next.hash):len(next.hash)], text...)
}

// add returns the head after an event, the event as Read will return it, and its
// record.
func (h head) add(e api.Event) (head, api.Event, []byte, error) {
	e.Seq = h.seq + 1
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC()
	e.Type = strings.ToValidUTF8(e.Type, "\uFFFD") // as JSON writes them, since filters compare bytes
	e.Subject = strings.ToValidUTF8(e.Subject, "\uFFFD")
	text, err := encode(e)
	if err != nil {
		return h, api.Event{}, nil, err
	}
	if len(text) > maxEventBytes {
		return h, api.Event{}, nil, infer.Errorf(infer.TooLarge, "the event has %d bytes of JSON, expected at most %d", len(text), maxEventBytes)
	}
	// Read it back first, since the log could not go past an event that cannot be read.
	// JSON at the max depth is too deep once it is part of an event.
	e = api.Event{}
	if err := json.Unmarshal(text, &e); err != nil {
		return h, api.Event{}, nil, &infer.Error{Code: infer.Invalid, Op: "journal: append", Msg: "the event cannot be read back from its JSON", Err: err}
	}
	next, record := h.seal(text)
	return next, e, record, nil
}

func (h head) next(text []byte) head {
	next := head{seq: h.seq + 1}
	sum := sha256.New()
	sum.Write(h.hash[:])
	sum.Write(text)
	sum.Sum(next.hash[:0])
	return next
}

// follow returns the head after a stored record, which must be the next one.
func (h head) follow(seq int64, record []byte) (head, error) {
	if seq != h.seq+1 {
		return h, fmt.Errorf("event %d is missing: %d comes after %d", h.seq+1, seq, h.seq)
	}
	text, err := textOf(record)
	if err != nil {
		return h, fmt.Errorf("event %d: %w", seq, err)
	}
	next := h.next(text)
	if !bytes.Equal(next.hash[:], record[:sha256.Size]) {
		return h, fmt.Errorf("event %d, or one before it, was changed after it was written: the hashes differ", seq)
	}
	return next, nil
}

func textOf(record []byte) ([]byte, error) {
	if n := len(record) - sha256.Size; n < 1 || n > maxEventBytes {
		return nil, fmt.Errorf("the record has %d bytes, expected a hash of %d and 1 to %d more", len(record), sha256.Size, maxEventBytes)
	}
	return record[sha256.Size:], nil
}

// encode returns the JSON to store. It does not escape <, > and &, so that people can
// search the file for what they wrote.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, &infer.Error{Code: infer.Invalid, Op: "journal: encode", Msg: "the event cannot be written as JSON", Err: err}
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decode returns the event of a record. It does not share memory with the record.
func decode(seq int64, record []byte) (api.Event, error) {
	text, err := textOf(record)
	if err != nil {
		return api.Event{}, fmt.Errorf("event %d: %w", seq, err)
	}
	rest, before, after := split(text)
	var e api.Event
	if err := json.Unmarshal(rest, &e); err != nil {
		return api.Event{}, fmt.Errorf("event %d: %w", seq, err)
	}
	if before != nil {
		e.Before = bytes.Clone(before)
	}
	if after != nil {
		e.After = bytes.Clone(after)
	}
	if e.Seq != seq {
		return api.Event{}, fmt.Errorf("event %d says that its number is %d", seq, e.Seq)
	}
	return e, nil
}

// split cuts the two states, most of an event, out of its JSON, so that decode does not
// parse them: a start may read every event. It relies on how encode writes an event: the
// states come last, and only strings and numbers before them. The hash shows that the event
// is as it was written. split returns JSON of another form whole.
func split(text []byte) (rest, before, after []byte) {
	const beforeField, afterField = `,"before":`, `,"after":`
	at := bytes.Index(text, []byte(beforeField))
	tail := text
	if at >= 0 {
		tail = text[at+len(beforeField):]
		n := valueBytes(tail)
		before, tail = tail[:n], tail[n:]
	} else if at = bytes.Index(text, []byte(afterField)); at >= 0 {
		tail = text[at:]
	}
	if bytes.HasPrefix(tail, []byte(afterField)) {
		tail = tail[len(afterField):]
		n := valueBytes(tail)
		after, tail = tail[:n], tail[n:]
	}
	empty := before != nil && len(before) == 0 || after != nil && len(after) == 0 // not JSON
	if at < 0 || empty || string(tail) != "}" {
		return text, nil, nil
	}
	return append(text[:at:at], '}'), before, after
}

// valueBytes returns the length of the JSON value at the start of text, up to a comma or a
// closing bracket outside of it.
func valueBytes(text []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case depth == 0 && (c == ',' || c == '}' || c == ']'):
			return i
		case c == '}' || c == ']':
			depth--
		}
	}
	return len(text)
}
