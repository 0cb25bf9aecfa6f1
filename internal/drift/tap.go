package drift

import (
	"encoding/binary"
	"sync"

	"github.com/zeebo/xxh3"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/slot"
)

// TapOptions configure what a Tap copies.
type TapOptions struct {
	Model   *infer.Model // the watched version
	Profile *Profile     // fits Model
	// Sample is the share of requests, out of api.TotalWeight, selected by the hash of their ids.
	Sample int
	// MaxRows is the max number of rows copied from one request, evenly spaced.
	MaxRows int
	// Pairs says that the pairs of the profile are counted too.
	Pairs bool
	// MaxBytes bounds the rows that wait for the Monitor; more are dropped. Twice as much memory
	// may be in use for a moment.
	MaxBytes int
	// NameValues keeps some values of categories that the reference does not have, for messages.
	NameValues bool
}

// Tap copies rows of a version's requests and answers. Offer may be called from any goroutine, and
// costs a short lock and a copy.
type Tap struct {
	o               TapOptions
	inputs, outputs []cut // by the tensor's index in the model
	texts, vectors  bool  // one of them has texts, or is a vector
	scratch         sync.Pool
	division        *division // nil without segments

	mu      sync.Mutex // guards the next fields
	waiting []byte     // records, see put
	dropped uint64     // rows without room, or with tensors that do not agree, since the last take

	// The taken rows, which belong to one goroutine.
	taken []byte // the whole buffer, for reuse
	rest  []byte // the part of it that is not yet counted
	marks []byte // of the record at the start of rest
	user  uint64 // of that record
	rows  uint32 // its remaining rows
	pairs *pairing
}

// cut is the copied part of a tensor's row: from the first to the last element with a feature.
type cut struct {
	places   []place // empty: copy nothing of this tensor
	rows     bool    // the first dimension counts rows; otherwise the tensor is one row
	size     int     // bytes of an element
	from, to int     // elements of a row
	width    int     // bytes of them
	read     func([]byte) float64
	text     *textCut // nil: numbers, of which the fields above are
	vector   *vectorCut
}

// empty reports whether nothing of the tensor is copied.
func (c *cut) empty() bool { return len(c.places) == 0 && c.vector == nil }

// place is a feature within a cut.
type place struct{ feature, at int }

// Whether a tensor was part of a request. unknown means that the output was not requested.
const (
	unknown byte = iota
	given
	absent
)

// headBytes is the size of the start of a record: the number of its rows, and a hash of its user.
const headBytes = 4 + 8

// NewTap returns a tap for a model. The profile must fit it.
func NewTap(o TapOptions) *Tap {
	t := &Tap{o: o, inputs: make([]cut, len(o.Model.Inputs)), outputs: make([]cut, len(o.Model.Outputs))}
	if o.Pairs {
		t.pairs = newPairing(o.Profile)
	}
	for i := range o.Profile.Features {
		f := &o.Profile.Features[i]
		specs, cuts := o.Model.Inputs, t.inputs
		if f.Kind == KindOutput {
			specs, cuts = o.Model.Outputs, t.outputs
		}
		for j := range specs {
			if specs[j].Name == f.Tensor {
				if f.OfVector() {
					continue
				}
				cuts[j].add(&specs[j], place{i, f.Element}, o.Profile.TextBytes)
				t.texts = t.texts || cuts[j].text != nil
			}
		}
	}
	t.addVectors()
	t.division = newDivision(o.Profile, o.Model)
	t.scratch.New = func() any { return &scratch{cursors: make([]cursor, len(t.inputs)+len(t.outputs))} }
	return t
}

// addVectors adds the vectors of the profile.
func (t *Tap) addVectors() {
	for i, s := range t.o.Model.Inputs {
		t.vectors = t.inputs[i].addVector(&s, t.o.Profile.vectorCut(KindInput, s.Name)) || t.vectors
	}
	for i, s := range t.o.Model.Outputs {
		t.vectors = t.outputs[i].addVector(&s, t.o.Profile.vectorCut(KindOutput, s.Name)) || t.vectors
	}
}

// addVector reports whether there is a vector.
func (c *cut) addVector(s *infer.TensorSpec, v *vectorCut) bool {
	if v == nil {
		return false
	}
	c.span(s, v.from, v.from+v.size)
	c.vector = v
	return true
}

// span extends the cut of a tensor of numbers.
func (c *cut) span(s *infer.TensorSpec, from, to int) {
	if c.empty() {
		c.rows = len(s.Shape) > 0 && s.Shape[0] < 0
		c.size, c.read = s.DType.Size(), infer.NumberReader(s.DType)
		c.from, c.to = from, to
	}
	c.from, c.to = min(c.from, from), max(c.to, to)
	c.width = (c.to - c.from) * c.size
}

