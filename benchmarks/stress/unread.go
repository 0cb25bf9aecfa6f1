package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

const (
	unreadTimeout = 5 * time.Second // write_timeout; the default is 30 s
	unreadBytes   = 8 << 20         // of one answer
)

// unread asks for large answers and reads none of them.
func (b *bench) unread(ctx context.Context, r *record.Record) error {
	const bodies = 256 // MiB, the limit on what all bodies take; the default is 1024
	n := b.count(200)
	r.Params["what"] = fmt.Sprintf("%d clients ask for an answer of %d MiB each, with requests of 16 numbers, and do not read; `write_timeout` and `idle_timeout` %v, `max_body_memory` %d MiB.",
		n, unreadBytes>>20, unreadTimeout, bodies)
	s := setup{
		Models: []process.Version{one(large())},
		HTTP:   fmt.Sprintf("write_timeout: %v, idle_timeout: %v, max_body_memory: %dMiB, max_body: 16MiB, max_inflated: 16MiB", unreadTimeout, unreadTimeout, bodies),
		Limits: "max_response: 64MiB",
	}
	memory, err := b.deaf(ctx, r, s, n, "large", false)
	r.AtMost("most memory, as one and a half times `max_body_memory`", memory, 1.5*bodies, "MiB")
	return err
}

// pipelined sends small requests without an end and reads no answer.
func (b *bench) pipelined(ctx context.Context, r *record.Record) error {
	n := b.count(1000)
	r.Params["what"] = fmt.Sprintf("%d clients send small requests one after the other for as long as the gateway takes them, and read no answer; `write_timeout` %v.", n, unreadTimeout)
	_, err := b.deaf(ctx, r, setup{HTTP: fmt.Sprintf("write_timeout: %v", unreadTimeout)}, n, "polite", true)
	return err
}

// large answers with far more than it was asked: "input" FP32 [1, 16] → its mean, many times.
func large() *onnxgen.Graph {
	const values = unreadBytes / 4
	g := onnxgen.New("large")
	x := g.Op("ReduceMean", g.Input("input", infer.FP32, 1, 16)).Ints("axes", 1)
	g.Output("output", infer.FP32, g.Op("Expand", x, g.Init(onnxgen.Int64s([]int64{1, values}, 2))), 1, values)
	return g
}

// partial is what a client finds that was being answered.
const partial = "200 a part of the answer"

// deaf has n clients that send a request, or the same one again and again, and read nothing.
// It sees from the gateway's side when they were cut off: what they do not read hides the
// end of the connection from them.
func (b *bench) deaf(ctx context.Context, r *record.Record, s setup, n int, model string, again bool) (memory float64, err error) {
	ends := newTally()
	var cut time.Duration
	memory, err = b.beside(ctx, r, s, func(ctx context.Context, o *ordeal) error {
		base := o.g.kernelUsage().Descriptors
		target, done := loadgen.FP32Target(o.g.URL(), model, "input", []int64{1, 16}, true), make(chan struct{})
		request, begun := target.Bytes(), time.Now()
		opened, ended := swarm(ctx, o.g.HTTP, n, ends, func(_ int, c *net.TCPConn, begun time.Time) ending {
			_ = c.SetReadBuffer(4 << 10)
			go func() { // ends with all of them: a write may wait for a window that never opens
				<-done
				_ = c.SetDeadline(time.Now().Add(time.Second))
			}()
			for err := error(nil); err == nil; {
				if _, err = c.Write(request); !again {
					break
				}
			}
			<-done
			e := readEnding(c, begun)
			if e.status == http.StatusOK {
				e = ending{0, partial, e.after}
			}
			return e
		})
		opened()
		o.mark("all connected")
		for o.g.kernelUsage().Descriptors < base+n*9/10 && time.Since(begun) < unreadTimeout {
			time.Sleep(10 * time.Millisecond)
		}
		for o.g.kernelUsage().Descriptors > base+2 && time.Since(begun) < 6*unreadTimeout {
			time.Sleep(50 * time.Millisecond)
		}
		cut = time.Since(begun)
		close(done)
		ended()
		return nil
	})
	if err != nil {
		return 0, err
	}
	r.Tables = append(r.Tables, ends.table("What was in the clients' buffers, read after all had been cut off"))
	r.Tell("clients that found a refusal or the end there", float64(ends.total-len(ends.after[partial])), "")
	if again {
		// The time runs for each answer, and the kernel's buffers take many.
		r.Tell("all connections closed by the gateway after", millis(cut), "ms")
	} else {
		r.AtMost("all connections closed by the gateway after", millis(cut), millis(unreadTimeout)+2000, "ms")
	}
	return memory, nil
}
