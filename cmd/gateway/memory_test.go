//go:build linux && !race

package main

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice.io/sluice/internal/testing/onnxgen"
)

// TestHostileBodiesTakeNoMoreThanTheyMay sends many bodies that could become large to every
// endpoint that reads one, and measures the process from outside. Together they ask for more than a
// gigabyte. The race detector would add memory of its own.
func TestHostileBodiesTakeNoMoreThanTheyMay(t *testing.T) {
	const (
		mib     = 1 << 20
		budget  = 64 * mib
		most    = budget*3/2 + 64*mib // a margin for Go and the connections
		inflate = 4 * mib
		clients = 12 // of each kind
		each    = 3  // requests of a client
	)
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "sluice.yaml")
	if err := onnxgen.Scale(2).As("model").Write(dir, 1); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("repository: {path: %q}\nserver:\n  http: {address: '127.0.0.1:0', max_body_memory: 64MiB, max_body: 4MiB, max_inflated: 4MiB}\n  grpc: {address: none}\n  limits: {max_response: 8MiB}\nadmin: {address: '127.0.0.1:0'}\nlog: {level: error}\n", dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k := &killed{args: []string{"serve", "-c", file}}
	k.start(t)
	defer k.stop(t)
	good := `{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[21]}]}`
	if status, err := k.post("/v2/models/model/infer", "", []byte(good)); err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	idle := k.resident(t)

	doc := []byte(`{"inputs":[{"name":"x","shape":[2000000],"datatype":"FP64","data":[` + strings.Repeat("0,", 2_000_000))
	doc = append(doc[:len(doc)-1], "]}]}"...)
	forged := zip(doc, false)
	copy(forged[len(forged)-4:], "\xff\xff\xff\xff")
	bomb := bytes.Repeat([]byte(" "), 4*inflate)
	rows := fmt.Appendf(nil, `{"inputs":[{"name":"x","shape":[400000,1],"datatype":"FP32","data":[%s1]}]}`, strings.Repeat("1,", 399_999))
	kinds := []struct {
		path, coding string
		body         []byte
	}{
		{"/v2/models/model/infer", "", doc},
		{"/v2/models/model/infer", "gzip", zip(doc, false)},
		{"/v2/models/model/infer", "deflate", zip(doc, true)},
		{"/v2/models/model/infer", "gzip", forged},
		{"/v2/models/model/infer", "deflate", zip(bomb, true)},
		{"/v2/models/model/infer", "gzip", zip(rows, false)},
		{"/v2/repository/index", "deflate", zip(bomb, true)},
		{"/v2/repository/models/model/load", "gzip", zip(bomb, false)},
		{"/v2/repository/models/model/unload", "gzip", zip(bomb, false)},
	}
	stop := make(chan struct{})
	var watching, polite, hostile sync.WaitGroup
	peak := idle
	watching.Go(func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
				peak = max(peak, k.resident(t))
			}
		}
	})
	polite.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				if n < 10 {
					t.Errorf("%d good requests were answered meanwhile", n)
				}
				return
			default:
			}
			if status, err := k.post("/v2/models/model/infer", "", []byte(good)); err != nil || status != http.StatusOK {
				t.Errorf("a good request: %d, %v", status, err)
				return
			}
		}
	})
	for _, kind := range kinds {
		for range clients {
			hostile.Go(func() {
				for range each {
					_, _ = k.post(kind.path, kind.coding, kind.body) // any result is fine
				}
			})
		}
	}
	hostile.Wait()
	close(stop)
	watching.Wait()
	polite.Wait()
	t.Logf("%d MiB resident before, %d MiB at most", idle/mib, peak/mib)
	if peak > idle+most {
		t.Errorf("%d MiB resident before, %d MiB at most, expected no more than %d above", idle/mib, peak/mib, most/mib)
	}
}

func zip(plain []byte, deflate bool) []byte {
	var out bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&out)
	if deflate {
		w = zlib.NewWriter(&out)
	}
	_, _ = w.Write(plain)
	_ = w.Close()
	return out.Bytes()
}

// post sends a body to the data plane and returns the status of the answer, and an error with its
// text if it is not 200.
func (k *killed) post(path, coding string, body []byte) (status int, err error) {
	req, err := http.NewRequest(http.MethodPost, k.data+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	if coding != "" {
		req.Header.Set("Content-Encoding", coding)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(resp.Body, 300))
		return resp.StatusCode, errors.Join(errors.New(string(text)), err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// resident returns the resident memory of the gateway in bytes.
func (k *killed) resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", k.process.Process.Pid))
	if err != nil {
		t.Error(err)
		return 0
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Error(err)
	}
	return pages * os.Getpagesize()
}