func (c *cut) add(s *infer.TensorSpec, p place, textBytes int) {
	if len(c.places) == 0 {
		c.rows = len(s.Shape) > 0 && s.Shape[0] < 0
		if s.DType == infer.Bytes {
			c.text = &textCut{limit: textBytes}
		}
		c.size, c.read = s.DType.Size(), infer.NumberReader(s.DType)
		c.from, c.to = p.at, p.at+1
	}
	c.places = append(c.places, p)
	c.from, c.to = min(c.from, p.at), max(c.to, p.at+1)
	c.width = (c.to - c.from) * c.size
	if c.text != nil {
		c.text.add(p)
	}
}

// Offer copies the rows of an answered request, if the request is in the sample.
func (t *Tap) Offer(req *infer.Request, resp *infer.Response) {
	if t.o.Sample < api.TotalWeight && slot.Slot("drift", req.RequestID) >= t.o.Sample {
		return
	}
	n, agree := t.rowsOf(req, resp)
	if n == 0 {
		return
	}
	take := min(n, t.o.MaxRows)
	if t.texts {
		t.offerTexts(req, resp, n, take, agree)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := t.o.MaxBytes - len(t.waiting); !agree || t.size(req, resp, take) > room {
		fits := 0
		if agree && t.vectors { // a row may be so large that only some have room
			fits = t.fitting(req, resp, room)
		}
		t.dropped += uint64(take - fits) //nolint:gosec // not negative
		if take = fits; take == 0 {
			return
		}
	}
	t.waiting = t.put(t.waiting, nil, req, resp, n, take)
}

// size returns the bytes of a record.
func (t *Tap) size(req *infer.Request, resp *infer.Response, take int) int {
	row := 0
	for i := range req.Inputs {
		row += t.inputs[req.Inputs[i].Index].width
	}
	for i := range resp.Outputs {
		row += t.outputs[resp.Outputs[i].Index].width
	}
	return t.head() + len(t.inputs) + len(t.outputs) + take*row
}

// head returns the size of the start of a record.
func (t *Tap) head() int {
	if t.division.byParameter() {
		return headBytes + segmentBytes
	}
	return headBytes
}

// fitting returns how many rows of a request have room.
func (t *Tap) fitting(req *infer.Request, resp *infer.Response, room int) int {
	head := t.size(req, resp, 0)
	return max(0, room-head) / max(1, t.size(req, resp, 1)-head)
}

// rowsOf returns the number of rows of a request, and whether its tensors agree. They do not if an
// input without rows is beside one with several, if outputs and inputs have different numbers of
// rows, or if a row is shorter than the profile's.
func (t *Tap) rowsOf(req *infer.Request, resp *infer.Response) (n int, agree bool) {
	n, agree = -1, true
	for i := range req.Inputs {
		n, agree = t.inputs[req.Inputs[i].Index].count(&req.Inputs[i], n, agree)
	}
	for i := range resp.Outputs {
		n, agree = t.outputs[resp.Outputs[i].Index].count(&resp.Outputs[i], n, agree)
	}
	return max(n, 0), agree
}

// count updates the max number of rows, -1 for none yet, with those of a tensor.
func (c *cut) count(x *infer.Tensor, n int, agree bool) (int, bool) {
	if c.empty() {
		return n, agree
	}
	rows := 1
	if c.rows {
		rows = int(x.Rows())
	}
	// A division, since there can be any number of empty rows, up to the max of int64.
	size, needs := len(x.Data), c.to*c.size
	if c.text != nil {
		elements, _ := x.Shape.Elements()
		size, needs = int(elements), c.to
	}
	agree = agree && (n < 0 || n == rows) && (rows == 0 || size/rows >= needs)
	return max(n, rows), agree
}

// put appends a record: the number of rows, a hash of the sticky key (0 for none), which stands for
// a user, the segment if it is a parameter, a mark for each tensor, and then row by row the cuts of the given tensors. cursors are those of
// the tensors of texts. A record that is longer than the max is not complete.
func (t *Tap) put(dst []byte, cursors []cursor, req *infer.Request, resp *infer.Response, n, take int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(take)) //nolint:gosec // at most MaxRows
	user := uint64(0)
	if req.StickyKey != "" {
		user = max(1, xxh3.HashString(req.StickyKey))
	}
	dst = binary.LittleEndian.AppendUint64(dst, user)
	if t.division.byParameter() {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(t.division.of(req.DriftSegment))) //nolint:gosec // -1 is read back
	}
	marks := len(dst)
	for range t.inputs {
		dst = append(dst, absent)
	}
	for range t.outputs {
		dst = append(dst, unknown)
	}
	for i := range req.Inputs {
		dst[marks+req.Inputs[i].Index] = given
	}
	for i := range resp.Outputs {
		dst[marks+len(t.inputs)+resp.Outputs[i].Index] = given
	}
	for k := range take {
		row := (2*k + 1) * n / (2 * take) // the middle of each part
		for i := range req.Inputs {
			at := req.Inputs[i].Index
			dst = t.inputs[at].append(dst, cursors, at, &req.Inputs[i], row, n)
		}
		dst = t.putOutputs(dst, cursors, resp, row, n)
		if cursors != nil && len(dst) > t.o.MaxBytes {
			break // it has no room
		}
	}
	return dst
}

