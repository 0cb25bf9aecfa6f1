package main

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// bombsLimited sends what could become large on every endpoint that reads a body.
func (b *bench) bombsLimited(ctx context.Context, r *record.Record) error {
	s := setup{HTTP: "max_body_memory: 256MiB, max_body: 16MiB, max_inflated: 16MiB", Limits: "max_response: 64MiB"}
	return b.bombs(ctx, r, s, 256, 16)
}

// bombsDefault does the same to a gateway that nobody has configured.
func (b *bench) bombsDefault(ctx context.Context, r *record.Record) error {
	return b.bombs(ctx, r, setup{}, 1024, 64)
}

// bomb is a kind of hostile client: what it sends, and what it does then.
type bomb struct {
	name    string
	admin   bool // the side port's
	request []byte
	after   func(ctx context.Context, c *net.TCPConn, request []byte) // nil: sends it and reads the answer
}

func (b *bench) bombs(ctx context.Context, r *record.Record, s setup, memory, body int) error {
	const n = 48 // in a quick run too: fewer might find room
	d := b.scale(4 * time.Second)
	r.Params["what"] = fmt.Sprintf("%d clients of each kind send what could become large, again and again, for %v, and then all kinds together; `max_body_memory` %d MiB, `max_inflated` %d MiB.",
		n, d, memory, body)
	s.Models = []process.Version{one(large())}
	s.Repo = "control: explicit, load: ['*']"
	t := record.Table{Title: "Answers and memory by kind", Columns: []string{"kind", "answers", "RSS above idle, MiB"}}
	used, err := b.beside(ctx, r, s, func(ctx context.Context, o *ordeal) error {
		idle, kinds := o.g.kernelUsage().RSS, bombKinds(o.g, body<<20)
		explode := func(name string, kinds ...bomb) {
			o.mark("attack: " + name)
			ends, stop := newTally(), o.g.watch(ctx)
			var all sync.WaitGroup
			for _, k := range kinds {
				all.Go(func() { k.explode(ctx, o.g, n, d, ends) })
			}
			all.Wait()
			t.Add(name, statuses(ends), stop().RSS-idle)
		}
		for _, k := range kinds {
			explode(k.name, k)
		}
		explode("all together", kinds...)
		return nil
	})
	if err != nil {
		return err
	}
	r.Tables = append(r.Tables, t)
	r.AtMost("most memory, as one and a half times `max_body_memory`", used, 1.5*float64(memory), "MiB")
	return nil
}

