package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// bbolt's format 2. Numbers are in the byte order of the machine.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	branchPage   = 0x01
	leafPage     = 0x02
	metaPage     = 0x04
	freelistPage = 0x10

	headerBytes  = 16 // of a page: id 8, flags 2, count 2, overflow 4
	elementBytes = 16 // branch: position 4, key's size 4, page 8; leaf: flags 4, position 4, key's size 4, value's size 4
	metaBytes    = 64 // after a header: magic 4, version 4, page's size 4, flags 4, root 8, sequence 8, freelist 8, pages 8, transaction 8, checksum 8
	bucketBytes  = 16 // root 8, sequence 8; if root is 0, the only page follows
	bucketFlag   = 0x01

	minPage, maxPage = 1 << 10, 1 << 16
	manyFree         = 0xFFFF // then the first number is the count of free pages
)

func order() binary.ByteOrder { return binary.NativeEndian }

// check reads all pages in use and checks the rules of bbolt's format that bbolt relies
// on. It reads and never maps the file, so that bad content is at worst an error. bbolt's
// own Check maps the file and walks it in a goroutine, in which a fault ends the process.
// The file must be locked.
func check(fd *os.File) error {
	info, err := fd.Stat()
	if err != nil {
		return err
	}
	w := walk{file: fd, size: info.Size()}
	root, freelist, err := w.metas()
	if err != nil {
		return err
	}
	if err := w.tree(root, nil, nil); err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err := w.free(freelist); err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return nil
}

// walk is one walk over all pages of a file.
type walk struct {
	file     io.ReaderAt
	size     int64
	pageSize int64
	used     []bool // pages that are part of a tree, are free, or have the list of free pages
}

// metas reads the two meta pages and returns the roots in the newer one. bbolt writes them
// in turn, as the last step of each transaction. bbolt needs only one valid page. metas
// needs both, since the bad one could have the last event, which was acknowledged. Their 80
// bytes are in one sector, so a crash does not tear them.
func (w *walk) metas() (root, freelist uint64, err error) {
	if w.size == 0 {
		return 0, 0, fmt.Errorf("%w: the file is empty", errDamaged)
	}
	var start [headerBytes + metaBytes]byte
	if _, err := w.file.ReadAt(start[:], 0); errors.Is(err, io.EOF) {
		return 0, 0, fmt.Errorf("%w: it has only %d bytes", errForeign, w.size)
	} else if err != nil {
		return 0, 0, err
	}
	size := int64(order().Uint32(start[headerBytes+8:]))
	switch first := start[headerBytes:]; {
	case order().Uint32(first) != boltMagic || order().Uint32(first[4:]) != boltVersion:
		return 0, 0, fmt.Errorf("%w: it does not begin like a bbolt file", errForeign)
	case size < minPage || size > maxPage || size&(size-1) != 0:
		return 0, 0, fmt.Errorf("%w: %d is not a valid page size", errDamaged, size)
	}
	w.pageSize = size

	var newest []byte
	var transactions [2]uint64
	for i := range transactions {
		var page [headerBytes + metaBytes]byte
		if _, err := w.file.ReadAt(page[:], int64(i)*size); err != nil {
			return 0, 0, fmt.Errorf("%w: page %d: %w", errDamaged, i, err)
		}
		meta := page[headerBytes:]
		sum := fnv.New64a()
		_, _ = sum.Write(meta[:56]) // never fails
		if order().Uint64(page[:]) != uint64(i) || order().Uint16(page[8:]) != metaPage || sum.Sum64() != order().Uint64(meta[56:]) {
			return 0, 0, fmt.Errorf("%w: page %d is not a valid meta page", errDamaged, i)
		}
		if order().Uint32(meta) != boltMagic || order().Uint32(meta[4:]) != boltVersion || int64(order().Uint32(meta[8:])) != size {
			return 0, 0, fmt.Errorf("%w: the two meta pages differ", errDamaged)
		}
		if transactions[i] = order().Uint64(meta[48:]); i == 0 || transactions[1] > transactions[0] {
			newest = bytes.Clone(meta)
		}
	}
	if d := transactions[1] - transactions[0]; d != 1 && d != ^uint64(0) {
		return 0, 0, fmt.Errorf("%w: the two meta pages are not of consecutive transactions", errDamaged)
	}
	pages := order().Uint64(newest[40:])
	if pages < 4 || pages > uint64(w.size/size) { //nolint:gosec // not negative
		return 0, 0, fmt.Errorf("%w: it is truncated: it has %d bytes, expected %d pages of %d bytes", errDamaged, w.size, pages, size)
	}
	w.used = make([]bool, pages)
	w.used[0], w.used[1] = true, true
	return order().Uint64(newest[16:]), order().Uint64(newest[32:]), nil
}

// page is a page with its overflow, or the only page of an inline bucket.
type page struct {
	data         []byte
	flags, count int
}

func newPage(data []byte) page {
	return page{data: data, flags: int(order().Uint16(data[8:])), count: int(order().Uint16(data[10:]))}
}

