package oip

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"unsafe"

	"sluice.io/sluice/internal/infer"
)

// Classifies reports whether the request asks for classes of an output.
func (c *Call) Classifies() bool {
	return slices.ContainsFunc(c.Outputs, func(ref infer.OutputRef) bool { return ref.Classes > 0 })
}

// Classify replaces the outputs for which the request asks for classes: with BYTES "value:index" or
// "value:index:label" of the largest values, the largest first and equal values by index, as in
// Triton's classification extension. An output of rank 2 or more with a free first dimension in the
// signature becomes [rows, classes]. For any other output the best of all elements are given,
// [classes]. NaN comes last.
//
// It returns the size of all outputs in bytes. Errors are Invalid (more elements than the limit)
// and those of the request's Memory.
func (c *Call) Classify(resp *infer.Response) (size int, err error) {
	for i := range resp.Outputs {
		if i < len(c.Outputs) && c.Outputs[i].Classes > 0 {
			if err := c.classify(resp, i); err != nil {
				return 0, err
			}
		}
		size += len(resp.Outputs[i].Data)
	}
	return size, nil
}

func (c *Call) classify(resp *infer.Response, i int) error {
	t, ref := resp.Outputs[i], &c.Outputs[i]
	elements, ok := t.Shape.Elements()
	if !ok || elements > int64(c.lim.MaxClassified) {
		return infer.Errorf(infer.Invalid, "output '%s' has shape %v; classification takes at most %d elements, ask for the values", t.Name, t.Shape, c.lim.MaxClassified)
	}
	rows, classes := int64(1), elements
	byRow := len(t.Shape) > 1 && (len(ref.Spec.Shape) == 0 || ref.Spec.Shape[0] < 0) // without a shape, every dimension may vary
	if byRow {
		rows = t.Shape[0]
		classes, _ = t.Shape[1:].Elements() // it cannot overflow, unless there are no rows
	}
	best := min(int64(ref.Classes), classes)
	if p := c.rank(&t, int(rows), int(classes), int(best)); p != nil {
		return p.err()
	}
	shape := infer.Shape{rows, best}
	if !byRow {
		shape = shape[1:]
	}
	room := resp.Add(t.Name, t.Index, infer.Bytes, shape, c.classBytes(&t, ref.Spec.Labels))
	if err := resp.Err(); err != nil {
		return err
	}
	data := room[:0]
	for _, r := range c.best {
		start := len(data)
		data = appendClass(append(data, 0, 0, 0, 0), &t, r)
		if label := labelOf(ref.Spec.Labels, r); label != "" {
			data = append(append(data, ':'), label...)
		}
		binary.LittleEndian.PutUint32(data[start:], uint32(len(data)-start-lengthBytes)) //nolint:gosec // labels are far shorter
	}
	last := len(resp.Outputs) - 1
	resp.Outputs[i] = resp.Outputs[last]
	resp.Outputs = resp.Outputs[:last]
	return nil
}

const (
	lengthBytes  = 4   // before each element of BYTES
	longestClass = 400 // a double in full, and an index
)

// classBytes returns the size of the selected classes in bytes.
func (c *Call) classBytes(t *infer.Tensor, labels []string) int {
	var room [longestClass]byte
	size := 0
	for _, r := range c.best {
		size += lengthBytes + len(appendClass(room[:0], t, r))
		if label := labelOf(labels, r); label != "" {
			size += len(":") + len(label)
		}
	}
	return size
}

// ranked is an element that is compared with the others in its row.
type ranked struct {
	key   uint64 // greater for a greater value; 0 for NaN
	at    uint32 // its index in the tensor
	class uint32 // its index in the row
}

func (a ranked) better(b ranked) bool { return a.compare(b) < 0 }

// compare orders the better element first.
func (a ranked) compare(b ranked) int {
	if a.key != b.key {
		return cmp.Compare(b.key, a.key)
	}
	return cmp.Compare(a.class, b.class)
}

// rank sets c.best to the best elements of each row, one row after the other.
func (c *Call) rank(t *infer.Tensor, rows, classes, best int) *problem {
	c.best = c.best[:0]
	if n := rows * best; cap(c.best) < n {
		if p := c.reserve(n * int(unsafe.Sizeof(ranked{}))); p != nil {
			return p
		}
		c.best = make([]ranked, 0, n)
	}
	if best == 0 {
		return nil
	}
	for row := range rows {
		first := len(c.best)
		for class := range classes {
			at := row*classes + class
			r := ranked{rankKey(t, at), uint32(at), uint32(class)} //nolint:gosec // below MaxClassified
			switch top := c.best[first:]; {
			case len(top) < best:
				c.best = append(c.best, r)
				if len(top) == best-1 && best < classes {
					heapify(c.best[first:])
				}
			case r.better(top[0]):
				top[0] = r
				sink(top, 0)
			}
		}
		slices.SortFunc(c.best[first:], ranked.compare)
	}
	return nil
}

