package process

import (
	"bytes"
	"strings"
	"sync"
)

// tail keeps the last lines that a process wrote.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailBytes; over > 0 {
		// From the next line on, if there is one.
		if i := bytes.IndexByte(t.text[over:], '\n'); i >= 0 && over+i+1 < len(t.text) {
			over += i + 1
		}
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

// String returns them as the end of an error's text; "" for none.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(string(t.text))
	if text == "" {
		return ""
	}
	return "; it wrote last:\n" + text
}