// putOutputs appends the outputs in the model's order, not the caller's.
func (t *Tap) putOutputs(dst []byte, cursors []cursor, resp *infer.Response, row, n int) []byte {
	for at := range t.outputs {
		if t.outputs[at].empty() {
			continue
		}
		for i := range resp.Outputs {
			if resp.Outputs[i].Index == at {
				dst = t.outputs[at].append(dst, cursors, len(t.inputs)+at, &resp.Outputs[i], row, n)
				break
			}
		}
	}
	return dst
}

// append appends a row of a tensor. at is the tensor's cursor.
func (c *cut) append(dst []byte, cursors []cursor, at int, x *infer.Tensor, row, rows int) []byte {
	if c.empty() {
		return dst
	}
	if c.text != nil {
		if !c.rows {
			row = 0
		}
		return c.text.append(dst, &cursors[at], x, row, rows)
	}
	stride := len(x.Data)
	if c.rows {
		stride /= rows
	} else {
		row = 0
	}
	start := row * stride
	return append(dst, x.Data[start+c.from*c.size:start+c.to*c.size]...)
}

// take makes the waiting rows the next ones to count, if all taken rows have been counted. It
// returns the number of rows dropped since the last call.
func (t *Tap) take() (dropped uint64) {
	dropped, more := t.swap()
	if more && t.division != nil {
		t.divide(t.taken)
	}
	return dropped
}

// swap is take without segments. more reports whether waiting rows were taken.
func (t *Tap) swap() (dropped uint64, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	dropped, t.dropped = t.dropped, 0
	if more = len(t.rest) == 0; more {
		t.taken, t.waiting = t.waiting, t.taken[:0]
		t.rest = t.taken
	}
	return dropped, more
}

// count adds up to limit taken rows to the counts of a window, and returns their number.
func (t *Tap) count(w *Window, split *Splitter, limit uint64) (rows uint64) {
	for ; rows < limit && len(t.rest) > 0; rows++ {
		if t.rows == 0 {
			t.rows = binary.LittleEndian.Uint32(t.rest)
			t.user = binary.LittleEndian.Uint64(t.rest[4:])
			head := t.head()
			t.marks = t.rest[head : head+len(t.inputs)+len(t.outputs)]
			t.rest = t.rest[head+len(t.marks):]
		}
		t.rest = t.addRow(w, split.Next(t.user), t.rest)
		if t.user != 0 {
			w.Known++
		}
		if t.pairs != nil {
			t.pairs.end(w.Pairs)
		}
		t.rows--
	}
	return rows
}

// addVector counts the vector of a row.
func (t *Tap) addVector(w *Window, c *cut, mark byte, halves Halves, left []byte) {
	if mark == absent {
		c.vector.missing(t.o.Profile, w)
		return
	}
	from := (c.vector.from - c.from) * c.size
	row := left[from : from+c.vector.size*c.size]
	c.vector.count(t.o.Profile, w, halves, func(i int) float64 { return c.read(row[i*c.size:]) })
}

// cut returns the cut for the i-th mark of a record.
func (t *Tap) cut(i int) *cut {
	if i < len(t.inputs) {
		return &t.inputs[i]
	}
	return &t.outputs[i-len(t.inputs)]
}

// addRow counts one row and returns the rest.
func (t *Tap) addRow(w *Window, halves Halves, left []byte) []byte {
	counts := w.Counts
	for i, mark := range t.marks {
		c := t.cut(i)
		if c.empty() || mark == unknown {
			continue
		}
		if c.vector != nil {
			t.addVector(w, c, mark, halves, left)
		}
		if c.text != nil && mark == given {
			left = t.addTexts(c.text, counts, halves, left)
			continue
		}
		for _, p := range c.places {
			if mark == absent {
				counts[p.feature].AddMissingIn(halves)
				continue
			}
			bin := counts[p.feature].AddIn(&t.o.Profile.Features[p.feature], c.read(left[(p.at-c.from)*c.size:]), halves)
			if t.pairs != nil {
				t.pairs.see(p.feature, bin)
			}
		}
		if mark == given {
			left = left[c.width:]
		}
	}
	return left
}