// read returns a page, and marks it as used.
func (w *walk) read(id uint64) (page, error) {
	if id < 2 || id >= uint64(len(w.used)) {
		return page{}, fmt.Errorf("page %d does not exist: there are %d", id, len(w.used))
	}
	data := make([]byte, w.pageSize)
	at := int64(id) * w.pageSize //nolint:gosec // below the number of pages
	if _, err := w.file.ReadAt(data, at); err != nil {
		return page{}, err
	}
	if got := order().Uint64(data); got != id {
		return page{}, fmt.Errorf("page %d has the id %d", id, got)
	}
	more := uint64(order().Uint32(data[12:]))
	if more >= uint64(len(w.used))-id {
		return page{}, fmt.Errorf("page %d has %d overflow pages, beyond the last page", id, more)
	}
	for i := id; i <= id+more; i++ {
		if err := w.use(i); err != nil {
			return page{}, err
		}
	}
	if more == 0 {
		return newPage(data), nil
	}
	whole := make([]byte, int64(1+more)*w.pageSize) //nolint:gosec // below the number of pages
	_, err := w.file.ReadAt(whole, at)
	return newPage(whole), err
}

func (w *walk) use(id uint64) error {
	if id < 2 || id >= uint64(len(w.used)) {
		return fmt.Errorf("page %d in the list of free pages does not exist: there are %d", id, len(w.used))
	}
	if w.used[id] {
		return fmt.Errorf("page %d is used twice", id)
	}
	w.used[id] = true
	return nil
}

// tree walks a page and all pages below it. Their keys must be at least from and less than
// to. nil is not a bound.
func (w *walk) tree(id uint64, from, to []byte) error {
	p, err := w.read(id)
	if err != nil {
		return err
	}
	switch {
	case p.flags == leafPage:
		err = w.leaf(p, from, to, false)
	case p.flags == branchPage && p.count > 0:
		err = w.branch(p, from, to)
	default:
		err = fmt.Errorf("the flags %#x with %d elements are not valid", p.flags, p.count)
	}
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

func (w *walk) branch(p page, from, to []byte) error {
	keys, err := p.keys(from, to)
	if err != nil {
		return err
	}
	for i, key := range keys {
		next := to
		if i+1 < len(keys) {
			next = keys[i+1]
		}
		if err := w.tree(order().Uint64(p.element(i)[8:]), key, next); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) leaf(p page, from, to []byte, inline bool) error {
	if _, err := p.keys(from, to); err != nil {
		return err
	}
	for i := range p.count {
		switch flags := order().Uint32(p.element(i)); {
		case flags == 0:
		case flags == bucketFlag && !inline:
			if err := w.bucket(p.value(i)); err != nil {
				return err
			}
		default:
			return fmt.Errorf("element %d has the flags %#x, which are not valid", i, flags)
		}
	}
	return nil
}

func (w *walk) bucket(value []byte) error {
	if len(value) < bucketBytes {
		return fmt.Errorf("a bucket has only %d bytes", len(value))
	}
	if root := order().Uint64(value); root != 0 {
		return w.tree(root, nil, nil)
	}
	if len(value) < bucketBytes+headerBytes {
		return fmt.Errorf("an inline bucket has only %d bytes", len(value))
	}
	p := newPage(value[bucketBytes:])
	if p.flags != leafPage {
		return fmt.Errorf("an inline bucket has the flags %#x, which are not valid", p.flags)
	}
	return w.leaf(p, nil, nil, true)
}

func (p page) element(i int) []byte { return p.data[headerBytes+i*elementBytes:][:elementBytes] }

// part returns the offset of element i's key in the page, and the sizes of its key and
// value.
func (p page) part(i int) (at, key, value int64) {
	e, start := p.element(i), int64(headerBytes+i*elementBytes)
	if p.flags == branchPage {
		return start + int64(order().Uint32(e)), int64(order().Uint32(e[4:])), 0
	}
	return start + int64(order().Uint32(e[4:])), int64(order().Uint32(e[8:])), int64(order().Uint32(e[12:]))
}

// keys returns the keys of all elements. It checks that keys and values are in the page
// after the elements, and that the keys are sorted and within the bounds.
func (p page) keys(from, to []byte) ([][]byte, error) {
	behind := int64(headerBytes + p.count*elementBytes)
	if behind > int64(len(p.data)) {
		return nil, fmt.Errorf("%d elements do not fit in %d bytes", p.count, len(p.data))
	}
	keys := make([][]byte, p.count)
	for i := range keys {
		at, key, value := p.part(i)
		if at < behind || key < 1 || at+key+value > int64(len(p.data)) {
			return nil, fmt.Errorf("element %d is outside of its page", i)
		}
		keys[i] = p.data[at : at+key]
		if i > 0 && bytes.Compare(keys[i-1], keys[i]) >= 0 {
			return nil, fmt.Errorf("element %d is out of order", i)
		}
	}
	if len(keys) > 0 && (bytes.Compare(keys[0], from) < 0 || to != nil && bytes.Compare(keys[len(keys)-1], to) >= 0) {
		return nil, errors.New("its keys are out of the range of its parent")
	}
	return keys, nil
}

func (p page) value(i int) []byte {
	at, key, value := p.part(i)
	return p.data[at+key : at+key+value]
}

// free reads the list of free pages. It must not have a page that is in use. A page that
// is neither free nor in use only wastes space.
func (w *walk) free(id uint64) error {
	p, err := w.read(id)
	if err != nil {
		return fmt.Errorf("the list of free pages: %w", err)
	}
	if p.flags != freelistPage {
		return fmt.Errorf("the list of free pages, page %d, has the flags %#x", id, p.flags)
	}
	ids, n := p.data[headerBytes:], uint64(p.count) //nolint:gosec // not negative
	if p.count == manyFree {
		n, ids = order().Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids)/8) {
		return fmt.Errorf("%d free pages do not fit in a list of %d bytes", n, len(p.data))
	}
	for i := range n {
		if err := w.use(order().Uint64(ids[8*i:])); err != nil {
			return err
		}
	}
	return nil
}
