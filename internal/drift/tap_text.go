package drift

import (
	"encoding/binary"

	"sluice.io/sluice/internal/infer"
)

// textCut is the copied part of a row of texts: for each element with a feature its length in bytes and
// its first bytes. A text of 1 MB costs as much as one of limit bytes.
type textCut struct {
	elements []int   // ascending
	features [][]int // of each element, in the profile
	limit    int
}

// lengthBytes is the size of the length before a text in a record.
const lengthBytes = 4

func (t *textCut) add(p place) {
	at := 0
	for at < len(t.elements) && t.elements[at] < p.at {
		at++
	}
	if at == len(t.elements) || t.elements[at] != p.at {
		t.elements = append(t.elements, 0)
		copy(t.elements[at+1:], t.elements[at:])
		t.features = append(t.features, nil)
		copy(t.features[at+1:], t.features[at:])
		t.elements[at], t.features[at] = p.at, nil
	}
	t.features[at] = append(t.features[at], p.feature)
}

// scratch holds a record that is built before the tap is locked: to find an element of a tensor of texts, all elements
// before it are read.
type scratch struct {
	record  []byte
	cursors []cursor // by tensor: inputs, then outputs
}

// cursor is a place in a tensor of texts.
type cursor struct {
	rest    []byte
	element int // the first one in rest
}

// offerTexts copies the rows of a request with tensors of texts.
func (t *Tap) offerTexts(req *infer.Request, resp *infer.Response, n, take int, agree bool) {
	s := t.scratch.Get().(*scratch) //nolint:forcetypeassert // New makes no others
	defer t.scratch.Put(s)
	s.record = s.record[:0]
	clear(s.cursors)
	if agree {
		s.record = t.put(s.record, s.cursors, req, resp, n, take)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !agree || len(t.waiting)+len(s.record) > t.o.MaxBytes {
		t.dropped += uint64(take) //nolint:gosec // not negative
		return
	}
	t.waiting = append(t.waiting, s.record...)
}

// append appends a row of texts to a record. The rows of a tensor must come in their order.
func (t *textCut) append(dst []byte, c *cursor, x *infer.Tensor, row, rows int) []byte {
	elements, _ := x.Shape.Elements()
	first := row * (int(elements) / rows)
	if c.rest == nil {
		c.rest = x.Data
	}
	for _, at := range t.elements {
		var text []byte
		for c.element <= first+at {
			var ok bool
			if text, c.rest, ok = infer.NextElement(c.rest); !ok {
				text = nil // the shape has more elements than the data; a valid tensor has as many
			}
			c.element++
		}
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(text))) //nolint:gosec // it came from 32 bits
		dst = append(dst, text[:min(len(text), t.limit)]...)
	}
	return dst
}

// addTexts counts a row of texts and returns the rest.
func (t *Tap) addTexts(cut *textCut, counts []Counts, halves Halves, left []byte) []byte {
	for i := range cut.elements {
		whole := int(binary.LittleEndian.Uint32(left))
		left = left[lengthBytes:]
		head := left[:min(whole, cut.limit)]
		left = left[len(head):]
		t.addText(cut.features[i], counts, halves, head, whole)
	}
	return left
}

// addText counts a text for its features. An empty text is a missing value.
func (t *Tap) addText(features []int, counts []Counts, halves Halves, head []byte, whole int) {
	var x Text
	for _, at := range features {
		f, c := &t.o.Profile.Features[at], &counts[at]
		switch {
		case whole == 0:
			c.AddMissingIn(halves)
		case f.IsCategory():
			unseen := c.Unseen
			hash := hashText(head, whole)
			c.AddIn(f, float64(hash), halves)
			if t.o.NameValues && c.Unseen > unseen {
				c.addFresh(hash, head, whole)
			}
		default:
			if x.length == 0 {
				x.measure(head, whole)
			}
			c.AddIn(f, x.Of(f), halves)
		}
	}
}
