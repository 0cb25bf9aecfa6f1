package loadgen

import (
	"bytes"
	"strings"
	"testing"
)

// read gives an answer in pieces of n bytes, and returns how many were used.
func (a *answer) read(text string, n int) (used int, done bool, err error) {
	for rest := []byte(text); len(rest) > 0 && !done && err == nil; {
		piece := bytes.Clone(rest[:min(n, len(rest))])
		var got int
		got, done, err = a.feed(piece)
		used += got
		rest = rest[len(piece):]
		clear(piece) // what was given must not be kept
	}
	return used, done, err
}

func TestAnswerReadsWhatServersSend(t *testing.T) {
	const next = "HTTP/1.1 500 the next"
	for name, c := range map[string]struct {
		text   string
		status int
		closes bool
	}{
		"length":         {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, false},
		"no body":        {"HTTP/1.1 503 Service Unavailable\r\ncontent-length:0\r\n\r\n", 503, false},
		"no reason":      {"HTTP/1.1 429\r\nContent-Length: 1\r\n\r\nx", 429, false},
		"closes":         {"HTTP/1.1 400 Bad\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nno", 400, true},
		"old":            {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, true},
		"old, kept":      {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", 200, false},
		"204":            {"HTTP/1.1 204 No Content\r\n\r\n", 204, false},
		"304":            {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, false},
		"hints first":    {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, false},
		"chunks":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1a ; a=\"b\"\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n", 200, false},
		"trailer":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 3\r\n\r\n1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", 200, false},
		"no chunk":       {"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 404, false},
		"length, twice":  {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, false},
		"similar fields": {"HTTP/1.1 200 OK\r\nContent-Lengthy: 9\r\nContent-Type: a\r\nContent-Length: 2\r\n\r\nok", 200, false},
	} {
		for _, n := range []int{1, 2, 3, 7, 1 << 20} {
			var a answer
			a.reset()
			used, done, err := a.read(c.text+next, n)
			if err != nil || !done || used != len(c.text) || a.status != c.status || a.closes != c.closes {
				t.Errorf("%s by %d: %d of %d used, done %v, %v; status %d, closes %v", name, n, used, len(c.text), done, err, a.status, a.closes)
			}
		}
	}
}

func TestAnswerUntilTheEnd(t *testing.T) {
	var a answer
	used, done, err := a.read("HTTP/1.1 200 OK\r\n\r\nuntil it closes", 4)
	if used != 34 || done || err != nil || !a.closed() || !a.closes {
		t.Errorf("%d used, done %v, %v, %+v", used, done, err, a)
	}
	a.reset()
	if _, done, err := a.read("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", 4); done || err != nil || a.closed() {
		t.Errorf("half an answer: done %v, %v, complete %v", done, err, a.closed())
	}
}

func TestAnswerRefusesOtherThings(t *testing.T) {
	for _, text := range []string{
		"SSH-2.0-OpenSSH_9\r\n\r\n",
		"HTTP/2.0 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\n\n\r\n\r\n",
		"HTTP/1.1 20x OK\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1a\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("0", maxLine+10),
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead),
	} {
		for _, n := range []int{1, 1 << 10} {
			var a answer
			if _, done, err := a.read(text, n); err == nil || done {
				t.Errorf("by %d: no error for %.80q", n, text)
			}
		}
	}
}

// However an answer is cut into pieces, it is the same answer.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\nmore",
		"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 204 None\r\n\r\n",
		"HTTP/1.0 500 No\r\n\r\nuntil", "\r\n\r\n", "HTTP/1.1 200 OK\r\nc\r\n\r\n",
	} {
		f.Add(text, 3)
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		var whole, parts answer
		used, done, err := whole.read(text, max(1, len(text)))
		again, ended, failed := parts.read(text, 1+(n&0xff))
		if (err == nil) != (failed == nil) || done != ended || whole.status != parts.status || whole.closed() != parts.closed() {
			t.Fatalf("whole: done %v, %v, %+v; in parts: done %v, %v, %+v", done, err, whole, ended, failed, parts)
		}
		if err == nil && used != again || used > len(text) {
			t.Fatalf("%d of %d bytes used at once, %d in parts", used, len(text), again)
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	text := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 150\r\nX-Request-Id: 0123456789abcdef\r\n\r\n" + strings.Repeat("x", 150))
	var a answer
	b.ReportAllocs()
	for b.Loop() {
		a.reset()
		if _, done, err := a.feed(text); !done || err != nil {
			b.Fatal(done, err)
		}
	}
}
