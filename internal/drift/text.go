package drift

import (
	"math"
	"unicode"
	"unicode/utf8"

	"github.com/zeebo/xxh3"
)

// A text is not a number. What is measured of it is: each feature of a text is one number in each row,
// so that windows and tests are those of other features. A text with few different values is a category.
// Of other texts the length and the shares of some classes of characters are features of their own.

// The measures of a text. Feature.Measure is empty for numbers.
const (
	MeasureText        = "text"        // a column of texts for a Builder, which decides what is measured
	MeasureCategory    = "category"    // which of the reference's values it is
	MeasureLength      = "length"      // number of characters
	MeasureLetters     = "letters"     // share of the characters that are Latin letters
	MeasureDigits      = "digits"      // share of decimal digits
	MeasureSpaces      = "spaces"      // share of white space
	MeasurePunctuation = "punctuation" // share of punctuation and symbols
	MeasureOther       = "other"       // share of all other characters: other scripts, control characters
)

// measured are the measures of a text that is not a category: its length, and the classes of its
// characters.
var measured = [...]string{MeasureLength, MeasureLetters, MeasureDigits, MeasureSpaces, MeasurePunctuation, MeasureOther}

// numClasses is the number of classes of characters, in the order of measured.
const numClasses = len(measured) - 1

// The limits on the bytes of a text that are looked at, see Profile.TextBytes.
const (
	DefaultTextBytes = 256
	MaxTextBytes     = 64 << 10
)

// Text has the numbers of a text.
type Text struct {
	hash    uint64
	length  float64
	classes [numClasses]float64
}

// ReadText measures a text. head is its beginning: all of it, or the first bytes that are looked at, if
// it has more. whole is the length of the text in bytes. The length in characters of a longer text is
// estimated from its beginning, and two longer texts with the same beginning and length are the same.
func ReadText(head []byte, whole int) Text {
	t := Text{hash: hashText(head, whole)}
	t.measure(head, whole)
	return t
}

// hashText returns a number of 53 bits that stands for a text, so that a float64 is exact.
func hashText(head []byte, whole int) uint64 {
	const spare = 64 - 53
	if whole == len(head) {
		return xxh3.Hash(head) >> spare
	}
	return xxh3.HashSeed(head, uint64(whole)) >> spare //nolint:gosec // not negative
}

// measure sets the length and the classes.
func (t *Text) measure(head []byte, whole int) {
	all, at := 0, 0
	for at < len(head) {
		r, size := rune(head[at]), 1
		if r >= utf8.RuneSelf {
			if whole > len(head) && !utf8.FullRune(head[at:]) {
				break // cut in the middle of a character
			}
			r, size = utf8.DecodeRune(head[at:])
		}
		t.classes[classOf(r)]++
		all++
		at += size
	}
	if all == 0 {
		return
	}
	for i := range t.classes {
		t.classes[i] /= float64(all)
	}
	t.length = float64(all)
	if whole > len(head) {
		t.length = math.Round(t.length * float64(whole) / float64(at))
	}
}

// classOf returns the class of a character, an index of Text.classes.
func classOf(r rune) int {
	const letters, digits, spaces, punctuation, other = 0, 1, 2, 3, 4
	switch {
	case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
		return letters
	case r >= '0' && r <= '9':
		return digits
	case r == ' ' || unicode.IsSpace(r):
		return spaces
	case r < utf8.RuneSelf:
		if r < ' ' || r == 0x7f {
			return other
		}
		return punctuation
	case r == utf8.RuneError:
		return other
	case unicode.Is(unicode.Latin, r):
		return letters
	case unicode.IsDigit(r):
		return digits
	case unicode.IsPunct(r) || unicode.IsSymbol(r) && !unicode.Is(unicode.So, r):
		return punctuation
	default: // other scripts, and pictures
		return other
	}
}

// Of returns the number of a text for one of its features. A category's number is the text's hash.
func (t *Text) Of(f *Feature) float64 {
	switch f.Measure {
	case MeasureCategory:
		return float64(t.hash)
	case MeasureLength:
		return t.length
	}
	for i, measure := range measured[1:] {
		if measure == f.Measure {
			return t.classes[i]
		}
	}
	return math.NaN()
}

// IsCategory reports whether the feature is a text with few different values.
func (f *Feature) IsCategory() bool { return f.Measure == MeasureCategory }

// OfText reports whether the feature is measured of a text.
func (f *Feature) OfText() bool {
	return f.Measure != "" && f.Measure != MeasureVector && !f.OfVector()
}

// IsText reports whether a feature for a Builder is a column of texts.
func (f *Feature) IsText() bool { return f.Measure == MeasureText || f.Datatype == "BYTES" }
