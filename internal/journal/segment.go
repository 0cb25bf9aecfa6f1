package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
)

// A segment file has consecutive records, in the form of journal.db:
//
//	header   segmentMagic, the number of the first event (8 bytes), the hash before it (32)
//	blocks   size (4), size when decompressed (4), number of records (4), a zstd frame of
//	         records, each after its size (4)
//	end      12 zero bytes, the SHA-256 of all before it
//
// All numbers are big endian. The number in the magic is the version of the format of the
// segment and its records. A later version may write another format and still read this one.
const (
	segmentMagic  = "sluice journal segment 2\n"
	segmentHeader = len(segmentMagic) + 8 + sha256.Size
	blockHeader   = 12

	// blockBytes is the size of records at which a block ends. To read one event, a reader
	// decompresses one block.
	blockBytes    = 256 << 10
	maxBlockBytes = blockBytes + 4 + sha256.Size + maxEventBytes
)

// segment describes a segment file. journal.db has it as JSON.
type segment struct {
	Name     string    `json:"name"` // of the file
	First    int64     `json:"first"`
	Last     int64     `json:"last"`
	Before   digest    `json:"before"` // the hash of the event before the first
	Hash     digest    `json:"hash"`   // of the last event
	Earliest time.Time `json:"earliest"`
	Latest   time.Time `json:"latest"`
	Bytes    int64     `json:"bytes"` // of the file
	Sum      digest    `json:"sum"`   // the file's last bytes

	raw int64 // bytes of its records
}

// head returns the head of the log after the segment's last event.
func (s segment) head() head { return head{seq: s.Last, hash: s.Hash} }

// outside reports whether no event of the segment is in r.
func (s segment) outside(r span) bool {
	return s.Last <= r.after || !r.since.IsZero() && s.Latest.Before(r.since) || !r.until.IsZero() && s.Earliest.After(r.until)
}

// segmentWriter writes a segment to a file, record by record.
type segmentWriter struct {
	to  io.Writer // the file and its hash
	sum interface{ Sum(b []byte) []byte }
	enc *zstd.Encoder
	segment

	last    head
	block   []byte
	records uint32
	err     error
}

func newSegmentWriter(file io.Writer, before head) (*segmentWriter, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	w := &segmentWriter{
		to: io.MultiWriter(file, sum), sum: sum, enc: enc, last: before,
		segment: segment{First: before.seq + 1, Before: before.hash},
	}
	w.write([]byte(segmentMagic), seqKey(w.First), before.hash[:])
	return w, w.err
}

func (w *segmentWriter) write(parts ...[]byte) {
	for _, p := range parts {
		if w.err == nil {
			var n int
			n, w.err = w.to.Write(p)
			w.Bytes += int64(n)
		}
	}
}

// add adds the next record, which must follow the one before it.
func (w *segmentWriter) add(seq int64, record []byte) (err error) {
	if w.last, err = w.last.follow(seq, record); err != nil {
		return err
	}
	h, err := headerOf(seq, record)
	if err != nil {
		return err
	}
	at, err := h.when(seq)
	if err != nil {
		return err
	}
	if w.Earliest.IsZero() || at.Before(w.Earliest) {
		w.Earliest = at
	}
	if w.Latest.IsZero() || at.After(w.Latest) {
		w.Latest = at
	}
	w.raw += int64(len(record))
	w.block = binary.BigEndian.AppendUint32(w.block, uint32(len(record))) //nolint:gosec // at most about 1 MiB
	w.block = append(w.block, record...)
	if w.records++; len(w.block) >= blockBytes {
		w.flush()
	}
	return w.err
}

func (w *segmentWriter) flush() {
	if w.records == 0 {
		return
	}
	frame := w.enc.EncodeAll(w.block, nil)
	w.write(blockHead(len(frame), len(w.block), w.records), frame)
	w.block, w.records = w.block[:0], 0
}

func blockHead(size, raw int, records uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(size)) //nolint:gosec // a block has at most a few MiB
	b = binary.BigEndian.AppendUint32(b, uint32(raw))     //nolint:gosec // as above
	return binary.BigEndian.AppendUint32(b, records)
}

