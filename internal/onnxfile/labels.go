package onnxfile

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"sluice.io/sluice/internal/infer"
)

// ParseLabels reads class labels from an entry of metadata, by index. It accepts the formats of
// exporters: a JSON array, an object from index to label or from label to index, the same as
// Python literals (ultralytics: {0: 'person', 1: 'bicycle'}), and plain text with a comma or a
// line break between the labels. The indexes of an object must be 0 to n-1. Errors are Invalid,
// also for more than most labels.
func ParseLabels(text string, most int) ([]string, error) {
	if !utf8.ValidString(text) {
		return nil, infer.Errorf(infer.Invalid, "the text is not valid UTF-8")
	}
	text = strings.TrimSpace(text)
	p := literal{text: text, most: most}
	var err error
	switch {
	case text == "":
		return nil, infer.Errorf(infer.Invalid, "the text is empty")
	case text[0] == '[', text[0] == '(':
		err = p.list()
	case text[0] == '{':
		err = p.object()
	default:
		return splitLabels(text, most)
	}
	if err == nil && p.space() != 0 {
		err = p.wrong("the end of the text")
	}
	if err != nil {
		return nil, err
	}
	return p.labels, nil
}

// splitLabels reads plain text.
func splitLabels(text string, most int) ([]string, error) {
	separator := ","
	if strings.Contains(text, "\n") {
		separator = "\n"
	}
	if n := strings.Count(text, separator) + 1; n > most {
		return nil, tooMany(most)
	}
	labels := strings.Split(text, separator)
	for i := range labels {
		labels[i] = strings.TrimSpace(labels[i])
	}
	return labels, nil
}

func tooMany(most int) error {
	return infer.Errorf(infer.Invalid, "there are more than %d labels", most)
}

// literal reads a list or an object of JSON or Python.
type literal struct {
	text   string
	pos    int
	most   int
	labels []string
}

// list reads [a, b] or (a, b).
func (p *literal) list() error {
	end := byte(']')
	if p.text[p.pos] == '(' {
		end = ')'
	}
	return p.items(end, func() error {
		label, _, err := p.scalar()
		if err != nil {
			return err
		}
		p.labels = append(p.labels, label)
		return nil
	})
}

// object reads {key: value}: one of them is an index, and the other is a label.
func (p *literal) object() error {
	byIndex := map[int]string{}
	err := p.items('}', func() error {
		key, _, err := p.scalar()
		if err != nil {
			return err
		}
		if p.space() != ':' {
			return p.wrong("a colon")
		}
		p.pos++
		value, valueIsNumber, err := p.scalar()
		if err != nil {
			return err
		}
		index, err := strconv.Atoi(key)
		if err != nil && valueIsNumber {
			key, value = value, key
			index, err = strconv.Atoi(key)
		}
		if err != nil || index < 0 || index >= p.most {
			return infer.Errorf(infer.Invalid, "'%.100s' is not an index of a class below %d", key, p.most)
		}
		if _, ok := byIndex[index]; ok {
			return infer.Errorf(infer.Invalid, "the class %d has two labels", index)
		}
		byIndex[index] = value
		return nil
	})
	if err != nil {
		return err
	}
	for i := range len(byIndex) {
		label, ok := byIndex[i]
		if !ok {
			return infer.Errorf(infer.Invalid, "the class %d of %d has no label", i, len(byIndex))
		}
		p.labels = append(p.labels, label)
	}
	return nil
}

// items reads the items between brackets, separated by commas. Python allows a comma after the
// last one.
func (p *literal) items(end byte, item func() error) error {
	p.pos++
	for n := 0; ; n++ {
		if p.space() == end {
			p.pos++
			return nil
		}
		if n == p.most {
			return tooMany(p.most)
		}
		if err := item(); err != nil {
			return err
		}
		switch p.space() {
		case ',':
			p.pos++
		case end:
		default:
			return p.wrong("a comma")
		}
	}
}

// scalar reads a string or an integer.
func (p *literal) scalar() (s string, isNumber bool, err error) {
	if quote := p.space(); quote == '"' || quote == '\'' {
		s, err = p.quoted(quote)
		return s, false, err
	}
	start := p.pos
	for p.pos < len(p.text) && (p.text[p.pos] == '-' || '0' <= p.text[p.pos] && p.text[p.pos] <= '9') {
		p.pos++
	}
	if _, err := strconv.ParseInt(p.text[start:p.pos], 10, 64); err != nil {
		p.pos = start
		return "", false, p.wrong("a label in quotes or an integer")
	}
	return p.text[start:p.pos], true, nil
}

// quoted reads a string with the escapes of JSON and Python.
func (p *literal) quoted(quote byte) (string, error) {
	var b strings.Builder
	for p.pos++; p.pos < len(p.text); {
		switch c := p.text[p.pos]; c {
		case quote:
			p.pos++
			return b.String(), nil
		case '\\':
			if err := p.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteByte(c)
			p.pos++
		}
	}
	return "", p.wrong("the quote that ends the label")
}

func (p *literal) escape(b *strings.Builder) error {
	rest := p.text[p.pos:]
	if len(rest) < 2 {
		return p.wrong("the rest of an escape")
	}
	p.pos += 2
	if i := strings.IndexByte(`\'"/abfnrtv`, rest[1]); i >= 0 {
		b.WriteByte("\\'\"/\a\b\f\n\r\t\v"[i])
		return nil
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[rest[1]]
	if digits == 0 || len(rest) < 2+digits {
		p.pos -= 2
		return p.wrong("an escape of JSON or Python")
	}
	r, err := strconv.ParseUint(rest[2:2+digits], 16, 32)
	if err != nil {
		return p.wrong("hexadecimal digits")
	}
	p.pos += digits
	char := rune(r)                                                                            //nolint:gosec // 32 bits
	if next := p.text[p.pos:]; utf16.IsSurrogate(char) && len(next) >= 6 && next[:2] == `\u` { // half of a character in JSON
		if low, err := strconv.ParseUint(next[2:6], 16, 32); err == nil {
			char = utf16.DecodeRune(char, rune(low)) //nolint:gosec // 16 bits
			p.pos += 6
		}
	}
	b.WriteRune(char) // a number that is not a character becomes U+FFFD
	return nil
}

// space skips white space and returns the byte after it, 0 at the end.
func (p *literal) space() byte {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
	if p.pos == len(p.text) {
		return 0
	}
	return p.text[p.pos]
}

func (p *literal) wrong(expected string) error {
	return infer.Errorf(infer.Invalid, "expected %s at byte %d", expected, p.pos)
}
