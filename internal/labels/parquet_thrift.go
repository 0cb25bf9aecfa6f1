package labels

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/thrift"
)

// Types of values in Thrift's compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftInt16  = 4
	thriftInt64  = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftStruct = 12
)

// maxThriftDepth is the max depth of structures in metadata of Parquet, which has fewer levels.
const maxThriftDepth = 16

var errThriftEnd = errors.New("it ends too early")

// thriftScan checks a structure in Thrift's compact protocol before a decoder sees it. The decoder
// allocates a list before it has read the elements, and believes any length.
type thriftScan struct {
	b        []byte
	at       int
	items    int // elements of lists so far
	maxItems int
}

// scanThrift returns the length of the structure at the beginning of b, and how many elements its
// lists have in all. They are at most maxItems.
func scanThrift(b []byte, maxItems int) (length, items int, err error) {
	s := thriftScan{b: b, maxItems: maxItems}
	err = s.structure(0)
	return s.at, s.items, err
}

func (s *thriftScan) structure(depth int) error {
	if depth > maxThriftDepth {
		return fmt.Errorf("it has more than %d levels", maxThriftDepth)
	}
	for {
		head, err := s.byte()
		if err != nil || head == 0 {
			return err
		}
		if head>>4 == 0 { // the number of the field follows
			if _, err := s.number(); err != nil {
				return err
			}
		}
		kind := head & 0xf
		if kind == thriftTrue || kind == thriftFalse {
			continue // the type of a field is the value
		}
		if err := s.value(kind, depth); err != nil {
			return err
		}
	}
}

// value skips one value.
func (s *thriftScan) value(kind byte, depth int) error {
	switch kind {
	case thriftTrue, thriftFalse, thriftByte:
		return s.skip(1)
	case thriftInt16, thriftInt16 + 1, thriftInt64:
		_, err := s.number()
		return err
	case thriftDouble:
		return s.skip(8)
	case thriftBinary:
		n, err := s.number()
		if err != nil {
			return err
		}
		return s.skip(n)
	case thriftList, thriftSet:
		return s.list(depth)
	case thriftStruct:
		return s.structure(depth + 1)
	default: // maps too, which metadata of Parquet does not have
		return fmt.Errorf("it has a value of the unknown type %d", kind)
	}
}

func (s *thriftScan) list(depth int) error {
	if depth > maxThriftDepth {
		return fmt.Errorf("it has more than %d levels", maxThriftDepth)
	}
	head, err := s.byte()
	if err != nil {
		return err
	}
	n := uint64(head >> 4)
	if n == 0xf {
		if n, err = s.number(); err != nil {
			return err
		}
	}
	if n > uint64(s.maxItems-s.items) { //nolint:gosec // items are at most maxItems
		return fmt.Errorf("its lists have more than %d elements", s.maxItems)
	}
	s.items += int(n) //nolint:gosec // at most maxItems
	for range n {
		if err := s.value(head&0xf, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (s *thriftScan) byte() (byte, error) {
	if s.at == len(s.b) {
		return 0, errThriftEnd
	}
	s.at++
	return s.b[s.at-1], nil
}

func (s *thriftScan) number() (uint64, error) {
	x, n := binary.Uvarint(s.b[s.at:])
	if n <= 0 {
		return 0, errThriftEnd
	}
	s.at += n
	return x, nil
}

func (s *thriftScan) skip(n uint64) error {
	if n > uint64(len(s.b)-s.at) { //nolint:gosec // at is in b
		return errThriftEnd
	}
	s.at += int(n) //nolint:gosec // at most the length of b
	return nil
}

// readThrift decodes a structure that was checked.
func readThrift(b []byte, v any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it cannot be decoded: %v", r)
		}
	}()
	return thrift.Unmarshal(&thrift.CompactProtocol{}, b, v)
}
