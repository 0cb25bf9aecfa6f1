package app_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soakTime is how long TestSoak runs: make soak gives it ten minutes.
var soakTime = flag.Duration("soak", 3*time.Second, "how long TestSoak runs")

// TestSoak sends good requests and broken ones at full speed. Every good answer must be right,
// nothing may crash, and goroutines and the runtime's memory must be as before afterwards.
func TestSoak(t *testing.T) {
	g := start(t, demo(t))
	// One-time allocations are made before the first count.
	soak(t, g, time.Second)
	goroutines, memory := settled(t), runtimeMemory(t, g)
	good, bad := soak(t, g, *soakTime)
	t.Logf("%d good requests, %d broken ones", good, bad)
	if good == 0 || bad == 0 {
		t.Fatalf("nothing was tested: %d good, %d bad", good, bad)
	}
	noMore(t, goroutines)
	// An instance's blocks grow to its largest run; here that is tiny.
	if after := runtimeMemory(t, g); after > memory+256<<10 {
		t.Errorf("memory of the runtime: %d bytes before, %d after", memory, after)
	}
	if resp, err := http.Get(g.url + "/v2/health/ready"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("not ready afterwards: %v %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
}

// runtimeMemory returns the metric of the bytes outside Go.
func runtimeMemory(t *testing.T, g *gateway) int {
	t.Helper()
	sum, lines := 0, 0
	for line := range strings.Lines(g.must(t, http.MethodGet, g.admin+"/metrics", "")) {
		if strings.HasPrefix(line, "sluice_runtime_memory_bytes") {
			n, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]))
			if err != nil {
				t.Fatal(err)
			}
			sum, lines = sum+n, lines+1
		}
	}
	if lines == 0 {
		t.Fatal("the metric is missing")
	}
	return sum
}

func soak(t *testing.T, g *gateway, d time.Duration) (good, bad int64) {
	t.Helper()
	stop := time.Now().Add(d)
	var goods, bads atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			for time.Now().Before(stop) && !t.Failed() {
				if err := goodRequest(g, rng); err != nil {
					t.Errorf("a good request: %v", err)
				}
				goods.Add(1)
			}
		})
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(2, uint64(i)))
			for time.Now().Before(stop) && !t.Failed() {
				brokenRequest(t, g, rng)
				bads.Add(1)
			}
		})
	}
	wg.Wait()
	return goods.Load(), bads.Load()
}

// goodRequest asks the linear model of the demo repository, whose answer is known.
func goodRequest(g *gateway, rng *rand.Rand) error {
	rows := 1 + rng.IntN(4)
	var data []float64
	for range rows * 3 {
		data = append(data, math.Round(rng.NormFloat64()*100)/100)
	}
	text, err := json.Marshal(map[string]any{"inputs": []any{map[string]any{
		"name": "x", "shape": []int{rows, 3}, "datatype": "FP32", "data": data,
	}}})
	if err != nil {
		return err
	}
	resp, err := http.Post(g.url+"/v2/models/double/infer", "application/json", bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var answer struct {
		Outputs []struct{ Data []float64 }
		Error   string
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || len(answer.Outputs) != 1 || len(answer.Outputs[0].Data) != len(data) {
		return fmt.Errorf("%s: %+v", resp.Status, answer)
	}
	for i, v := range answer.Outputs[0].Data {
		if math.Abs(v-2*data[i]) > 1e-5 {
			return fmt.Errorf("element %d is %v, want %v", i, v, 2*data[i])
		}
	}
	return nil
}

// brokenRequest writes one mutated request and reads the answer. Any answer except for a 5xx is
// right: no request is the server's fault. 501, 503 and 504 are allowed too, as with a timeout
// of a microsecond.
func brokenRequest(t *testing.T, g *gateway, rng *rand.Rand) {
	conn, err := net.Dial("tcp", g.http)
	if err != nil {
		t.Errorf("dial: %v", err)
		return
	}
	defer conn.Close() //nolint:errcheck // broken on purpose
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	raw := mutate(rng)
	if _, err := conn.Write(raw); err != nil {
		return // refused before all of it was sent
	}
	if c, ok := conn.(*net.TCPConn); ok && rng.IntN(4) > 0 {
		_ = c.CloseWrite()
	} else {
		return // hang up without reading
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return // closed without an answer: a truncated request has none
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	switch resp.StatusCode {
	case http.StatusNotImplemented, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return
	}
	if resp.StatusCode >= 500 {
		t.Errorf("status %d for %.300q: %.300q", resp.StatusCode, raw, body)
	}
}

// mutate builds a request that is wrong somewhere, or sometimes right.
func mutate(rng *rand.Rand) []byte {
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	value := pick("1", "-1", "1e999", "NaN", "null", `"x"`, "{}", "[[[[]]]]", "9223372036854775807", "18446744073709551616", "0x1", "1.", "01", "tru", "")
	shape := pick("[1,3]", "[3]", "[]", "[-1,3]", "[1152921504606846978,16]", "[9223372036854775807,9223372036854775807]", "[0,3]", "[1.5]", "null", `"a"`, "[1,3,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]")
	dtype := pick("FP32", "FP64", "INT8", "BYTES", "BOOL", "BF16", "fp32", "", "FP999")
	body := fmt.Sprintf(`{"id":%q,"inputs":[{"name":%q,"shape":%s,"datatype":%q,%s"data":[%s,2,3]}]%s}`,
		pick("a", "", strings.Repeat("x", 5000), "\x00\x1b[31m"), pick("x", "y", "", "x\n"), shape, dtype,
		pick("", "", `"parameters":{"binary_data_size":12},`, `"parameters":{"binary_data_size":-1},`, `"parameters":null,`), value,
		pick("", "", `,"outputs":[{"name":"y"},{"name":"y"}]`, `,"outputs":[{"name":"nope"}]`, `,"parameters":{"timeout":1}`, `,"parameters":{"priority":-1}`, strings.Repeat(`,"z":[[[[[[[[[[`, 30)))
	path := pick("/v2/models/double/infer", "/v2/models/double/versions/1/infer", "/v2/models/strings/infer", "/v2/models/nope/infer", "/v2/models/../infer", "//v2", "/v2/models/double/versions/01/infer", "/v2/repository/index", "/v2/models/%00/infer")
	header := pick("", "", "", "Inference-Header-Content-Length: 0\r\n", "Inference-Header-Content-Length: -5\r\n", "Inference-Header-Content-Length: 99999999999\r\n",
		"Inference-Header-Content-Length: 10\r\n", "Content-Encoding: gzip\r\n", "Content-Encoding: br\r\n", "Transfer-Encoding: chunked\r\n", "X-Request-Id: \x01\x02\r\n", "Sluice-Override: 2\r\n")
	length := len(body)
	if rng.IntN(8) == 0 {
		length = rng.IntN(2*length) - 10
	}
	raw := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", pick("POST", "POST", "POST", "GET", "PUT", "BREW"), path, header, length, body)
	for range rng.IntN(3) { // and some noise
		raw[rng.IntN(len(raw))] = byte(rng.UintN(256))
	}
	if rng.IntN(10) == 0 {
		raw = raw[:rng.IntN(len(raw))]
	}
	return raw
}
