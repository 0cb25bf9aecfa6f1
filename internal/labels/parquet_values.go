package labels

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	pq "github.com/parquet-go/parquet-go/format"
)

// parquetValues are the values of a page that are not missing. One of the lists is used, by the
// type of the column.
type parquetValues struct {
	ints   []int64 // also bools, 0 or 1
	floats []float64
	texts  []string
}

func (v *parquetValues) len() int { return max(len(v.ints), len(v.floats), len(v.texts)) }

func (v *parquetValues) reset() { v.ints, v.floats, v.texts = v.ints[:0], v.floats[:0], v.texts[:0] }

var errPageEnd = errors.New("a page has fewer values than it says")

// decode reads n values of a page. b has nothing else.
func (v *parquetValues) decode(kind pq.Type, encoding pq.Encoding, b []byte, n int) error {
	v.reset()
	switch {
	case encoding == pq.Plain && kind == pq.Boolean:
		return v.plainBools(b, n)
	case encoding == pq.Plain && kind == pq.ByteArray:
		return v.plainTexts(b, n)
	case encoding == pq.Plain:
		return v.plainNumbers(kind, b, n, 1)
	case encoding == pq.ByteStreamSplit && kind != pq.ByteArray && kind != pq.Boolean:
		return v.plainNumbers(kind, b, n, n)
	case encoding == pq.RLE && kind == pq.Boolean:
		return v.runsOfBools(b, n)
	case encoding == pq.DeltaBinaryPacked && (kind == pq.Int32 || kind == pq.Int64):
		list, _, err := decodeDeltas(v.ints, b, n)
		for i := range list {
			if kind == pq.Int32 {
				list[i] = int64(int32(list[i])) //nolint:gosec // it wraps around, as the format says
			}
		}
		v.ints = list
		return err
	case encoding == pq.DeltaLengthByteArray && kind == pq.ByteArray:
		return v.deltaTexts(b, n)
	}
	return fmt.Errorf("values of type %v with the encoding %v are not supported", kind, encoding)
}

// plainNumbers reads numbers of 4 or 8 bytes. stride is the distance of the bytes of a number: 1, or n
// if the first bytes of all numbers come first.
func (v *parquetValues) plainNumbers(kind pq.Type, b []byte, n, stride int) error {
	size := 8
	if kind == pq.Int32 || kind == pq.Float {
		size = 4
	}
	if len(b)/size < n {
		return errPageEnd
	}
	for i := range n {
		var raw [8]byte
		for k := range size {
			if stride == 1 {
				raw[k] = b[i*size+k]
			} else {
				raw[k] = b[k*stride+i]
			}
		}
		bits := binary.LittleEndian.Uint64(raw[:])
		switch kind {
		case pq.Int32:
			v.ints = append(v.ints, int64(int32(uint32(bits)))) //nolint:gosec // the bits of a signed number
		case pq.Int64:
			v.ints = append(v.ints, int64(bits)) //nolint:gosec // likewise
		case pq.Float:
			v.floats = append(v.floats, float64(math.Float32frombits(uint32(bits)))) //nolint:gosec // 4 bytes
		default:
			v.floats = append(v.floats, math.Float64frombits(bits))
		}
	}
	return nil
}

func (v *parquetValues) plainBools(b []byte, n int) error {
	if len(b) < (n+7)/8 {
		return errPageEnd
	}
	for i := range n {
		v.ints = append(v.ints, int64(b[i/8]>>(i%8)&1))
	}
	return nil
}

func (v *parquetValues) runsOfBools(b []byte, n int) error {
	if len(b) < 4 {
		return errPageEnd
	}
	runs, err := decodeRuns(nil, b[4:], 1, n)
	for _, x := range runs {
		v.ints = append(v.ints, int64(x))
	}
	return err
}

// plainTexts reads texts after their lengths. They share memory.
func (v *parquetValues) plainTexts(b []byte, n int) error {
	all := string(b)
	for at := 0; n > 0; n-- {
		if len(b)-at < 4 {
			return errPageEnd
		}
		size := uint64(binary.LittleEndian.Uint32(b[at:]))
		at += 4
		if size > uint64(len(b)-at) { //nolint:gosec // at is in b
			return errPageEnd
		}
		v.texts = append(v.texts, all[at:at+int(size)]) //nolint:gosec // at most the length of b
		at += int(size)                                 //nolint:gosec // likewise
	}
	return nil
}

