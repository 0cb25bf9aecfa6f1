//go:build !race

package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// maxAllocations of a whole request, from socket to socket, averaged over many. The share of
// the log, of drift and of the collector's emptying of pools is a fraction.
const maxAllocations = 2

// TestARequestAllocatesLittle sends requests over a socket to a gateway with every feature on.
func TestARequestAllocatesLittle(t *testing.T) {
	const requests = 2000
	for _, features := range []string{"none", "all"} {
		t.Run("features="+features, func(t *testing.T) {
			g := startLin(t, features)
			for form, request := range linRequests() {
				c := dialGateway(t, g)
				c.exchange(t, request, requests) // until everything has grown
				n := testing.AllocsPerRun(5, func() { c.exchange(t, request, requests) }) / requests
				t.Logf("%s: %.3f allocations per request", form, n)
				if n > maxAllocations {
					t.Errorf("%s: %.3f allocations per request, want at most %d", form, n, maxAllocations)
				}
			}
			if features == "all" {
				g.sawAll(t)
			}
		})
	}
}

// startLin runs a gateway for the tiny model, with every feature or with none.
func startLin(tb testing.TB, features string) *gateway {
	tb.Helper()
	dir := tb.TempDir()
	for version := range int64(2) {
		put(tb, dir, "lin", version+1, onnxgen.Lin().Bytes())
	}
	if features == "none" {
		return start(tb, dir, "server.access_log: {enabled: false}")
	}
	profile := filepath.Join(tb.TempDir(), "lin.json")
	writeProfile(tb, profile, linProfile(tb))
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zap.InfoLevel))
	return startLogging(tb, log, nil, dir, "server.access_log: {enabled: true, sample_every: 100}",
		"tracing: {exporter: otlp, endpoint: '127.0.0.1:1', insecure: true, sample: 0}", // the decision costs no allocation; spans are not part of it
		fmt.Sprintf("models: {lin: {versions: [1, 2], drift: {profile: %q}}}", profile),
		`routes: {lin: {variants: [{version: 1, weight: 90%}, {version: 2, weight: 10%, role: canary}], sticky: {header: X-User-Id}, fallback: stable}}`)
}

// sawAll checks that the features were really in use.
func (g *gateway) sawAll(t *testing.T) {
	t.Helper()
	var drifts []api.DriftStatus
	if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/drift", "")), &drifts); err != nil {
		t.Fatal(err)
	}
	rows := uint64(0)
	for _, d := range drifts {
		rows += d.Rows + d.Dropped
	}
	if rows == 0 {
		t.Errorf("the drift tap saw nothing: %+v", drifts)
	}
	if text := g.must(t, "GET", g.admin+"/metrics", ""); !strings.Contains(text, `reason="sticky"`) {
		t.Error("no request was picked by its key")
	}
}

func linProfile(tb testing.TB) *offline.Profile {
	tb.Helper()
	var text strings.Builder
	for i := range 16 {
		fmt.Fprintf(&text, "input[%d],", i)
	}
	text.WriteString("output[0]\n")
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		for range 16 {
			fmt.Fprintf(&text, "%v,", rng.NormFloat64())
		}
		fmt.Fprintf(&text, "%v\n", rng.Float64())
	}
	tensor := func(name string, width int64) []infer.TensorSpec {
		return []infer.TensorSpec{{Name: name, DType: infer.FP32, Shape: infer.Shape{-1, width}}}
	}
	p, err := offline.MakeProfile(tb.Context(), strings.NewReader(text.String()), offline.ProfileOptions{
		Model: infer.NewModel("lin", 1, tensor("input", 16), tensor("output", 1)),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// linRequests are the tiny request in both formats, as sent over the wire.
func linRequests() map[string][]byte {
	request := func(fields, body string) []byte {
		return []byte("POST /v2/models/lin/infer HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: test\r\nContent-Type: application/json\r\n" +
			"X-User-Id: user-42\r\n" + fields + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	}
	const head = `{"inputs":[{"name":"input","shape":[1,16],"datatype":"FP32","parameters":{"binary_data_size":64}}],"parameters":{"binary_data_output":true}}`
	return map[string][]byte{
		"json": request("", `{"inputs":[{"name":"input","shape":[1,16],"datatype":"FP32","data":[`+
			strings.Repeat("-0.1234567,", 15)+`1.5]}]}`),
		"binary": request("Inference-Header-Content-Length: "+strconv.Itoa(len(head))+"\r\n", head+string(make([]byte, 64))),
	}
}

// wire is a client that allocates nothing, so that all allocations of the process belong to the
// gateway.
type wire struct {
	net.Conn
	buffer []byte
}

func dialGateway(tb testing.TB, g *gateway) *wire {
	tb.Helper()
	c, err := new(net.Dialer).DialContext(tb.Context(), "tcp", g.http)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return &wire{Conn: c, buffer: make([]byte, 4<<10)}
}

// exchange sends a request n times, one after the other, and reads the answers.
func (c *wire) exchange(tb testing.TB, request []byte, n int) {
	tb.Helper()
	for range n {
		if err := c.once(request); err != nil {
			tb.Fatal(err)
		}
	}
}

// once sends a request and reads the answer, its head and the body. Only 200 is right.
func (c *wire) once(request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	got := 0
	for {
		n, err := c.Read(c.buffer[got:])
		if err != nil {
			return err
		}
		got += n
		head, body, ok := bytes.Cut(c.buffer[:got], []byte("\r\n\r\n"))
		switch {
		case !ok:
		case !bytes.HasPrefix(head, []byte("HTTP/1.1 200 OK\r\n")):
			return fmt.Errorf("answered %s", c.buffer[:got])
		case len(body) >= contentLength(head):
			return nil
		}
	}
}

func contentLength(head []byte) (n int) {
	const name = "\r\nContent-Length: "
	_, value, _ := bytes.Cut(head, []byte(name))
	for _, c := range value {
		if c < '0' || c > '9' {
			break
		}
		n = 10*n + int(c-'0')
	}
	return n
}
