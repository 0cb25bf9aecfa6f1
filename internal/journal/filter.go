package journal

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// Filter selects events. The zero Filter selects all of them.
type Filter struct {
	// An event must have one of Subjects and one of Types. An empty list accepts every
	// event. A subject that ends in "/" and a type that ends in "." are prefixes.
	Subjects, Types []string
	// Since and Until bound the time of an event, both inclusive. Zero is not a bound.
	Since, Until time.Time
	// Last is the number of the last event to read. 0 is not a bound.
	Last int64
}

// pattern is a string in JSON with its quotes. A prefix does not have the last quote.
type pattern struct {
	text   []byte
	prefix bool
}

func (p pattern) fits(text []byte) bool {
	if p.prefix {
		return bytes.HasPrefix(text, p.text)
	}
	return bytes.Equal(text, p.text)
}

// matcher applies a Filter to records without decoding them. It filters 100,000 events in
// milliseconds, so the journal needs no index.
type matcher struct {
	Filter
	subjects, types []pattern
}

func newMatcher(f Filter) (*matcher, error) {
	m := &matcher{Filter: f}
	var err error
	if m.subjects, err = patterns(f.Subjects, "/"); err != nil {
		return nil, err
	}
	m.types, err = patterns(f.Types, ".")
	return m, err
}

func patterns(texts []string, prefix string) ([]pattern, error) {
	list := make([]pattern, len(texts))
	for i, s := range texts {
		text, err := encode(s)
		if err != nil {
			return nil, err
		}
		if list[i] = (pattern{text: text}); strings.HasSuffix(s, prefix) {
			list[i] = pattern{text: bytes.TrimSuffix(text, []byte(`"`)), prefix: true}
		}
	}
	return list, nil
}

// fits reports whether the filter selects the event of a record. It ignores Last.
func (m *matcher) fits(seq int64, record []byte) (bool, error) {
	if len(m.subjects) == 0 && len(m.types) == 0 && m.Since.IsZero() && m.Until.IsZero() {
		return true, nil
	}
	h, err := headerOf(seq, record)
	if err != nil {
		return false, err
	}
	if !anyFits(m.types, h.kind) || !anyFits(m.subjects, h.subject) {
		return false, nil
	}
	if m.Since.IsZero() && m.Until.IsZero() {
		return true, nil
	}
	at, err := h.when(seq)
	return err == nil && (m.Since.IsZero() || !at.Before(m.Since)) && (m.Until.IsZero() || !at.After(m.Until)), err
}

func anyFits(list []pattern, text []byte) bool {
	for _, p := range list {
		if p.fits(text) {
			return true
		}
	}
	return len(list) == 0
}

// header is the beginning of an event's JSON: strings in JSON with their quotes.
type header struct{ at, kind, subject []byte }

// headerOf relies on how encode writes an event, as split does.
func headerOf(seq int64, record []byte) (h header, err error) {
	text, err := textOf(record)
	if err != nil {
		return h, fmt.Errorf("event %d: %w", seq, err)
	}
	rest, ok := bytes.CutPrefix(text, []byte(`{"seq":`))
	rest = bytes.TrimLeft(rest, "0123456789")
	for _, field := range []struct {
		name string
		into *[]byte
	}{{`,"time":`, &h.at}, {`,"type":`, &h.kind}, {`,"subject":`, &h.subject}} {
		if ok {
			if rest, ok = bytes.CutPrefix(rest, []byte(field.name)); ok {
				n := valueBytes(rest)
				*field.into, rest = rest[:n], rest[n:]
			}
		}
	}
	if !ok {
		return h, fmt.Errorf("event %d does not begin with seq, time, type and subject", seq)
	}
	return h, nil
}

func (h header) when(seq int64) (at time.Time, err error) {
	if err = at.UnmarshalText(bytes.Trim(h.at, `"`)); err != nil {
		return at, fmt.Errorf("event %d: %w", seq, err)
	}
	return at, nil
}
