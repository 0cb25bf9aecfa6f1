package httpapi_test

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

func chunked(fields, body string) string {
	return "POST " + inferPath + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + fields + "\r\n" + body
}

func chunk(s string) string { return strconv.FormatInt(int64(len(s)), 16) + "\r\n" + s + "\r\n" }

// For each kind of bad framing: the status and the message. The connection must be closed, since
// the rest of its data cannot be trusted.
func TestBadFramingIsRefusedAndClosed(t *testing.T) {
	addr := start(t, &stub{}, func(o *options) { o.Limits.MaxBodyBytes = 1 << 20 })
	f := func(name string, status int, text, raw string) {
		t.Helper()
		a := send(t, addr, raw)
		if a.status != status || !strings.Contains(a.body, text) || !strings.HasPrefix(a.body, `{"error":"`) {
			t.Errorf("%s: %d %s, want %d with %q", name, a.status, a.body, status, text)
		}
		if !a.close || a.header.Get("Content-Type") != "application/json" || a.header.Get("X-Request-Id") == "" {
			t.Errorf("%s: close %v, headers %v", name, a.close, a.header)
		}
	}
	post := func(fields string) string {
		return "POST " + inferPath + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + good
	}
	length := "Content-Length: " + itoa(len(good)) + "\r\n"

	const both = "Content-Length and Transfer-Encoding"
	f("length and chunks", 400, both, chunked(length, chunk(good)+chunk("")))
	f("chunks and length", 400, both, "POST "+inferPath+" HTTP/1.1\r\nHost: a\r\n"+length+"Transfer-Encoding: chunked\r\n\r\n"+chunk(good)+chunk(""))
	f("length and chunks, odd case", 400, both, "POST "+inferPath+" HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 5\r\ntransfer-ENCODING: Chunked\r\n\r\n"+chunk(good)+chunk(""))
	f("length and chunks on GET", 400, both, "GET /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"+chunk(""))
	f("identity", 400, "Transfer-Encoding", post("Transfer-Encoding: identity\r\n"+length))
	f("identity without a length", 400, "Transfer-Encoding", "POST "+inferPath+" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n")
	f("gzip, chunked", 400, "Transfer-Encoding", post("Transfer-Encoding: gzip, chunked\r\n"))
	f("unknown coding", 400, "Transfer-Encoding", post("Transfer-Encoding: xchunked\r\n"))
	f("chunked twice", 400, "Transfer-Encoding", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"))
	f("chunks over HTTP/1.0", 400, "Transfer-Encoding", "POST "+inferPath+" HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"+chunk(good)+chunk(""))
	f("two different lengths", 400, "Content-Length", post(length+"Content-Length: 7\r\n"))
	f("two equal lengths", 400, "Content-Length", post(length+length))

	const bare = "bare line feed"
	f("LF hides a field", 400, bare, post("X: a\n"+length))
	f("LF ends a length", 400, bare, post("Content-Length: "+itoa(len(good))+"\nX: a\r\n"))
	f("LF ends the block", 400, bare, "GET /v2 HTTP/1.1\nHost: a\n\nGET /v2 HTTP/1.1\r\nHost: a\r\n\r\n")

	const malformed = "malformed request line, header or chunk size"
	for _, value := range []string{"-1", "+5", "abc", "0x10", "1e2", "1.0", "5, 5", "", "99999999999999999999"} {
		f("length "+value, 400, malformed, post("Content-Length: "+value+"\r\n"))
	}
	f("blank before the colon", 400, malformed, post("Content-Length : 5\r\n"))
	f("blank inside a name", 400, "name has a blank", post(length+"X Y: z\r\n"))
	f("no name", 400, malformed, post(length+": z\r\n"))
	f("no colon", 400, malformed, post(length+"Xyz\r\n"))
	f("NUL in a value", 400, malformed, post(length+"X: a\x00b\r\n"))
	f("CR in a value", 400, malformed, post(length+"X: a\rb\r\n"))
	f("folded line", 400, "folded", post(length+"X: a\r\n b\r\n"))
	f("folded line hides a header", 400, "folded", post(length+"X: a\r\n\tTransfer-Encoding: chunked\r\n"))
	f("no host", 400, malformed, "GET /v2 HTTP/1.1\r\n\r\n")
	f("two hosts", 400, malformed, "GET /v2 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
	f("no version", 400, malformed, "GET /v2\r\nHost: a\r\n\r\n")
	f("another protocol", 400, malformed, "GET /v2 FTP/1.1\r\nHost: a\r\n\r\n")
	f("no path", 400, malformed, "GET  HTTP/1.1\r\nHost: a\r\n\r\n")
	f("no slash", 400, malformed, "GET v2 HTTP/1.1\r\nHost: a\r\n\r\n")
	f("blank in the path", 400, malformed, "GET /v2/a b HTTP/1.1\r\nHost: a\r\n\r\n")
	f("control character in the path", 400, malformed, "GET /v2\x01 HTTP/1.1\r\nHost: a\r\n\r\n")
	f("garbage", 400, malformed, "\x16\x03\x01\x02\x00\x01 \x00\x01\r\n\r\n")

	const chunks = "chunked body is malformed"
	f("chunk size is not a number", 400, malformed, chunked("", "zz\r\n"+good+"\r\n0\r\n\r\n"))
	f("negative chunk size", 400, malformed, chunked("", "-1\r\n"+good+"\r\n0\r\n\r\n"))
	f("chunk size beyond 64 bits", 400, malformed, chunked("", "fffffffffffffffff\r\n"+good))
	f("chunk longer than its size", 400, chunks, chunked("", "2\r\nabcd\r\n0\r\n\r\n"))
	f("chunk size line ends in LF", 400, chunks, chunked("", "2\nab\r\n0\r\n\r\n"))
	f("LF in an extension", 400, chunks, chunked("", "2;a\nb\r\nab\r\n0\r\n\r\n"))
	f("two Inference-Header-Content-Length", 400, "more than one Inference-Header-Content-Length",
		post(length+"Inference-Header-Content-Length: 5\r\nInference-Header-Content-Length: 6\r\n"))

	const tooLarge = "more than the limit of 1048576 bytes"
	f("length over the limit", 413, tooLarge, "POST "+inferPath+" HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n"+strings.Repeat("x", 1<<20+1))
	f("length over the limit, nothing sent", 413, tooLarge, "POST "+inferPath+" HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n")
	f("length over the limit on GET", 413, tooLarge, "GET /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\nGET /v2 HTTP/1.1\r\nHost: a\r\n\r\n")
	f("length over the limit, expected", 413, tooLarge, "POST "+inferPath+" HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n")
	f("length far over the limit", 413, tooLarge, "POST "+inferPath+" HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000000000000000\r\n\r\n"+strings.Repeat("x", 1<<20+1))
	f("chunks over the limit", 413, tooLarge, chunked("", strings.Repeat(chunk(strings.Repeat("x", 1<<18)), 5)+chunk("")))
	f("one huge chunk", 413, tooLarge, chunked("", "7fffffff\r\n"+strings.Repeat("x", 1<<20+1)))
	f("huge header", 431, "limit of 16384 bytes", "GET /v2 HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 20<<10)+"\r\n\r\n")
	f("huge path", 431, "limit of 16384 bytes", "GET /v2/"+strings.Repeat("x", 20<<10)+" HTTP/1.1\r\nHost: a\r\n\r\n")
	f("many headers", 431, "limit of 16384 bytes", "GET /v2 HTTP/1.1\r\nHost: a\r\n"+strings.Repeat("X: y\r\n", 4000)+"\r\n")
}

func TestTruncatedRequestsAreAnswered(t *testing.T) {
	addr := start(t, &stub{}, nil)
	f := func(name, text, raw string) {
		t.Helper()
		c := dial(t, addr)
		_, _ = io.WriteString(c, raw)
		_ = c.(*net.TCPConn).CloseWrite()
		a := read(t, bufio.NewReader(c), "POST")
		if a.status != 400 || !strings.Contains(a.body, text) || !a.close {
			t.Errorf("%s: %+v, want 400 with %q", name, a, text)
		}
	}
	f("body", "ended before its body", "POST "+inferPath+" HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nshort")
	f("chunk", "ended before its body", chunked("", "5\r\nab"))
	f("chunk size", "chunked body is malformed", chunked("", "5"))
	f("header", "malformed request line, header or chunk size", "POST "+inferPath+" HTTP/1.1\r\nHost: a\r\nX-")
}

func TestUnusualFramingIsServed(t *testing.T) {
	addr := start(t, &stub{}, nil)
	f := func(name, raw string) {
		t.Helper()
		if a := send(t, addr, raw); a.status != 200 || a.body != goodAnswer {
			t.Errorf("%s: %+v", name, a)
		}
	}
	length := "Content-Length: " + itoa(len(good)) + "\r\n"
	f("chunks", chunked("", chunk(good[:10])+chunk(good[10:])+chunk("")))
	f("chunk extension and trailer", chunked("", "1;a=b\r\n{\r\n"+chunk(good[1:])+"0\r\nX-Trailer: 1\r\n\r\n"))
	f("absolute URI", "POST http://a"+inferPath+" HTTP/1.1\r\nHost: a\r\n"+length+"\r\n"+good)
	f("query", "POST "+inferPath+"?a=b/c HTTP/1.1\r\nHost: a\r\n"+length+"\r\n"+good)
	f("HTTP/1.0 without a host", "POST "+inferPath+" HTTP/1.0\r\n"+length+"\r\n"+good)
	f("empty lines before", "\r\n\r\nPOST "+inferPath+" HTTP/1.1\r\nHost: a\r\n"+length+"\r\n"+good)
	f("form", "POST "+inferPath+" HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"+length+"\r\n"+good)
	f("unknown expectation", "POST "+inferPath+" HTTP/1.1\r\nHost: a\r\nExpect: foo\r\n"+length+"\r\n"+good)

	a := send(t, addr, chunked("", strings.Repeat(chunk("x"), 65537)+chunk(""))) // many chunks count only with their bytes
	if a.status != 400 || a.close {
		t.Errorf("65537 chunks of one byte: %+v", a)
	}
}

func TestKeepAliveAndPipelining(t *testing.T) {
	addr := start(t, &stub{}, nil)
	c := dial(t, addr)
	one := request("POST", inferPath, good)
	go func() {
		_, _ = io.WriteString(c, one+request("GET", "/v2/nope", "")+one+request("HEAD", "/v2", "")+one)
	}()
	r := bufio.NewReader(c)
	for i, want := range []int{200, 404, 200, 200, 200} {
		method := "POST"
		if i == 3 {
			method = "HEAD"
		}
		if a := read(t, r, method); a.status != want || a.close || want == 200 && method == "POST" && a.body != goodAnswer {
			t.Errorf("answer %d: %+v", i, a)
		}
	}
}

// A refused body that is too large to be skipped ends the connection. The sender can still send all
// of it, slowly too, and then read the answer.
func TestUnwantedLargeBodies(t *testing.T) {
	addr := start(t, &stub{}, nil)
	body := strings.Repeat("x", 4<<20)
	f := func(name string, status int, raw string) {
		t.Helper()
		c := dial(t, addr)
		if _, err := io.WriteString(c, raw); err != nil {
			t.Errorf("%s: send: %v", name, err)
		}
		r := bufio.NewReader(c)
		if a := read(t, r, "POST"); a.status != status {
			t.Errorf("%s: %+v, want %d", name, a, status)
		}
		if b, err := r.ReadByte(); err != io.EOF {
			t.Errorf("%s: got %q, %v, want the end", name, b, err)
		}
	}
	f("no such model", 404, request("POST", "/v2/models/nope/infer", body))
	f("no such path", 404, request("POST", "/v2/nope", body))
	f("no such method", 405, request("POST", "/v2", body))
	f("chunks", 404, "POST /v2/nope HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+chunk(body)+chunk(""))
}

func TestContinue(t *testing.T) {
	addr := start(t, &stub{}, nil)
	c := dial(t, addr)
	r := bufio.NewReader(c)
	_, _ = io.WriteString(c, "POST "+inferPath+" HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: "+itoa(len(good))+"\r\n\r\n")
	if line, _ := r.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("got %q", line)
	}
	_, _ = r.ReadString('\n')
	_, _ = io.WriteString(c, good)
	if a := read(t, r, "POST"); a.status != 200 || a.body != goodAnswer {
		t.Errorf("%+v", a)
	}
}

func TestSlowRequestTimesOut(t *testing.T) {
	addr := start(t, &stub{}, func(o *options) { o.Limits.ReadTimeout = 50 * time.Millisecond })
	for name, raw := range map[string]string{
		"header": "POST /v2 HTTP/1.1\r\nHost",
		"body":   "POST " + inferPath + " HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
		"chunk":  chunked("", "5\r\nab"),
	} {
		if a := send(t, addr, raw); a.status != 408 || !strings.Contains(a.body, "within 50ms") || !a.close {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	overBoth(t, func(t *testing.T, how func(*options)) {
		addr := start(t, &stub{}, func(o *options) {
			how(o)
			o.Limits.IdleTimeout = 20 * time.Millisecond
		})
		c := dial(t, addr)
		r := bufio.NewReader(c)
		_, _ = io.WriteString(c, request("GET", "/v2", ""))
		if a := read(t, r, "GET"); a.status != 200 || a.close {
			t.Fatalf("%+v", a)
		}
		if b, err := r.ReadByte(); err != io.EOF {
			t.Errorf("got %q, %v, want the end", b, err)
		}
	})
}

func TestMaxRequestsPerConnection(t *testing.T) {
	addr := start(t, &stub{}, func(o *options) { o.Limits.MaxRequestsPerConn = 2 })
	c := dial(t, addr)
	r := bufio.NewReader(c)
	for i := range 2 {
		_, _ = io.WriteString(c, request("GET", "/v2", ""))
		if a := read(t, r, "GET"); a.status != 200 || a.close != (i == 1) {
			t.Errorf("answer %d: %+v", i, a)
		}
	}
}
