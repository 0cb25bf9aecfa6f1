package labels

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// A loss model predicts the loss of each row. Its answer comes some time after the prediction, also
// after labels. The queue has it as
//
//	3 | time of the request i64 | version of a shadow i64, 0 if it is of the answer | source | rows u32 | losses f64
//
// and a stored prediction is followed by the source and a loss for each of its rows. A source is
// its id as u64 and 1 if it is about the squared error, else 0. A loss that cannot be is NaN.

// maxSources is the max number of loss models that a cell has sums of; older ones are forgotten.
const maxSources = 4

func appendSource(dst []byte, s LossSource) []byte {
	squared := byte(0)
	if s.Squared {
		squared = 1
	}
	return append(binary.LittleEndian.AppendUint64(dst, s.ID), squared)
}

func (r *reader) source() LossSource { return LossSource{ID: r.uint64(), Squared: r.byte() == 1} }

func appendExpected(dst []byte, s LossSource, at time.Time, shadow int64, losses []float64) []byte {
	dst = append(dst, recordExpected)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(at.UnixNano())) //nolint:gosec // only compared
	dst = binary.LittleEndian.AppendUint64(dst, uint64(shadow))        //nolint:gosec // read back as int64
	dst = appendSource(dst, s)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(losses))) //nolint:gosec // bounded by the settings
	for _, x := range losses {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(x))
	}
	return dst
}

// possible returns a loss as it counts: one below 0 is 0. It is NaN if it cannot be a loss.
func (s LossSource) possible(x float64) float64 {
	if math.IsNaN(x) || x > s.loss(largestError) {
		return math.NaN()
	}
	return max(x, 0)
}

// expect stores the losses that a loss model expects beside the prediction that they are about. If
// that is not kept any more, or was replaced by another one, they are forgotten.
func (w *writing) expect(model string, e *entry) error {
	r := reader{b: e.record[1:]}
	at, shadow := time.Unix(0, int64(r.uint64())), int64(r.uint64()) //nolint:gosec // were int64s
	source, rows := r.source(), int(r.uint32())
	t, stored := w.predicted(model, string(e.id), shadow)
	if stored == nil || r.failed || !t.record.time.Equal(at) {
		return nil
	}
	p := &t.record
	if _, _, known := p.expected(0); known || len(p.data) != 8*p.rows {
		return nil
	}
	form, err := w.formOf(p.form)
	if err != nil || form.Kind != kindValue {
		return err
	}
	key := cellKey{version: p.version, form: p.form, role: p.role}
	if key.segment, err = w.segment(model, p.segment); err != nil {
		return err
	}
	c, err := w.cell(t.slice, model, key)
	if err != nil {
		return err
	}
	sums := c.expected(source)
	data := appendSource(slices.Clone(p.data), source)
	for i := range p.rows {
		x := math.NaN()
		if i < rows {
			x = source.possible(math.Float64frombits(r.uint64()))
		}
		sums.add(x)
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(x))
	}
	w.grown += uint64(len(data) - len(p.data)) //nolint:gosec // it has grown
	p.data = data
	for _, key := range rowsOf(t.labels, t.key) {
		i := int(binary.BigEndian.Uint32(key[len(t.key):]))
		if x, ok := p.at(form, i); ok {
			l, _ := form.restore(t.labels.Get(key))
			c.compare(form, p, i, x, l, 1)
		}
	}
	return stored.Put(slices.Clone(t.key), appendPrediction(nil, p))
}

// predicted returns the prediction that was answered, or that of a shadow, and the bucket that it is
// stored in under its key; nil if it is not kept any more.
func (w *writing) predicted(model, id string, shadow int64) (t target, stored *bbolt.Bucket) {
	if shadow == 0 {
		found, key, p := w.find(model, id)
		if found == nil {
			return t, nil
		}
		of := found.of(model)
		return target{found, of.labels, key, key, p}, of.predictions
	}
	list := w.shadowsOf(model, []byte(id))
	i := slices.IndexFunc(list, func(t target) bool { return t.record.version == shadow })
	if i < 0 {
		return t, nil
	}
	return list[i], list[i].labels
}

