package oip

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON from text. Its methods leave pos after what they have read. After a problem
// pos is undefined.
type scanner struct {
	text     []byte
	pos      int
	depth    int // of the open arrays and objects
	maxDepth int
	tmp      []byte // the last string that had escapes, unescaped

	reserve func(n int) *problem // called before tmp grows; nil: no limit
}

// syntax returns a problem at pos.
func (s *scanner) syntax(expected string) *problem {
	if s.pos >= len(s.text) {
		return invalid("invalid JSON at byte %d: expected %s, but the document ends", s.pos, expected)
	}
	return invalid("invalid JSON at byte %d: expected %s, found %q", s.pos, expected, s.text[s.pos])
}

// space skips white space and returns the next byte, 0 at the end. (A NUL in the text is also 0,
// but it is never expected.)
func (s *scanner) space() byte {
	if s.pos < len(s.text) && s.text[s.pos] > ' ' {
		return s.text[s.pos]
	}
	return s.spaceSlow()
}

func (s *scanner) spaceSlow() byte {
	for s.pos < len(s.text) {
		b := s.text[s.pos]
		if b != ' ' && b != '\n' && b != '\r' && b != '\t' {
			return b
		}
		s.pos++
	}
	return 0
}

// open reads an opening bracket. next reads the closing one.
func (s *scanner) open(bracket byte, what string) *problem {
	if s.space() != bracket {
		return s.wrong(what)
	}
	s.pos++
	s.depth++
	if s.depth > s.maxDepth {
		return invalid("nested more than %d deep", s.maxDepth)
	}
	return nil
}

// next reads the separator between the elements of an array or an object. It reports whether
// another element follows; otherwise it has read the closing bracket.
func (s *scanner) next(first bool, bracket byte) (more bool, p *problem) {
	b := s.space()
	switch {
	case b == bracket && s.pos < len(s.text):
		s.pos++
		s.depth--
		return false, nil
	case first:
		return true, nil
	case b == ',':
		s.pos++
		if s.space() == bracket {
			return false, s.syntax("another element after ','")
		}
		return true, nil
	default:
		return false, s.syntax("',' or '" + string(bracket) + "'")
	}
}

// object reads an object and calls member for each key; member reads the value. The key is valid
// until member reads a string.
func (s *scanner) object(member func(key []byte) *problem) *problem {
	if p := s.open('{', "an object"); p != nil {
		return p
	}
	for first := true; ; first = false {
		more, p := s.next(first, '}')
		if p != nil || !more {
			return p
		}
		key, p := s.key()
		if p != nil {
			return p
		}
		if p := member(key); p != nil {
			return p
		}
	}
}

// key reads a key and the colon after it.
func (s *scanner) key() ([]byte, *problem) {
	if s.space() != '"' {
		return nil, s.syntax("a key in double quotes")
	}
	key, p := s.str()
	if p != nil {
		return nil, p
	}
	if s.space() != ':' {
		return nil, s.syntax("':' after a key")
	}
	s.pos++
	return key, nil
}

// array reads an array and calls element for each index; element reads the value.
func (s *scanner) array(element func(i int) *problem) *problem {
	if p := s.open('[', "an array"); p != nil {
		return p
	}
	for i := 0; ; i++ {
		more, p := s.next(i == 0, ']')
		if p != nil || !more {
			return p
		}
		if p := element(i); p != nil {
			return p.at(i)
		}
	}
}

// wrong returns a problem that states the expected and the actual value.
func (s *scanner) wrong(expected string) *problem {
	kind := s.kind()
	if kind == "" {
		return s.syntax(expected)
	}
	return invalid("must be %s, not %s", expected, kind)
}

// kind names the next value, for messages; empty if there is none.
func (s *scanner) kind() string {
	switch b := s.space(); {
	case b == '"':
		return "a string"
	case b == '{':
		return "an object"
	case b == '[':
		return "an array"
	case isNumber(b):
		return "a number"
	case s.has("null"):
		return "null"
	case s.has("true"):
		return "true"
	case s.has("false"):
		return "false"
	default:
		return ""
	}
}

// has reports whether word is next. It does not check the byte after it: if that is not a comma, a
// bracket or white space, reading on fails.
func (s *scanner) has(word string) bool {
	return len(s.text)-s.pos >= len(word) && string(s.text[s.pos:s.pos+len(word)]) == word
}

// word reads word if it is next.
func (s *scanner) word(word string) bool {
	if !s.has(word) {
		return false
	}
	s.pos += len(word)
	return true
}

// bool reads true or false.
func (s *scanner) bool() (bool, *problem) {
	switch s.space(); {
	case s.word("true"):
		return true, nil
	case s.word("false"):
		return false, nil
	default:
		return false, s.wrong("true or false")
	}
}

