package app_test

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// census counts the goroutines of this process by the line that started them. It leaves out
// those that wait in fasthttp's pool: their number depends on how many connections were open at
// the same time, and they stay for up to ten seconds. A goroutine that has a connection, or
// that hangs in a handler, is counted. It also leaves out a batcher's workers that wait for
// work: a worker has a goroutine after it was woken often enough, and the batcher's Run, which
// waits for all its workers, is counted.
func census() map[string]int {
	text := make([]byte, 1<<20)
	for {
		if n := runtime.Stack(text, true); n < len(text) {
			text = text[:n]
			break
		}
		text = make([]byte, 2*len(text))
	}
	counts := map[string]int{}
	for stack := range strings.SplitSeq(string(text), "\n\n") {
		_, frames, _ := strings.Cut(stack, "\n") // after "goroutine 7 [chan receive]:"
		if strings.HasPrefix(frames, "github.com/valyala/fasthttp.(*workerPool).workerFunc(") ||
			strings.Contains(frames, "/internal/batch.(*Batcher).next(") || strings.Contains(frames, "/internal/batch.onOwnThread(") {
			continue
		}
		place := "started by the runtime"
		if calls, by, ok := strings.Cut(frames, "\ncreated by "); ok {
			by, _, _ = strings.Cut(by, " +0x") // "f in goroutine 1\n\tfile.go:7 +0x1d"
			function, line, _ := strings.Cut(by, "\n\t")
			function, _, _ = strings.Cut(function, " in goroutine ")
			place = function + " at " + line
			if function == "sync.(*WaitGroup).Go" {
				place += " for " + begun(calls)
			}
		}
		counts[place]++
	}
	return counts
}

// begun returns the name of the func that was given to a WaitGroup, from the calls of its
// goroutine.
func begun(calls string) (name string) {
	for line := range strings.Lines(calls) {
		if !strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, "sync.(*WaitGroup).Go.func1(") {
			name, _, _ = strings.Cut(line, "({")
			name, _, _ = strings.Cut(name, "(0x")
			name = strings.TrimSuffix(strings.TrimSpace(name), "()")
		}
	}
	return name
}

// settled waits until no goroutine ends or begins any more: a model that was just loaded may
// not have started all of its own. It returns the census.
func settled(t *testing.T) map[string]int {
	t.Helper()
	last := census()
	for looks, still := 0, 0; looks < 500 && still <= 25; looks++ {
		http.DefaultClient.CloseIdleConnections()
		time.Sleep(20 * time.Millisecond)
		now := census()
		if still++; !maps.Equal(now, last) {
			last, still = now, 0
		}
	}
	return last
}

// grown waits for up to within until no line has started more goroutines that still live than
// before, and returns the lines that have.
func grown(before map[string]int, within time.Duration) (lines []string) {
	for end := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		http.DefaultClient.CloseIdleConnections()
		lines = nil
		for place, n := range census() {
			if n > before[place] {
				lines = append(lines, fmt.Sprintf("%d goroutines before, %d after: %s", before[place], n, place))
			}
		}
		if len(lines) == 0 || time.Now().After(end) {
			slices.Sort(lines)
			return lines
		}
	}
}

// noMore fails the test for goroutines that before did not have. A busy machine may be slow to
// end them, so it waits long.
func noMore(t *testing.T, before map[string]int) {
	t.Helper()
	for _, line := range grown(before, 30*time.Second) {
		t.Error(line)
	}
}

// finds waits until only one line, which contains part, has started one goroutine more than
// before: on a busy machine others may still be ending.
func finds(t *testing.T, before map[string]int, part string) {
	t.Helper()
	var lines []string
	for range 300 {
		if lines = grown(before, 100*time.Millisecond); len(lines) == 1 && strings.Contains(lines[0], part) {
			return
		}
	}
	t.Errorf("%q, want one of %s", lines, part)
}

// One additional goroutine is found, wherever it hangs: in a test of its own, or in a
// connection that is never closed.
func TestCensusFindsOneLeak(t *testing.T) {
	g := start(t, demo(t))
	soak(t, g, 100*time.Millisecond)
	before := settled(t)

	hang := make(chan struct{})
	go func() { <-hang }()
	finds(t, before, "TestCensusFindsOneLeak")
	close(hang)

	conn, err := net.Dial("tcp", g.http)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	finds(t, before, "fasthttp.(*workerPool)")
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	noMore(t, before)
}
