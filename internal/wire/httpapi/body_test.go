package httpapi_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/httpapi"
)

// A length that is only claimed costs nothing.
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
	}
	if a := post(t, addr, inferPath, good); a.status != 200 { // and the others were read as far as they go
		t.Errorf("%+v", a)
	}
	if after := heap(); after > before+10<<20 {
		t.Errorf("50 connections that claim 60 MB each hold %d MiB", (after-before)>>20)
	}
}

// Bodies that arrive slowly share a limit, and take no place among the requests
// in progress.
func TestBodyMemoryIsBounded(t *testing.T) {
	addr := start(t, &stub{}, func(o *httpapi.Options) {
		o.Limits.MaxBodyBytes, o.Limits.MaxBodyMemory, o.Limits.MaxInFlight = 1<<20, 4<<20, 1
	})
	large := "POST " + inferPath + " HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 900_000)
	var open []net.Conn
	refused := false
	for range 8 {
		c := dial(t, addr)
		_, _ = io.WriteString(c, large)
		_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		text := make([]byte, 512)
		if n, err := c.Read(text); err == nil && strings.Contains(string(text[:n]), " 429 ") && strings.Contains(string(text[:n]), "Retry-After") {
			refused = true
			break
		}
		open = append(open, c)
	}
	if !refused || len(open) < 3 {
		t.Fatalf("refused %v after %d bodies", refused, len(open))
	}
	if a := post(t, addr, inferPath, good); a.status != 200 { // small ones go on
		t.Errorf("%+v", a)
	}
	for _, c := range open {
		_ = c.Close()
	}
	for range 100 { // the room is back once the server has seen the ends
		if a := post(t, addr, inferPath, strings.Repeat(" ", 900_000)+good); a.status == 200 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the room of closed connections stays taken")
}

// Answers that nobody reads share the limit, and give their room back when they
// were read or their time is up.
func TestAnswersThatWaitAreBounded(t *testing.T) {
	const values = 4 << 20 // 16 MiB, more than the kernel takes off the server
	s := &stub{predict: func(_ context.Context, _ *infer.Request) (*infer.Response, error) {
		resp := infer.NewResponse()
		resp.Add("y", 0, infer.FP32, infer.Shape{1, values}, 4*values)
		return resp, nil
	}}
	addr := start(t, s, func(o *httpapi.Options) {
		o.Limits.MaxBodyBytes, o.Limits.MaxBodyMemory, o.Limits.WriteTimeout = 1<<20, 40<<20, 500*time.Millisecond
	})
	ask := request("POST", inferPath, strings.TrimSuffix(good, "}")+`,"parameters":{"binary_data_output":true}}`)
	status := func(c net.Conn) string { // reads no more than the first line
		line := make([]byte, len("HTTP/1.1 200"))
		if _, err := io.ReadFull(c, line); err != nil {
			t.Fatal(err)
		}
		return string(line[len(line)-3:])
	}
	var statuses []string
	for range 4 {
		c := dial(t, addr)
		_, _ = io.WriteString(c, ask)
		statuses = append(statuses, status(c))
	}
	if got := strings.Join(statuses, " "); got != "200 200 429 429" {
		t.Errorf("answered %s", got)
	}
	answered := 0
	for range 100 { // the room is back once the write timeout has passed
		c := dial(t, addr)
		_, _ = io.WriteString(c, ask)
		if a := read(t, bufio.NewReader(c), "POST"); a.status == 200 && len(a.body) > 4*values {
			answered++
		}
		if answered == 5 { // and what was read gives it back at once
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d answers", answered)
}