// deltaTexts reads texts after all of their lengths.
func (v *parquetValues) deltaTexts(b []byte, n int) error {
	lengths, rest, err := decodeDeltas(nil, b, n)
	if err != nil {
		return err
	}
	all := string(rest)
	for _, size := range lengths {
		if size < 0 || size > int64(len(all)) {
			return errPageEnd
		}
		v.texts = append(v.texts, all[:size])
		all = all[size:]
	}
	return nil
}

// indexed sets the values to those of a dictionary.
func (v *parquetValues) indexed(dict *parquetValues, b []byte, n int) error {
	v.reset()
	if n == 0 {
		return nil
	}
	if len(b) == 0 || b[0] > 32 {
		return errPageEnd
	}
	indices, err := decodeRuns(nil, b[1:], int(b[0]), n)
	if err != nil {
		return err
	}
	for _, i := range indices {
		switch k := int(i); {
		case k < len(dict.ints):
			v.ints = append(v.ints, dict.ints[k])
		case k < len(dict.floats):
			v.floats = append(v.floats, dict.floats[k])
		case k < len(dict.texts):
			v.texts = append(v.texts, dict.texts[k])
		default:
			return fmt.Errorf("a page names value %d of a dictionary of %d", i, dict.len())
		}
	}
	return nil
}

// decodeRuns appends n numbers of some bits each, which are in runs of the same number or packed.
func decodeRuns(dst []uint32, b []byte, bits, n int) ([]uint32, error) {
	for n > 0 {
		head, k := binary.Uvarint(b)
		if k <= 0 {
			return dst, errPageEnd
		}
		b = b[k:]
		count, packed := head>>1, head&1 == 1
		if !packed {
			size := (bits + 7) / 8
			if len(b) < size || count == 0 {
				return dst, errPageEnd
			}
			var raw [4]byte
			copy(raw[:], b[:size])
			for range min(count, uint64(n)) { //nolint:gosec // n is positive
				dst = append(dst, binary.LittleEndian.Uint32(raw[:]))
				n--
			}
			b = b[size:]
			continue
		}
		// Packed numbers are in groups of 8, the last of which may be cut off.
		have := uint64(math.MaxUint64)
		if bits > 0 {
			have = uint64(len(b)) * 8 / uint64(bits)
		}
		if count == 0 || count > math.MaxInt32 || have < min(8*count, uint64(n)) { //nolint:gosec // n is positive
			return dst, errPageEnd
		}
		for i := range min(8*int(count), n) { //nolint:gosec // checked above
			dst = append(dst, uint32(unpack(b, i*bits, bits))) //nolint:gosec // at most 32 bits
			n--
		}
		b = b[min(len(b), int(count)*bits):] //nolint:gosec // checked above
	}
	return dst, nil
}

// unpack returns the number of some bits at a position in bits. The lowest bit is the first.
func unpack(b []byte, at, bits int) (x uint64) {
	for got := 0; got < bits; {
		shift := (at + got) % 8
		x |= uint64(b[(at+got)/8]>>shift) << got
		got += 8 - shift
	}
	if bits < 64 {
		x &= 1<<bits - 1
	}
	return x
}

// decodeDeltas appends n numbers that are stored as packed differences, and returns what follows.
func decodeDeltas(dst []int64, b []byte, n int) ([]int64, []byte, error) {
	var head [3]uint64 // values of a block, its parts, and all values
	for i := range head {
		x, k := binary.Uvarint(b)
		if k <= 0 || x > math.MaxInt32 {
			return dst, b, errPageEnd
		}
		head[i], b = x, b[k:]
	}
	last, k := binary.Varint(b)
	parts := int(head[1])                                                                                   //nolint:gosec // checked above
	if k <= 0 || parts == 0 || head[0] == 0 || head[0]%uint64(parts) != 0 || head[2] != uint64(max(n, 0)) { //nolint:gosec // likewise
		return dst, b, errPageEnd
	}
	b = b[k:]
	size := int(head[0]) / parts //nolint:gosec // likewise
	if n > 0 {
		dst = append(dst, last)
		n--
	}
	for n > 0 {
		least, k := binary.Varint(b)
		if k <= 0 || len(b)-k < parts {
			return dst, b, errPageEnd
		}
		widths := b[k : k+parts]
		b = b[k+parts:]
		for _, width := range widths {
			if n == 0 {
				break // parts without values are not there
			}
			bits, count := int(width), min(size, n)
			if bits > 64 || (len(b)*8)/max(bits, 1) < count && bits > 0 {
				return dst, b, errPageEnd
			}
			for i := range count {
				last += least + int64(unpack(b, i*bits, bits)) //nolint:gosec // it wraps around, as the format says
				dst = append(dst, last)
			}
			n -= count
			b = b[min(len(b), size*bits/8):]
		}
	}
	return dst, b, nil
}
