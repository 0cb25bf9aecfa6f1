package labels

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	pq "github.com/parquet-go/parquet-go/format"
)

// parquetPage is a page as its header describes it.
type parquetPage struct {
	dictionary bool
	values     int // also missing ones
	missing    int // -1: the levels say it
	encoding   pq.Encoding
	levels     int // bytes before the compressed part; -1: the levels are compressed too, after their length
	compressed bool
	size       int // of all bytes, when they are decompressed
	data       []byte
}

// nextPage takes a page of a column from the beginning of b. ok is false if it has no values.
func nextPage(b []byte) (page parquetPage, rest []byte, ok bool, err error) {
	const maxItems = 16 // the header of a page has no long lists
	n, _, err := scanThrift(b, maxItems)
	if err != nil {
		return page, nil, false, fmt.Errorf("the header of a page: %w", err)
	}
	var h pq.PageHeader
	if err := readThrift(b[:n], &h); err != nil {
		return page, nil, false, fmt.Errorf("the header of a page: %w", err)
	}
	b = b[n:]
	if h.CompressedPageSize < 0 || h.UncompressedPageSize < 0 || int(h.CompressedPageSize) > len(b) {
		return page, nil, false, errors.New("a page does not fit into its column")
	}
	page = parquetPage{size: int(h.UncompressedPageSize), data: b[:h.CompressedPageSize], levels: -1, missing: -1, compressed: true}
	switch {
	case h.Type == pq.DictionaryPage && h.DictionaryPageHeader.Valid:
		d := &h.DictionaryPageHeader.V
		page.dictionary, page.values, page.encoding, page.levels = true, int(d.NumValues), d.Encoding, 0
	case h.Type == pq.DataPage && h.DataPageHeader.Valid:
		d := &h.DataPageHeader.V
		page.values, page.encoding = int(d.NumValues), d.Encoding
	case h.Type == pq.DataPageV2 && h.DataPageHeaderV2.Valid:
		d := &h.DataPageHeaderV2.V
		page.values, page.missing, page.encoding = int(d.NumValues), int(d.NumNulls), d.Encoding
		page.levels = int(d.DefinitionLevelsByteLength)
		page.compressed = !d.IsCompressed.Valid || d.IsCompressed.V
		if d.RepetitionLevelsByteLength != 0 || page.missing < 0 || page.missing > page.values || page.levels < 0 || page.levels > min(len(page.data), page.size) {
			return page, nil, false, errors.New("the header of a page contradicts itself")
		}
	case h.Type == pq.IndexPage:
		return page, b[h.CompressedPageSize:], false, nil
	default:
		return page, nil, false, errors.New("a page is of an unknown type")
	}
	if page.values < 0 {
		return page, nil, false, errors.New("a page has fewer than 0 values")
	}
	if h.CRC != 0 && crc32.ChecksumIEEE(page.data) != uint32(h.CRC) { //nolint:gosec // the bits of a checksum
		return page, nil, false, errors.New("the checksum of a page is wrong")
	}
	return page, b[h.CompressedPageSize:], true, nil
}

// plain returns the levels and the decompressed values of a page. It uses buf for them if it is large enough.
func (p *parquetPage) plain(codec pq.CompressionCodec, buf []byte) (levels, values []byte, err error) {
	levels = p.data[:max(p.levels, 0)]
	values = p.data[len(levels):]
	if size := p.size - len(levels); p.compressed && codec != pq.Uncompressed {
		if values, err = decompress(codec, values, size, buf); err != nil {
			return nil, nil, fmt.Errorf("a page cannot be decompressed: %w", err)
		}
	} else if len(values) != size {
		return nil, nil, errors.New("a page has another size than its header says")
	}
	return levels, values, nil
}

// decompress returns what b becomes, which must have exactly the size. It never holds more than that.
func decompress(codec pq.CompressionCodec, b []byte, size int, buf []byte) (plain []byte, err error) {
	plain = slices.Grow(buf[:0], size)[:size]
	switch codec {
	case pq.Snappy:
		if n, err := snappy.DecodedLen(b); err != nil || n != size {
			return nil, fmt.Errorf("expected %d bytes", size)
		}
		return snappy.Decode(plain, b)
	case pq.Gzip:
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		return exactly(r, plain)
	case pq.Zstd:
		r, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return exactly(r, plain)
	default:
		return nil, fmt.Errorf("the compression %v is not supported", codec)
	}
}

// Zstandard has a window in memory besides the page, and other buffers.
const (
	maxZstdWindow = 8 << 20
	zstdBytes     = maxZstdWindow + 1<<20
)

// exactly fills plain, after which r must end.
func exactly(r io.Reader, plain []byte) ([]byte, error) {
	if _, err := io.ReadFull(r, plain); err != nil {
		return nil, fmt.Errorf("expected %d bytes: %w", len(plain), err)
	}
	var more [1]byte
	if _, err := io.ReadFull(r, more[:]); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("expected %d bytes, got more", len(plain))
	}
	return plain, nil
}

// definitions returns which values of a page are there, and the bytes after the levels. It returns nil
// if all are.
func (p *parquetPage) definitions(optional bool, levels, values []byte, dst []uint32) (there []uint32, rest []byte, err error) {
	switch {
	case !optional:
		return nil, values, nil
	case p.levels < 0: // the first version of pages has the length before the levels
		if len(values) < 4 {
			return nil, nil, errPageEnd
		}
		n := binary.LittleEndian.Uint32(values)
		if uint64(n) > uint64(len(values)-4) { //nolint:gosec // at least 4
			return nil, nil, errPageEnd
		}
		levels, values = values[4:4+n], values[4+n:]
	case p.levels == 0 && p.missing == 0:
		return nil, values, nil
	}
	there, err = decodeRuns(dst[:0], levels, 1, p.values)
	if err == nil && slices.ContainsFunc(there, func(level uint32) bool { return level > 1 }) {
		err = errors.New("a page has values of lists")
	}
	return there, values, err
}