// expected returns the loss that is expected for a row.
func (p *prediction) expected(i int) (s LossSource, loss float64, ok bool) {
	r := reader{b: p.data}
	r.bytes(8 * p.rows)
	s = r.source()
	r.bytes(8 * i)
	loss = math.Float64frombits(r.uint64())
	return s, loss, !r.failed
}

// Expected has the sums over the rows for which a loss model expects a loss, and over those of them
// that have a label.
type Expected struct {
	Source  LossSource
	Rows    int64
	Invalid int64   // rows for which it gave none, or one that cannot be
	Sum     float64 // of the expected losses
	Squares float64

	Labelled        int64
	LabelledSum     float64 // of the expected losses
	LabelledSquares float64
	Truth           float64 // sum of the losses
	Residuals       float64 // sum of the squares of the differences
}

func (x *Expected) add(loss float64) {
	if math.IsNaN(loss) {
		x.Invalid++
		return
	}
	x.Rows++
	x.Sum += loss
	x.Squares += loss * loss
}

// expected returns the sums of a loss model.
func (c *cell) expected(s LossSource) *Expected {
	i := slices.IndexFunc(c.Expected, func(x Expected) bool { return x.Source == s })
	if i < 0 {
		i = len(c.Expected)
		c.Expected = append(c.Expected, Expected{Source: s})
	}
	return &c.Expected[i]
}

// compare adds the loss of a labelled row beside the expected one, or takes it out.
func (c *cell) compare(f *Form, p *prediction, i int, x row, l Label, sign int64) {
	if f.Kind != kindValue || len(p.data) <= 8*p.rows {
		return
	}
	source, expected, ok := p.expected(i)
	e := x.value - l.Number
	if !ok || math.IsNaN(expected) || math.IsNaN(e) || math.Abs(e) > largestError {
		return
	}
	loss, s, sums := source.loss(e), float64(sign), c.expected(source)
	sums.Labelled += sign
	sums.LabelledSum += s * expected
	sums.LabelledSquares += s * expected * expected
	sums.Truth += s * loss
	sums.Residuals += s * (loss - expected) * (loss - expected)
}

func (x *Expected) merge(o *Expected) {
	x.Rows, x.Invalid, x.Labelled = x.Rows+o.Rows, x.Invalid+o.Invalid, x.Labelled+o.Labelled
	x.Sum, x.Squares = x.Sum+o.Sum, x.Squares+o.Squares
	x.LabelledSum, x.LabelledSquares = x.LabelledSum+o.LabelledSum, x.LabelledSquares+o.LabelledSquares
	x.Truth, x.Residuals = x.Truth+o.Truth, x.Residuals+o.Residuals
}

func (x *Expected) counts() []*int64 { return []*int64{&x.Rows, &x.Invalid, &x.Labelled} }

func (x *Expected) sums() []*float64 {
	return []*float64{&x.Sum, &x.Squares, &x.LabelledSum, &x.LabelledSquares, &x.Truth, &x.Residuals}
}

// encodeExpected appends the sums of the newest loss models.
func encodeExpected(b []byte, list []Expected) []byte {
	list = list[max(len(list)-maxSources, 0):]
	b = append(b, byte(len(list)))
	for i := range list {
		x := &list[i]
		b = appendSource(b, x.Source)
		for _, n := range x.counts() {
			b = binary.AppendVarint(b, *n)
		}
		for _, f := range x.sums() {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(*f))
		}
	}
	return b
}

func (r *reader) expected() (list []Expected) {
	n := int(r.byte())
	if n > maxSources {
		r.failed, r.b = true, nil
	}
	for range n {
		x := Expected{Source: r.source()}
		for _, n := range x.counts() {
			*n = r.varint()
		}
		for _, f := range x.sums() {
			*f = math.Float64frombits(r.uint64())
		}
		if r.failed {
			return nil
		}
		list = append(list, x)
	}
	return list
}