// end writes the rest, and returns the description of the file for journal.db.
func (w *segmentWriter) end() (segment, error) {
	w.flush()
	w.write(make([]byte, blockHeader))
	w.sum.Sum(w.Sum[:0])
	w.write(w.Sum[:])
	w.Last, w.Hash = w.last.seq, w.last.hash
	return w.segment, errors.Join(w.err, w.enc.Close())
}

// checkSum reads all of a segment's file and checks its hash.
func (s segment) checkSum(file io.ReaderAt) error {
	sum, end := sha256.New(), make([]byte, sha256.Size)
	body := s.Bytes - sha256.Size
	if _, err := io.Copy(sum, io.NewSectionReader(file, 0, body)); err != nil {
		return err
	}
	if _, err := file.ReadAt(end, body); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), s.Sum[:]) || !bytes.Equal(end, s.Sum[:]) {
		return errors.New("it was changed after it was written: its hash differs")
	}
	return nil
}

// read calls f with the records of a segment's file after a number until f returns false.
// It reports whether f wants more. It decompresses only the blocks that it needs.
func (s segment) read(file io.ReaderAt, after int64, f func(seq int64, record []byte) (bool, error)) (more bool, err error) {
	header := make([]byte, segmentHeader)
	if _, err := file.ReadAt(header, 0); err != nil {
		return false, err
	}
	rest, ok := bytes.CutPrefix(header, []byte(segmentMagic))
	if !ok || !bytes.Equal(rest, append(seqKey(s.First), s.Before[:]...)) {
		return false, errors.New("its header was changed after it was written")
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(maxBlockBytes)))
	if err != nil {
		return false, err
	}
	defer dec.Close()
	b := blocks{file: file, at: int64(segmentHeader), end: s.Bytes - blockHeader - sha256.Size, next: s.First, dec: dec}
	for b.next <= s.Last {
		if more, err := b.read(after, f); err != nil || !more {
			return false, err
		}
	}
	if b.next != s.Last+1 || b.at != b.end {
		return false, fmt.Errorf("its last block ends with event %d, expected %d", b.next-1, s.Last)
	}
	return true, nil
}

// blocks reads the blocks of a segment in turn.
type blocks struct {
	file      io.ReaderAt
	at, end   int64 // in the file
	next      int64 // the first event of the next block
	dec       *zstd.Decoder
	frame, to []byte
}

// read calls f with the records of one block after a number.
func (b *blocks) read(after int64, f func(seq int64, record []byte) (bool, error)) (more bool, err error) {
	var head [blockHeader]byte
	if _, err := b.file.ReadAt(head[:], b.at); err != nil {
		return false, err
	}
	size, raw, records := int64(binary.BigEndian.Uint32(head[:])), binary.BigEndian.Uint32(head[4:]), int64(binary.BigEndian.Uint32(head[8:]))
	if records == 0 || size > b.end-b.at-blockHeader || size > 2*maxBlockBytes || raw > maxBlockBytes {
		return false, fmt.Errorf("a block has %d records and %d bytes at byte %d, which is not valid", records, size, b.at)
	}
	seq := b.next
	frameAt := b.at + blockHeader
	b.next, b.at = b.next+records, frameAt+size
	if b.next-1 <= after {
		return true, nil
	}
	b.frame = append(b.frame[:0], make([]byte, size)...)
	if _, err := b.file.ReadAt(b.frame, frameAt); err != nil {
		return false, err
	}
	if b.to, err = b.dec.DecodeAll(b.frame, b.to[:0]); err != nil {
		return false, err
	}
	if len(b.to) != int(raw) {
		return false, fmt.Errorf("a block has %d bytes after decompression, expected %d", len(b.to), raw)
	}
	for rest := b.to; seq < b.next; seq++ {
		if len(rest) < 4 || int64(len(rest)-4) < int64(binary.BigEndian.Uint32(rest)) {
			return false, fmt.Errorf("event %d is truncated", seq)
		}
		n := 4 + int(binary.BigEndian.Uint32(rest))
		if seq > after {
			if more, err := f(seq, rest[4:n:n]); err != nil || !more {
				return false, err
			}
		}
		rest = rest[n:]
	}
	return true, nil
}
