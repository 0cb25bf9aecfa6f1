package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// anyone answers every request with a function.
type anyone func(req *infer.Request) (*infer.Response, error)

func (f anyone) Predict(_ context.Context, req *infer.Request) (*infer.Response, error) {
	req.Served = infer.Served{Version: infer.Version{Model: "double", Number: 1}, Route: "double@0", Reason: infer.ReasonDefault}
	return f(req)
}

// outputs answers with n bytes of numbers, reserved like a batcher's.
func outputs(n int) anyone {
	return func(req *infer.Request) (*infer.Response, error) {
		resp := infer.NewResponse()
		resp.ReserveFrom(req.Memory)
		resp.Add("y", 0, infer.FP32, infer.Shape{int64(n / 4)}, n/4*4)
		if err := resp.Err(); err != nil {
			resp.Release()
			return nil, err
		}
		return resp, nil
	}
}

// numbers is a request of about size bytes, which decodes to four times as much.
func numbers(size int) string {
	n := (size - 100) / 2
	return fmt.Sprintf(`{"inputs":[{"name":"x","shape":[%d],"datatype":"FP64","data":[%s0]}]}`, n, strings.Repeat("0,", n-1))
}

// The largest request that a configuration allows fits into the smallest memory that it allows: 14
// MiB for bodies of 1 MiB and answers of 2 MiB. (See memory.go of config.)
func TestTheLargestRequestFits(t *testing.T) {
	addr := start(t, &stub{}, func(o *options) {
		o.Limits.MaxBodyBytes, o.Limits.MaxInflatedBytes, o.Limits.MaxResponseBytes, o.Bounds.MaxMemory = 1<<20, 1<<20, 2<<20, 14<<20
		split := outputs(2 << 20)
		o.Predictor = anyone(func(req *infer.Request) (*infer.Response, error) {
			pieces, err := split(req) // as a split request, whose outputs are in memory twice
			if err != nil {
				return nil, err
			}
			defer pieces.Release()
			return split(req)
		})
	})
	body := numbers(1<<20 - 64)
	binary := strings.TrimSuffix(body, "}") + `,"parameters":{"binary_data_output":true}}`
	for name, a := range map[string]answer{
		"plain":               post(t, addr, inferPath, body),
		"gzip":                post(t, addr, inferPath, gzipped(body), "Content-Encoding: gzip"),
		"deflate, both ways":  post(t, addr, inferPath, zlibbed(body), "Content-Encoding: deflate", "Accept-Encoding: deflate"),
		"gzip, binary answer": post(t, addr, inferPath, gzipped(binary), "Content-Encoding: gzip", "Accept-Encoding: gzip"),
	} {
		if a.status != 200 {
			t.Errorf("%s: %d %.200s", name, a.status, a.body)
		}
	}
}

// A request that can never fit is TooLarge. One that does not fit now may be retried.
func TestTooLargeOrLater(t *testing.T) {
	const budget = 4 << 20
	wait, waiting := make(chan struct{}), make(chan struct{})
	addr := start(t, &stub{}, func(o *options) {
		o.Limits.MaxBodyBytes, o.Bounds.MaxMemory = 2<<20, budget
		small := outputs(16)
		o.Predictor = anyone(func(req *infer.Request) (*infer.Response, error) {
			switch req.ID {
			case "outputs":
				return outputs(budget)(req)
			case "wait":
				close(waiting)
				<-wait
			}
			return small(req)
		})
	})
	named := func(id, body string) string { return `{"id":"` + id + `",` + body[1:] }
	f := func(name string, status int, body string, fields ...string) {
		t.Helper()
		a := post(t, addr, inferPath, body, fields...)
		if later := a.header.Get("Retry-After") != ""; a.status != status || later != (status == 429) {
			t.Errorf("%s: %d %.200s, may be tried again: %t", name, a.status, a.body, later)
		}
	}
	f("a small request", 200, good)
	f("a body that decodes to more than there is", 413, numbers(1<<20))
	f("a body that decompresses to more than the memory", 413, gzipped(strings.Repeat(" ", budget)), "Content-Encoding: gzip")
	f("outputs of more than there is", 413, named("outputs", good))
	f("what fits", 200, numbers(400<<10))
	go post(t, addr, inferPath, named("wait", numbers(500<<10))) // it ends before the test does
	<-waiting
	f("the same beside another", 429, numbers(400<<10))
	f("the same in gzip", 429, gzipped(numbers(400<<10)), "Content-Encoding: gzip")
	f("a small request beside it", 200, good)
	close(wait)
	for end := time.Now().Add(20 * time.Second); post(t, addr, inferPath, numbers(400<<10)).status != 200; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the room stays taken")
		}
	}
}