// bombKinds are all kinds, whose bodies inflate to most bytes or a little more.
func bombKinds(g *gateway, most int) []bomb {
	const inferPath = "/v2/models/polite/infer"
	const asGzip, asDeflate = "Content-Encoding: gzip\r\n", "Content-Encoding: deflate\r\n"
	post := func(path, headers string, body []byte) []byte {
		return append(fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nIf-Match: *\r\n%sContent-Length: %d\r\n\r\n", path, headers, len(body)), body...)
	}
	doc := numbers(most - 1024)
	beyond := func(deflate bool) []byte { return zipped(bytes.Repeat([]byte(" "), most), 8, deflate) }
	beyondGzip, beyondDeflate := beyond(false), beyond(true)
	expanding := zipped(doc, 1, false)
	forged := bytes.Clone(expanding)
	copy(forged[len(forged)-4:], "\xff\xff\xff\xff")
	answers := func(binary bool, headers string) []byte {
		t := loadgen.FP32Target(g.URL(), "large", "input", []int64{1, 16}, binary)
		return bytes.Replace(t.Bytes(), []byte("\r\n"), []byte("\r\n"+headers), 1)
	}
	slow := post(inferPath, "", doc)
	kinds := []bomb{
		{"numbers that decode to four times their text", false, post(inferPath, "", doc), nil},
		{"the same, in gzip", false, post(inferPath, asGzip, expanding), nil},
		{"the same, in deflate", false, post(inferPath, asDeflate, zipped(doc, 1, true)), nil},
		{"gzip that claims to be 4 GiB", false, post(inferPath, asGzip, forged), nil},
		{"gzip beyond the limit", false, post(inferPath, asGzip, beyondGzip), nil},
		{"deflate beyond the limit", false, post(inferPath, asDeflate, beyondDeflate), nil},
		{"large answers in JSON", false, answers(false, ""), nil},
		{"large answers, compressed", false, answers(true, "Accept-Encoding: gzip\r\n"), nil},
		{"large answers that nobody reads", false, answers(true, ""), unreadAnswer},
		{"bodies that never end", false, slow[:len(slow)-1], sendSlowly},
		{"a route of brackets to the side port", true, bytes.Replace(post("/api/v1/routes/polite", "", bytes.Repeat([]byte("["), 60_000)), []byte("POST"), []byte("PUT"), 1), nil},
		{"a slow route to the side port", true, bytes.Replace(post("/api/v1/routes/polite", "", bytes.Repeat([]byte(" "), 60_000)), []byte("POST"), []byte("PUT"), 1)[:50_000], sendSlowly},
	}
	for _, path := range []string{"index", "models/polite/load", "models/nobody/unload"} {
		name := path
		path = "/v2/repository/" + path
		kinds = append(kinds,
			bomb{"gzip to " + name, false, post(path, asGzip, beyondGzip), nil},
			bomb{"deflate to " + name, false, post(path, asDeflate, beyondDeflate), nil},
			bomb{"64 KiB of members to " + name, false, post(path, "", members(64<<10)), nil})
	}
	return kinds
}

// numbers is a request of about so many bytes, of FP64 numbers as short as they can be.
func numbers(size int) []byte {
	n := size / 2
	text := fmt.Appendf(nil, `{"inputs":[`)
	const inputs = 8 // since one tensor may have 64 MiB
	for i := range inputs {
		text = fmt.Appendf(text, `{"name":"%d","shape":[%d],"datatype":"FP64","data":[`, i, n/inputs)
		text = append(text, bytes.Repeat([]byte("0,"), n/inputs)...)
		text = append(text[:len(text)-1], "]},"...)
	}
	return append(text[:len(text)-1], "]}"...)
}

// members is a JSON object of many short members, of less than size bytes.
func members(size int) []byte {
	text := []byte(`{"parameters":{`)
	for i := 0; len(text) < size-20; i++ {
		text = fmt.Appendf(text, `"%d":1,`, i)
	}
	return append(text[:len(text)-1], "}}"...)
}

// zipped compresses the text so many times over.
func zipped(plain []byte, times int, deflate bool) []byte {
	var out bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&out)
	if deflate {
		w = zlib.NewWriter(&out)
	}
	for range times {
		_, _ = w.Write(plain)
	}
	_ = w.Close()
	return out.Bytes()
}

// explode keeps n clients of the kind at it for d.
func (k *bomb) explode(ctx context.Context, g *gateway, n int, d time.Duration, ends *tally) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	address := g.HTTP
	if k.admin {
		address = g.Admin
	}
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			end, _ := ctx.Deadline() // which may have passed before ctx tells it
			for ctx.Err() == nil && time.Now().Before(end) {
				begun := time.Now()
				c, err := dial(ctx, address)
				if err != nil {
					ends.add(broken(err, begun))
					continue
				}
				if e := k.one(ctx, c, begun); time.Now().Before(end) || e.status != 0 {
					ends.add(e)
				}
				_ = c.Close()
			}
		})
	}
	wg.Wait()
}

// one sends the request once.
func (k *bomb) one(ctx context.Context, c *net.TCPConn, begun time.Time) ending {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now().Add(time.Second)) })
	defer stop()
	if k.after != nil {
		k.after(ctx, c, k.request)
		return ending{text: "held open", after: time.Since(begun)}
	}
	_, werr := c.Write(k.request) // it may be refused before all was sent
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return broken(cmp.Or(werr, err), begun)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	_, _ = io.Copy(io.Discard, resp.Body)
	return ending{status: resp.StatusCode, after: time.Since(begun)}
}

// unreadAnswer reads nothing of the answer.
func unreadAnswer(ctx context.Context, c *net.TCPConn, request []byte) {
	_ = c.SetReadBuffer(4 << 10)
	if _, err := c.Write(request); err == nil {
		<-ctx.Done()
	}
}

// sendSlowly leaves the end of the body out.
func sendSlowly(_ context.Context, c *net.TCPConn, request []byte) {
	if _, err := c.Write(request); err != nil {
		return // refused
	}
	_ = readEnding(c, time.Now()) // its time is up, or the deadline's
}

// statuses lists how often each status came.
func statuses(t *tally) string {
	counts := map[int]int{}
	for name, list := range t.after {
		status := 0
		_, _ = fmt.Sscan(name, &status)
		counts[status] += len(list)
	}
	return byStatus(counts)
}