// str reads a string and returns its content, which is valid until the next call. A string must be
// UTF-8 without bare control characters, and its \u escapes must be complete surrogate pairs.
func (s *scanner) str() ([]byte, *problem) {
	raw, escaped, p := s.raw()
	if p != nil || !escaped {
		return raw, p
	}
	if len(raw) > cap(s.tmp) {
		if s.reserve != nil {
			if p := s.reserve(len(raw)); p != nil {
				return nil, p
			}
		}
		s.tmp = make([]byte, 0, len(raw))
	}
	s.tmp = unescape(s.tmp[:0], raw)
	return s.tmp, nil
}

// raw reads a string, checks it and returns the text between its quotes.
func (s *scanner) raw() (raw []byte, escaped bool, p *problem) {
	if s.space() != '"' {
		return nil, false, s.wrong("a string")
	}
	s.pos++
	start := s.pos
	ascii := true
	for text := s.text; ; {
		i := s.pos
		for i < len(text) && plain(text[i]) {
			i++
		}
		s.pos = i
		if i == len(text) {
			return nil, false, invalid("invalid JSON at byte %d: a string without end", start-1)
		}
		switch b := text[i]; {
		case b == '"':
			raw = text[start:i]
			if !ascii && !utf8.Valid(raw) {
				return nil, false, invalid("invalid JSON at byte %d: a string that is not UTF-8", start-1)
			}
			s.pos++
			return raw, escaped, nil
		case b == '\\':
			escaped = true
			if p := s.escape(); p != nil {
				return nil, false, p
			}
		case b < ' ':
			return nil, false, invalid("invalid JSON at byte %d: a control character in a string must be escaped", i)
		default:
			ascii = false
			s.pos++
		}
	}
}

// plain reports whether b is a character of a string that stands for itself.
func plain(b byte) bool { return b >= ' ' && b < utf8.RuneSelf && b != '"' && b != '\\' }

// escape checks the escape sequence at pos.
func (s *scanner) escape() *problem {
	rest := s.text[s.pos+1:]
	if len(rest) == 0 {
		return invalid("invalid JSON at byte %d: a string without end", s.pos)
	}
	if rest[0] != 'u' {
		if bytes.IndexByte([]byte(`"\/bfnrt`), rest[0]) < 0 {
			return invalid("invalid JSON at byte %d: no escape sequence begins with \\%c", s.pos, rest[0])
		}
		s.pos += 2
		return nil
	}
	r, ok := hex4(rest[1:])
	if !ok {
		return invalid("invalid JSON at byte %d: \\u needs four hexadecimal digits", s.pos)
	}
	n := 6
	if utf16.IsSurrogate(r) {
		low, ok := rune(0), false
		if len(rest) > 7 && rest[5] == '\\' && rest[6] == 'u' {
			low, ok = hex4(rest[7:])
		}
		if !ok || utf16.DecodeRune(r, low) == utf8.RuneError {
			return invalid("invalid JSON at byte %d: half of a surrogate pair", s.pos)
		}
		n = 12
	}
	s.pos += n
	return nil
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, d := range b[:4] {
		switch {
		case '0' <= d && d <= '9':
			d -= '0'
		case 'a' <= d && d <= 'f':
			d -= 'a' - 10
		case 'A' <= d && d <= 'F':
			d -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

// unescape appends the content of a string that raw has checked.
func unescape(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		b := raw[i+1]
		raw = raw[i+2:]
		switch b {
		case 'u':
			r, _ := hex4(raw)
			raw = raw[4:]
			if utf16.IsSurrogate(r) {
				low, _ := hex4(raw[2:])
				r = utf16.DecodeRune(r, low)
				raw = raw[6:]
			}
			dst = utf8.AppendRune(dst, r)
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		default:
			dst = append(dst, b)
		}
	}
}

// skip reads any value and checks it. If tokens is set, NaN and the infinities are numbers.
func (s *scanner) skip(tokens bool) *problem {
	switch b := s.space(); {
	case b == '{':
		return s.object(func([]byte) *problem { return s.skip(tokens) })
	case b == '[':
		return s.skipArray(tokens)
	case b == '"':
		_, _, p := s.raw()
		return p
	case s.word("null") || s.word("true") || s.word("false"):
		return nil
	case tokens && (s.word("NaN") || s.word("Infinity") || s.word("-Infinity")):
		return nil
	default:
		if !isNumber(b) {
			return s.wrong("a value")
		}
		_, _, p := s.decimal()
		return p
	}
}

// skipArray is skip for an array, without an index in its problems.
func (s *scanner) skipArray(tokens bool) *problem {
	if p := s.open('[', "an array"); p != nil {
		return p
	}
	for first := true; ; first = false {
		more, p := s.next(first, ']')
		if p != nil || !more {
			return p
		}
		if p := s.skip(tokens); p != nil {
			return p
		}
	}
}

// document reads an optional byte order mark, the value with read, and the white space after it.
func (s *scanner) document(read func() *problem) *problem {
	s.word("\xef\xbb\xbf")
	if s.space(); s.pos >= len(s.text) {
		return invalid("the document is empty")
	}
	if p := read(); p != nil {
		return p
	}
	if s.space(); s.pos < len(s.text) {
		return s.syntax("the end of the document")
	}
	return nil
}
