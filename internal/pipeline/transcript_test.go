package pipeline

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTranscript(t *testing.T) {
	f := func(pieces []string, limit int, want string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "log")
		x, err := newTranscript(path, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pieces {
			if n, err := x.Write([]byte(p)); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
		}
		live, err := x.text()
		if err != nil || string(live) != want {
			t.Errorf("got %q %v, want %q", live, err, want)
		}
		if err := x.close(); err != nil {
			t.Fatal(err)
		}
		if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, live) {
			t.Errorf("kept %q %v, want %q", kept, err, live)
		}
	}
	f(nil, 8, "")
	f([]string{"abc"}, 8, "abc")
	f([]string{"abcd", "efgh"}, 8, "abcdefgh")
	f([]string{"abcdefghi"}, 8, "abcd\n… 1 bytes are left out …\nfghi")
	f(strings.Split("abcdefghijklmnopqrstuvwxyz", ""), 8, "abcd\n… 18 bytes are left out …\nwxyz")
	f([]string{"abcdef", strings.Repeat("-", 100), "yz"}, 8, fmt.Sprintf("abcd\n… %d bytes are left out …\n--yz", 2+98))
}
