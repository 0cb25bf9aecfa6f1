package httpapi_test

import (
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/infer"
)

// A claimed length costs no memory.
func TestDeclaredLengthTakesNoMemory(t *testing.T) {
	addr := start(t, &stub{}, nil)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for range 50 {
		_, _ = io.WriteString(dial(t, addr), "POST "+inferPath+" HTTP/1.1\r\nHost: a\r\nContent-Length: 60000000\r\n\r\n"+strings.Repeat("x", 10<<10))
		_, _ = io.WriteString(dial(t, addr), "POST "+inferPath+" HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("x", 10<<10))
		_, _ = io.WriteString(dial(t, addr), "POST "+inferPath+" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3000000\r\n"+strings.Repeat("x", 10<<10))
	}
	if a := post(t, addr, inferPath, good); a.status != 200 { // the others were read as far as they go
		t.Errorf("%+v", a)
	}
	if after := heap(); after > before+10<<20 {
		t.Errorf("150 connections that claim 1 to 60 MB each hold %d MiB", (after-before)>>20)
	}
}

// Bodies that arrive slowly share a memory limit, and do not count as requests in progress.
func TestBodyMemoryIsBounded(t *testing.T) {
	addr := start(t, &stub{}, func(o *options) {
		o.Limits.MaxBodyBytes, o.Bounds.MaxMemory, o.Bounds.MaxInFlight = 1<<20, 4<<20, 1
	})
	large := "POST " + inferPath + " HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 900_000)
	var open []net.Conn
	refused := make(chan bool, 8)
	for len(open) < 8 && len(refused) == 0 {
		c := dial(t, addr)
		_, _ = io.WriteString(c, large)
		open = append(open, c)
		go func() { // ends with the connection
			text := make([]byte, 512)
			n, _ := c.Read(text)
			refused <- strings.Contains(string(text[:n]), " 429 ") && strings.Contains(string(text[:n]), "Retry-After")
		}()
		time.Sleep(100 * time.Millisecond) // a refusal has most likely happened by then; the last connections must be refused
	}
	if !<-refused || len(open) < 4 {
		t.Fatalf("refused after %d bodies", len(open))
	}
	if a := post(t, addr, inferPath, good); a.status != 200 { // small requests are still answered
		t.Errorf("%+v", a)
	}
	for _, c := range open {
		_ = c.Close()
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) { // the memory is free again when the server has seen the ends
		if a := post(t, addr, inferPath, strings.Repeat(" ", 900_000)+good); a.status == 200 {
			return
		}
	}
	t.Error("the room of closed connections stays taken")
}

// startLarge runs a front with answers of 16 MiB, more than the kernel buffers. ask requests one,
// and reads only the status.
func startLarge(t *testing.T, how func(*options), memory int64, patience time.Duration) (ask func() (c net.Conn, status string)) {
	t.Helper()
	const values = 4 << 20
	s := &stub{predict: func(_ context.Context, _ *infer.Request) (*infer.Response, error) {
		resp := infer.NewResponse()
		resp.Add("y", 0, infer.FP32, infer.Shape{1, values}, 4*values)
		return resp, nil
	}}
	addr := start(t, s, func(o *options) {
		how(o)
		o.Limits.MaxBodyBytes, o.Bounds.MaxMemory, o.Limits.WriteTimeout = 1<<20, memory, patience
	})
	text := request("POST", inferPath, strings.TrimSuffix(good, "}")+`,"parameters":{"binary_data_output":true}}`, "Connection: close")
	return func() (net.Conn, string) {
		c := dial(t, addr)
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(c, text)
		line := make([]byte, len("HTTP/1.1 200"))
		if _, err := io.ReadFull(c, line); err != nil {
			return c, err.Error() // the timeout passed before it began
		}
		return c, string(line[len(line)-3:])
	}
}

// granted calls ask until there is memory for one more answer.
func granted(t *testing.T, ask func() (net.Conn, string)) net.Conn {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		c, status := ask()
		if status == "200" {
			return c
		}
		_ = c.Close()
	}
	t.Fatal("the room stays taken")
	return nil
}

// Unread answers share the memory limit, and return their memory when they have been read.
func TestAnswersThatWaitAreBounded(t *testing.T) {
	overBoth(t, func(t *testing.T, how func(*options)) {
		ask := startLarge(t, how, 64<<20, time.Minute)
		conns, statuses := make([]net.Conn, 4), make([]string, 4)
		for i := range conns {
			conns[i], statuses[i] = ask()
		}
		if got := strings.Join(statuses, " "); got != "200 200 429 429" {
			t.Errorf("answered %s", got)
		}
		for range 5 {
			if n, err := io.Copy(io.Discard, conns[0]); err != nil || n < 16<<20 {
				t.Errorf("%d bytes, %v", n, err)
			}
			conns[0] = granted(t, ask)
		}
	})
}

// They also return it after the write timeout.
func TestAnswersThatNobodyReadsAreCutOff(t *testing.T) {
	overBoth(t, func(t *testing.T, how func(*options)) {
		ask := startLarge(t, how, 40<<20, 200*time.Millisecond)
		for range 3 {
			granted(t, ask)
		}
	})
}
