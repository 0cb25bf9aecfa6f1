package journal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// exported is a line of an export. Hash is the SHA-256 over Before, the hash of the event before, and the bytes of
// Event.
type exported struct {
	Hash   string          `json:"hash"`
	Before string          `json:"before"`
	Event  json.RawMessage `json:"event"`
}

// Export writes the events after a number that a filter selects as JSON lines, each with its hash and that of the event before
// it. VerifyExport reads them.
func (l *Log) Export(after int64, filter Filter, w io.Writer) error {
	m, err := newMatcher(filter)
	if err != nil {
		return err
	}
	after = max(after, 0)
	var before [sha256.Size]byte
	out := bufio.NewWriter(w)
	// All records are read, since each has the hash that the next line needs.
	err = l.each(span{after: after - 1}, filter.Last, func(seq int64, record []byte) (bool, error) {
		text, err := textOf(record)
		if err != nil {
			return false, fmt.Errorf("event %d: %w", seq, err)
		}
		previous := before
		copy(before[:], record)
		if seq <= after {
			return true, nil
		}
		if fits, err := m.fits(seq, record); err != nil || !fits {
			return true, err
		}
		_, err = fmt.Fprintf(out, `{"hash":"%x","before":"%x","event":%s}`+"\n", before, previous, text)
		if err != nil {
			return false, &sinkError{err}
		}
		return true, nil
	})
	if failed, is := errors.AsType[*sinkError](err); is {
		return failed.error
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// sinkError is an error of the writer of an export, not of the journal.
type sinkError struct{ error }

// VerifyExport reads an export and checks that every event is as it was written, and that those with consecutive numbers
// follow each other. The report has the problem if there is one. An error is one of the reader.
func VerifyExport(r io.Reader) (report api.JournalReport, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 2*maxEventBytes)
	last := head{}
	for n := 1; lines.Scan(); n++ {
		next, err := verifyLine(lines.Bytes(), last)
		if err != nil {
			report.Problem = fmt.Sprintf("line %d: %v", n, err)
			return report, nil
		}
		if next.seq != last.seq+1 {
			report.Gaps++
		}
		last = next
		report.Events++
		report.Hash = hex.EncodeToString(last.hash[:])
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		report.Problem = "a line is longer than any event"
		return report, nil
	}
	return report, lines.Err()
}

// verifyLine returns the head after the event of a line.
func verifyLine(line []byte, last head) (head, error) {
	var x exported
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&x); err != nil {
		return last, infer.Errorf(infer.Invalid, "expected an exported event with hash, before and event: %v", err)
	}
	var e struct{ Seq int64 }
	if err := json.Unmarshal(x.Event, &e); err != nil || e.Seq < 1 {
		return last, infer.Errorf(infer.Invalid, "the event has no number")
	}
	before, err := hex.DecodeString(x.Before)
	if err != nil || len(before) != sha256.Size {
		return last, infer.Errorf(infer.Invalid, "before is not a SHA-256 in hexadecimal")
	}
	from := head{seq: e.Seq - 1, hash: [sha256.Size]byte(before)}
	next := from.next(x.Event)
	switch {
	case hex.EncodeToString(next.hash[:]) != x.Hash:
		return last, infer.Errorf(infer.Invalid, "event %d was changed after it was written: the hashes differ", e.Seq)
	case e.Seq <= last.seq:
		return last, infer.Errorf(infer.Invalid, "event %d comes after event %d", e.Seq, last.seq)
	case from.seq == last.seq && from.hash != last.hash:
		return last, infer.Errorf(infer.Invalid, "event %d does not follow the event before it: the hashes differ", e.Seq)
	}
	return next, nil
}
