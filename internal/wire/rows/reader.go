package rows

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"sluice.io/sluice/internal/infer"
)

// reader reads JSON from text. Its methods leave pos after what they have read. After an error pos
// is undefined.
type reader struct {
	text     []byte
	pos      int
	depth    int
	maxDepth int
}

func invalid(format string, args ...any) error {
	return infer.Errorf(infer.Invalid, format, args...)
}

// syntax returns an error at pos.
func (r *reader) syntax(expected string) error {
	if r.pos >= len(r.text) {
		return invalid("byte %d: expected %s, but the document ends", r.pos, expected)
	}
	return invalid("byte %d: expected %s, found %q", r.pos, expected, r.text[r.pos])
}

// peek skips white space and returns the next byte, 0 at the end.
func (r *reader) peek() byte {
	for ; r.pos < len(r.text); r.pos++ {
		switch b := r.text[r.pos]; b {
		case ' ', '\t', '\r', '\n':
		default:
			return b
		}
	}
	return 0
}

// open reads an opening bracket. next reads the closing one.
func (r *reader) open(bracket byte, what string) error {
	if r.peek() != bracket {
		return r.syntax(what)
	}
	r.pos++
	if r.depth++; r.depth > r.maxDepth {
		return invalid("nested more than %d deep", r.maxDepth)
	}
	return nil
}

// next reads the separator between the elements of an array or an object. It reports whether
// another element follows; otherwise it has read the closing bracket.
func (r *reader) next(first bool, bracket byte) (more bool, err error) {
	switch b := r.peek(); {
	case b == bracket:
		r.pos++
		r.depth--
		return false, nil
	case first:
		return true, nil
	case b == ',':
		r.pos++
		if r.peek() == bracket {
			return false, r.syntax("another element after ','")
		}
		return true, nil
	default:
		return false, r.syntax(fmt.Sprintf("',' or '%c'", bracket))
	}
}

// object reads an object and calls member for each key; member reads the value.
func (r *reader) object(member func(key value) error) error {
	if err := r.open('{', "an object"); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := r.next(first, '}')
		if err != nil || !more {
			return err
		}
		if r.peek() != '"' {
			return r.syntax("a key in double quotes")
		}
		key, err := r.scalar()
		if err != nil {
			return err
		}
		if r.peek() != ':' {
			return r.syntax("':' after a key")
		}
		r.pos++
		if err := member(key); err != nil {
			return err
		}
	}
}

// array reads an array and calls element for each index; element reads the value.
func (r *reader) array(element func(i int) error) error {
	if err := r.open('[', "a list"); err != nil {
		return err
	}
	for i := 0; ; i++ {
		more, err := r.next(i == 0, ']')
		if err != nil || !more {
			return err
		}
		if err := element(i); err != nil {
			return err
		}
	}
}

// skip reads any value and checks it.
func (r *reader) skip() error {
	switch r.peek() {
	case '{':
		return r.object(func(value) error { return r.skip() })
	case '[':
		return r.array(func(int) error { return r.skip() })
	default:
		_, err := r.scalar()
		return err
	}
}

// skipCounting is skip that also returns the number of elements of an array, -1 for any other
// value.
func (r *reader) skipCounting() (n int, err error) {
	if r.peek() != '[' {
		return -1, r.skip()
	}
	err = r.array(func(int) error { n++; return r.skip() })
	return n, err
}

// count is skipCounting without moving pos.
func (r *reader) count() (n int, err error) {
	ahead := *r
	return ahead.skipCounting()
}

// words are the values that are written as words.
var words = [...]struct {
	word string
	value
}{
	{"null", value{kind: missing}},
	{"true", value{kind: truth, text: []byte("1")}},
	{"false", value{kind: truth, text: []byte("0")}},
	{"NaN", value{kind: missing}},
	{"Infinity", value{kind: number, text: []byte("Infinity")}},
	{"-Infinity", value{kind: number, text: []byte("-Infinity")}},
}

// scalar reads a string, a number or a word.
func (r *reader) scalar() (value, error) {
	b := r.peek()
	switch {
	case b == '"':
		return r.string()
	case isDigit(b):
		return r.number()
	}
	for i := range words {
		if w := &words[i]; b == w.word[0] && bytes.HasPrefix(r.text[r.pos:], []byte(w.word)) {
			r.pos += len(w.word)
			return w.value, nil
		}
	}
	if b == '-' {
		return r.number()
	}
	return value{}, r.syntax("a value")
}

// string reads a string and checks it: UTF-8 without bare control characters.
func (r *reader) string() (value, error) {
	r.pos++
	v := value{kind: text, at: r.pos}
	ascii := true
	for ; r.pos < len(r.text); r.pos++ {
		switch b := r.text[r.pos]; {
		case b == '"':
			v.text = r.text[v.at:r.pos]
			if !ascii && !utf8.Valid(v.text) {
				return value{}, invalid("byte %d: a string that is not UTF-8", v.at-1)
			}
			r.pos++
			return v, nil
		case b == '\\':
			v.escaped = true
			n := escapeLength(r.text[r.pos:])
			if n == 0 {
				return value{}, invalid("byte %d: not a valid escape sequence", r.pos)
			}
			r.pos += n - 1
		case b < ' ':
			return value{}, invalid("byte %d: a control character in a string must be escaped", r.pos)
		case b >= utf8.RuneSelf:
			ascii = false
		}
	}
	return value{}, invalid("byte %d: a string without end", v.at-1)
}

// number reads a number.
func (r *reader) number() (value, error) {
	start := r.pos
	if r.text[r.pos] == '-' {
		r.pos++
	}
	if r.pos < len(r.text) && r.text[r.pos] == '0' {
		r.pos++
	} else if !r.digits() {
		return value{}, r.syntax("a digit")
	}
	if r.pos < len(r.text) && r.text[r.pos] == '.' {
		r.pos++
		if !r.digits() {
			return value{}, r.syntax("a digit")
		}
	}
	if r.pos < len(r.text) && r.text[r.pos]|0x20 == 'e' {
		r.pos++
		if r.pos < len(r.text) && (r.text[r.pos] == '+' || r.text[r.pos] == '-') {
			r.pos++
		}
		if !r.digits() {
			return value{}, r.syntax("a digit")
		}
	}
	return value{kind: number, text: r.text[start:r.pos]}, nil
}

// digits reads one digit or more.
func (r *reader) digits() bool {
	start := r.pos
	for r.pos < len(r.text) && isDigit(r.text[r.pos]) {
		r.pos++
	}
	return r.pos > start
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
