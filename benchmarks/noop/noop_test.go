package main

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp/fasthttputil"
)

// answer returns what the server sends.
func answer(t *testing.T, size int, list fields) (*http.Response, int) {
	t.Helper()
	ln := fasthttputil.NewInmemoryListener()
	served := make(chan error, 1)
	server := newServer(size, list)
	go func() { served <- server.Serve(ln) }()
	conn, err := ln.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		if err := server.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	if _, err := io.WriteString(conn, "POST /v2/models/lin/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"); err != nil {
		t.Fatal(err)
	}
	return read(t, conn)
}

func read(t *testing.T, conn net.Conn) (*http.Response, int) {
	t.Helper()
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(all))), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp, len(body)
}

func TestAnswer(t *testing.T) {
	f := func(size int, given []string, want http.Header) {
		t.Helper()
		var list fields
		for _, text := range given {
			if err := list.Set(text); err != nil {
				t.Fatal(err)
			}
		}
		if given == nil {
			list = gatewayFields()
		}
		resp, n := answer(t, size, list)
		if n != size || resp.ContentLength != int64(size) || resp.StatusCode != http.StatusOK {
			t.Errorf("status %d with %d bytes, want %d", resp.StatusCode, n, size)
		}
		resp.Header.Del("Content-Length")
		resp.Header.Del("Connection") // asked for, to see the end
		if !maps.EqualFunc(resp.Header, want, func(a, b []string) bool { return strings.Join(a, ",") == strings.Join(b, ",") }) {
			t.Errorf("fields %v, want %v", resp.Header, want)
		}
	}
	f(142, nil, http.Header{
		"Content-Type": {"application/octet-stream"}, "Inference-Header-Content-Length": {"138"}, "X-Request-Id": {"b5e771695da8fd17-c0ffe"},
		"Sluice-Version": {"1"}, "Sluice-Route": {"lin@0"}, "Sluice-Reason": {"default"},
	})
	f(0, []string{"content-type:application/json", "A:  b: c "}, http.Header{"Content-Type": {"application/json"}, "A": {"b: c"}})
	f(100_000, []string{"A: b"}, http.Header{"A": {"b"}})
}

func TestSetRefuses(t *testing.T) {
	for _, text := range []string{"", "no colon", ": no name", "a: b\r\nc: d", "Content-Length: 5", "connection: close"} {
		if err := new(fields).Set(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}
