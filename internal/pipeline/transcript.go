package pipeline

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"strings"
	"sync"
	"unicode"
)

// transcript keeps the output of a program in a file: its beginning and its end, if it is longer than the limit.
type transcript struct {
	mu   sync.Mutex
	file *os.File
	path string
	room int    // bytes that the file still takes
	tail []byte // the end of what came after, at most twice keep
	keep int
	left int64 // bytes that are neither in the file nor in the tail
	err  error
}

// newTranscript begins a file that takes half of the limit. The end of the output has the other half.
func newTranscript(path string, limit int) (*transcript, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, ours) //nolint:gosec // in our folder
	if err != nil {
		return nil, err
	}
	return &transcript{file: file, path: path, room: limit / 2, keep: limit / 2}, nil
}

// Write implements io.Writer. It never fails: a full disk does not end the program.
func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := b
	if n := min(len(rest), t.room); n > 0 {
		if _, err := t.file.Write(rest[:n]); err != nil {
			t.err, t.room = err, n
		}
		t.room -= n
		rest = rest[n:]
	}
	if over := len(rest) - t.keep; over > 0 {
		t.left += int64(over + len(t.tail))
		t.tail, rest = t.tail[:0], rest[over:]
	}
	t.tail = append(t.tail, rest...)
	if over := len(t.tail) - t.keep; over > t.keep || over > 0 && len(t.tail) > 2*t.keep {
		t.left += int64(over)
		t.tail = append(t.tail[:0], t.tail[over:]...)
	}
	return len(b), nil
}

// ending returns what follows the beginning: the number of bytes that are left out, and the end. t.mu must be held.
func (t *transcript) ending() []byte {
	tail, left := t.tail, t.left
	if over := len(tail) - t.keep; over > 0 {
		tail, left = tail[over:], left+int64(over)
	}
	if left == 0 {
		return tail
	}
	return append(fmt.Appendf(nil, "\n… %d bytes are left out …\n", left), tail...)
}

// text returns the output so far.
func (t *transcript) text() ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	begin, err := os.ReadFile(t.path)
	return append(begin, t.ending()...), err
}

// lastLine returns the last line that is not empty, as printable text.
func (t *transcript) lastLine() string {
	const most = 300
	text, err := t.text()
	if err != nil {
		return ""
	}
	text = bytes.TrimSpace(text)
	line := text[bytes.LastIndexByte(text, '\n')+1:]
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(line[:min(len(line), most)]), " "))
}

// close writes the end of the output.
func (t *transcript) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err := t.file.Write(t.ending())
	return cmp.Or(t.err, err, t.file.Close())
}
