package drift

import (
	"encoding/binary"
	"slices"
	"strconv"
	"sync"

	"sluice.io/sluice/internal/infer"
)

// The rows of segments are copied once, by the tap of the whole. When the Monitor has taken them from there, it gives each row to the
// tap of its segment. So a request costs the same with any number of segments.

// segmentBytes is the size of the segment in the start of a record, if it is a parameter.
const segmentBytes = 4

// division gives the rows of a tap to the taps of segments.
type division struct {
	index   map[string]int  // of the segments
	numbers map[float64]int // the same for integers
	other   int             // -1: it has no reference
	input   int             // the index of the key's tensor in the model; -1 for a parameter
	element int

	mu     sync.Mutex
	parts  []*Tap // by segment; nil: it is not watched
	bounds []int  // where the elements of each tensor of the present row begin, and its end
}

// newDivision returns nil for a profile without segments.
func newDivision(p *Profile, m *infer.Model) *division {
	if p.Segment == nil {
		return nil
	}
	d := &division{index: map[string]int{}, numbers: map[float64]int{}, other: -1, input: -1, element: p.Segment.Element, parts: make([]*Tap, len(p.Segments))}
	for i := range p.Segments {
		value := p.Segments[i].Value
		if value == OtherSegment {
			d.other = i
			continue
		}
		d.index[value] = i
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && strconv.FormatInt(n, 10) == value {
			d.numbers[float64(n)] = i
		}
	}
	if p.Segment.Parameter == "" {
		d.input = slices.IndexFunc(m.Inputs, func(s infer.TensorSpec) bool { return s.Name == p.Segment.Input })
	}
	return d
}

// byParameter reports whether records have the segment of their request.
func (d *division) byParameter() bool { return d != nil && d.input < 0 }

// of returns the index of a value's segment, -1 if it has no reference.
func (d *division) of(value string) int {
	if i, ok := d.index[value]; ok {
		return i
	}
	return d.other
}

// ofText is of for the text of an element. whole is its length, of which head is the beginning.
func (d *division) ofText(head []byte, whole int) int {
	if whole == len(head) && whole <= MaxSegmentBytes {
		if i, ok := d.index[string(head)]; ok {
			return i
		}
	}
	return d.other
}

// ofNumber is of for a number.
func (d *division) ofNumber(x float64) int {
	if i, ok := d.numbers[x]; ok {
		return i
	}
	return d.other
}

// Divide makes a tap get the rows of a segment that this one takes, until it is given another one, or nil. Its profile must be that of the
// segment, and its model the same.
func (t *Tap) Divide(segment string, part *Tap) {
	d := t.division
	i, ok := d.index[segment]
	if !ok {
		i = d.other
	}
	if part != nil {
		part.alignTo(t)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.parts[i] = part
}

// alignTo makes the tap read rows as another tap has copied them: it may copy more elements.
func (t *Tap) alignTo(o *Tap) {
	for i := range len(t.inputs) + len(t.outputs) {
		c, from := t.cut(i), o.cut(i)
		if c.empty() {
			continue
		}
		c.from, c.to, c.width = from.from, from.to, from.width
		if c.text == nil {
			continue
		}
		text := &textCut{elements: from.text.elements, features: make([][]int, len(from.text.elements)), limit: from.text.limit}
		for k, element := range c.text.elements {
			text.features[slices.Index(text.elements, element)] = c.text.features[k]
		}
		c.text = text
	}
}

// divide gives the rows of taken records to the parts. d.mu is not locked.
func (t *Tap) divide(records []byte) {
	d := t.division
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.ContainsFunc(d.parts, func(part *Tap) bool { return part != nil }) {
		return
	}
	marks := len(t.inputs) + len(t.outputs)
	for len(records) > 0 {
		rows, user, segment := binary.LittleEndian.Uint32(records), records[4:headBytes], d.other
		records = records[headBytes:]
		if d.byParameter() {
			segment = int(int32(binary.LittleEndian.Uint32(records))) //nolint:gosec // it was written so
			records = records[segmentBytes:]
		}
		of := records[:marks]
		records = records[marks:]
		for range rows {
			if at := t.measure(of, records); !d.byParameter() {
				segment = at
			}
			end := d.bounds[len(d.bounds)-1]
			if segment >= 0 && d.parts[segment] != nil {
				d.parts[segment].offerRow(user, of, records[:end], d.bounds)
			}
			records = records[end:]
		}
	}
}

// measure sets the bounds of the elements of each tensor in a row, and returns the row's segment if that is an element.
func (t *Tap) measure(marks, row []byte) (segment int) {
	d, at := t.division, 0
	segment = d.other
	d.bounds = append(d.bounds[:0], 0)
	for i, mark := range marks {
		c := t.cut(i)
		switch key := i == d.input; {
		case c.empty() || mark != given:
		case c.text != nil:
			for _, element := range c.text.elements {
				whole := int(binary.LittleEndian.Uint32(row[at:]))
				at += lengthBytes
				head := row[at : at+min(whole, c.text.limit)]
				at += len(head)
				if key && element == d.element {
					segment = d.ofText(head, whole)
				}
			}
		default:
			if key {
				segment = d.ofNumber(c.read(row[at+(d.element-c.from)*c.size:]))
			}
			at += c.width
		}
		d.bounds = append(d.bounds, at)
	}
	return segment
}

// offerRow takes a row of another tap to which it is aligned.
func (t *Tap) offerRow(user, marks, row []byte, bounds []int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting)+headBytes+len(marks)+len(row) > t.o.MaxBytes {
		t.dropped++
		return
	}
	t.waiting = binary.LittleEndian.AppendUint32(t.waiting, 1)
	t.waiting = append(append(t.waiting, user...), marks...)
	for i := range marks {
		if !t.cut(i).empty() {
			t.waiting = append(t.waiting, row[bounds[i]:bounds[i+1]]...)
		}
	}
}