// heapify makes h a heap with the worst element on top.
func heapify(h []ranked) {
	for i := len(h)/2 - 1; i >= 0; i-- {
		sink(h, i)
	}
}

// sink moves element i of a heap down to its place.
func sink(h []ranked, i int) {
	for {
		worst := 2*i + 1
		if worst >= len(h) {
			return
		}
		if right := worst + 1; right < len(h) && h[worst].better(h[right]) {
			worst = right
		}
		if !h[i].better(h[worst]) {
			return
		}
		h[i], h[worst] = h[worst], h[i]
		i = worst
	}
}

// rankKey returns a number that orders like the element, without rounding.
func rankKey(t *infer.Tensor, at int) uint64 {
	const sign = 1 << 63
	switch t.DType {
	case infer.Uint8, infer.Uint16, infer.Uint32, infer.Uint64:
		return unsignedAt(t, at)
	case infer.Int8, infer.Int16, infer.Int32, infer.Int64:
		return uint64(signedAt(t, at)) ^ sign //nolint:gosec // the bits are meant
	default:
		f := floatAt(t, at)
		switch bits := math.Float64bits(f); {
		case f != f:
			return 0
		case f == 0: // of either sign
			return sign
		case f < 0:
			return ^bits
		default:
			return bits | sign
		}
	}
}

// appendClass appends "value:index". Floats have six decimals, like C++'s to_string.
func appendClass(dst []byte, t *infer.Tensor, r ranked) []byte {
	switch at := int(r.at); t.DType {
	case infer.Uint8, infer.Uint16, infer.Uint32, infer.Uint64:
		dst = strconv.AppendUint(dst, unsignedAt(t, at), 10)
	case infer.Int8, infer.Int16, infer.Int32, infer.Int64:
		dst = strconv.AppendInt(dst, signedAt(t, at), 10)
	default:
		switch f := floatAt(t, at); {
		case f != f:
			dst = append(dst, "nan"...)
		case math.IsInf(f, 1):
			dst = append(dst, "inf"...)
		case math.IsInf(f, -1):
			dst = append(dst, "-inf"...)
		default:
			const decimals = 6
			dst = strconv.AppendFloat(dst, f, 'f', decimals, 64)
		}
	}
	return strconv.AppendUint(append(dst, ':'), uint64(r.class), 10)
}

// labelOf returns the label of a class, which may be empty.
func labelOf(labels []string, r ranked) string {
	if int(r.class) < len(labels) {
		return labels[r.class]
	}
	return ""
}

func unsignedAt(t *infer.Tensor, at int) uint64 {
	le, b := binary.LittleEndian, t.Data[at*t.DType.Size():]
	switch t.DType {
	case infer.Uint8:
		return uint64(b[0])
	case infer.Uint16:
		return uint64(le.Uint16(b))
	case infer.Uint32:
		return uint64(le.Uint32(b))
	default:
		return le.Uint64(b)
	}
}

func signedAt(t *infer.Tensor, at int) int64 {
	le, b := binary.LittleEndian, t.Data[at*t.DType.Size():]
	switch t.DType {
	case infer.Int8:
		return int64(int8(b[0]))
	case infer.Int16:
		return int64(int16(le.Uint16(b))) //nolint:gosec // the bits are what is meant
	case infer.Int32:
		return int64(int32(le.Uint32(b))) //nolint:gosec // the bits are what is meant
	default:
		return int64(le.Uint64(b)) //nolint:gosec // the bits are what is meant
	}
}

func floatAt(t *infer.Tensor, at int) float64 {
	le, b := binary.LittleEndian, t.Data[at*t.DType.Size():]
	switch t.DType {
	case infer.FP16:
		return float64(infer.FP16ToFloat32(le.Uint16(b)))
	case infer.BF16:
		return float64(infer.BF16ToFloat32(le.Uint16(b)))
	case infer.FP32:
		return float64(math.Float32frombits(le.Uint32(b)))
	default:
		return math.Float64frombits(le.Uint64(b))
	}
}