// However a request ends, its memory is returned.
func TestMemoryComesBack(t *testing.T) {
	s := &stub{explicit: true}
	srv, held, stop := serve(t, s, func(o *options) {
		o.Limits.MaxBodyBytes, o.Limits.MaxInflatedBytes, o.Limits.MaxResponseBytes = 1<<20, 1<<20, 1<<20
		o.Bounds.MaxMemory, o.Limits.ReadTimeout, o.Limits.WriteTimeout = 8<<20, time.Second, time.Second
		o.Predictor = anyone(func(req *infer.Request) (*infer.Response, error) {
			switch req.ID {
			case "panic":
				if err := req.Memory.Reserve(1 << 20); err != nil {
					return nil, err
				}
				panic("as a test")
			case "large":
				return outputs(2 << 20)(req)
			case "fails":
				return nil, infer.Errorf(infer.Internal, "as a test")
			}
			return outputs(800 << 10)(req)
		})
	})
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := stop(ctx); err != nil {
			t.Error(err)
		}
	}()
	addr := srv.Addr().String()
	const index, load = "/v2/repository/index", "/v2/repository/models/double/load"
	named := func(id string) string { return `{"id":"` + id + `",` + numbers(200_000)[1:] }
	frame := "[" + strings.Repeat("[1,2,3,4],", 20_000) + "[1,2,3,4]]"
	bomb := gzipped(strings.Repeat(" ", 4<<20))
	chunked := func(path, chunks string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
	}
	requests := map[string]string{
		"answered":            request("POST", inferPath, named("ok")),
		"several at once":     strings.Repeat(request("POST", inferPath, good), 3),
		"compressed":          request("POST", inferPath, gzipped(named("ok")), "Content-Encoding: gzip", "Accept-Encoding: gzip"),
		"panics":              request("POST", inferPath, named("panic")),
		"fails":               request("POST", inferPath, named("fails")),
		"too large an answer": request("POST", inferPath, named("large")),
		"not JSON":            request("POST", inferPath, named("x")[:100_000]),
		"cut off gzip":        request("POST", inferPath, gzipped(named("ok"))[:100], "Content-Encoding: gzip"),
		"a bomb":              request("POST", inferPath, bomb, "Content-Encoding: gzip"),
		"an unknown coding":   request("POST", inferPath, bomb, "Content-Encoding: br"),
		"too many numbers":    request("POST", inferPath, numbers(1<<20)+strings.Repeat(" ", 60)),
		"too long":            request("POST", inferPath, strings.Repeat(" ", 2<<20)),
		"chunks":              chunked(inferPath, "186a0\r\n"+strings.Repeat(" ", 100_000)+"\r\n0\r\n\r\n"),
		"too many chunks":     chunked(inferPath, strings.Repeat("186a0\r\n"+strings.Repeat(" ", 100_000)+"\r\n", 20)),
		"broken chunks":       chunked(inferPath, "186a0\r\n"+strings.Repeat(" ", 100_000)+"xx\r\n"),
		"never ends":          request("POST", inferPath, named("ok"))[:100_000],
		"rows":                request("POST", predictPath, frame),
		"rows, cut off":       request("POST", predictPath, frame[:len(frame)-1]),
		"rows in CSV":         request("POST", predictPath, strings.Repeat("1,2,3,4\n", 20_000), "Content-Type: text/csv"),
		"index":               request("POST", index, `{"ready":true}`),
		"index, a bomb":       request("POST", index, bomb, "Content-Encoding: gzip"),
		"index, members":      request("POST", index, `{"a":`+strings.Repeat(`{"a":`, 10_000)),
		"load":                request("POST", load, `{"parameters":{}}`),
		"load, too long":      request("POST", load, strings.Repeat(" ", 100_000)),
		"expect":              strings.Replace(request("POST", inferPath, ""), "Content-Length: 0", "Expect: 100-continue\r\nContent-Length: 5000000", 1),
		"metadata":            request("GET", "/v2/models/double", ""),
		"nothing":             request("HEAD", "/v2/models/stats", ""),
		"not HTTP":            "nonsense\r\n\r\n",
	}
	for name, text := range requests {
		for _, read := range []bool{true, false} {
			c := dial(t, addr)
			go func() { _, _ = io.WriteString(c, text) }() // ends with the connection
			if read {
				_, _ = c.Read(make([]byte, 64))
			}
			if tcp, ok := c.(*net.TCPConn); ok && !read {
				_ = tcp.CloseWrite()
				_, _ = io.Copy(io.Discard, c)
			}
			_ = c.Close()
			for end := time.Now().Add(20 * time.Second); held() != 0; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%s: %d bytes stay taken", name, held())
				}
			}
		}
	}
}

// Control documents have their own limits: on their size, as received and decompressed, and on the
// number in progress. Those that arrive slowly are not in progress.
func TestControlDocumentsAreBounded(t *testing.T) {
	s := &stub{explicit: true}
	begun, finish := make(chan struct{}), make(chan struct{})
	addr := start(t, s, func(o *options) {
		o.Limits.MaxControlBytes, o.Bounds.MaxControlInFlight = 1<<10, 1
		o.Catalog = slowLoads{s, begun, finish}
	})
	const index, load = "/v2/repository/index", "/v2/repository/models/double/load"
	for _, path := range []string{index, load, "/v2/repository/models/double/unload"} {
		f := func(name string, a answer, want string) {
			t.Helper()
			if a.status != 413 || !strings.Contains(a.body, want) {
				t.Errorf("%s to %s: %+v", name, path, a)
			}
		}
		f("a long document", post(t, addr, path, strings.Repeat(" ", 2<<10)), "more than the limit of 1024 bytes")
		f("one that becomes long", post(t, addr, path, gzipped(strings.Repeat(" ", 2<<10)), "Content-Encoding: gzip"), "decompressed body takes more than the limit of 1024 bytes")
	}
	_, _ = io.WriteString(dial(t, addr), request("POST", index, `{"ready":true}`)[:80]) // the rest is not sent
	first := make(chan answer, 1)
	go func() { first <- post(t, addr, load, "{}") }()
	<-begun
	if a := post(t, addr, index, ""); a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("beside a load: %+v", a)
	}
	close(finish)
	if a := <-first; a.status != 200 {
		t.Errorf("the load: %+v", a)
	}
	if a := post(t, addr, index, ""); a.status != 200 {
		t.Errorf("after it: %+v", a)
	}
}

// slowLoads is a catalog with loads that wait.
type slowLoads struct {
	*stub
	begun, finish chan struct{}
}

func (s slowLoads) Load(context.Context, string, api.Actor) error {
	close(s.begun)
	<-s.finish
	return nil
}
