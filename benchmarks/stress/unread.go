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
	"sluice.io/sluice/benchmarks/scenario"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

const (
	unreadClients   = 200
	unreadTimeout   = 5 * time.Second // write_timeout; the default is 30 s
	unreadBytes     = 8 << 20         // of one answer
	unreadBodies    = 256             // MiB, the limit on what all bodies take; the default is 1024
	pipelineClients = 1000
)

// unread asks for large answers and reads none of them.
func unread(ctx context.Context, b *bench, r *record.Record) error {
	n := b.Count(unreadClients)
	r.Params["what"] = fmt.Sprintf("%d clients ask for an answer of %d MiB each, with requests of 16 numbers, and do not read; `write_timeout` and `idle_timeout` %v, `max_body_memory` %d MiB.",
		n, unreadBytes>>20, unreadTimeout, unreadBodies)
	s := setup{
		Models: []process.Version{scenario.One(large())},
		HTTP:   fmt.Sprintf("write_timeout: %v, idle_timeout: %v, max_body_memory: %dMiB, max_body: 16MiB, max_inflated: 16MiB", unreadTimeout, unreadTimeout, unreadBodies),
		Limits: "max_response: 64MiB",
	}
	target := func(g *gateway) loadgen.Target {
		return loadgen.FP32Target(g.URL(), "large", "input", []int64{1, 16}, true)
	}
	memory, err := b.unread(ctx, r, s, n, target, false)
	if err == nil {
		r.AtMost("most memory, as one and a half times `max_body_memory`", memory, 1.5*unreadBodies, "MiB")
	}
	return err
}

// pipelined sends small requests without an end and reads no answer.
func pipelined(ctx context.Context, b *bench, r *record.Record) error {
	n := b.Count(pipelineClients)
	r.Params["what"] = fmt.Sprintf("%d clients send small requests one after the other for as long as the gateway takes them, and read no answer; `write_timeout` %v.", n, unreadTimeout)
	s := setup{HTTP: fmt.Sprintf("write_timeout: %v", unreadTimeout)}
	target := func(g *gateway) loadgen.Target { return politeTarget(g.URL()) }
	_, err := b.unread(ctx, r, s, n, target, true)
	return err
}

// large answers with far more than it was asked: "input" FP32 [1, 16] → its mean,
// many times.
func large() *onnxgen.Graph {
	const values = unreadBytes / 4
	g := onnxgen.New("large")
	x := g.Op("ReduceMean", g.Input("input", infer.FP32, 1, 16)).Ints("axes", 1)
	g.Output("output", infer.FP32, g.Op("Expand", x, g.Init(onnxgen.Int64s([]int64{1, values}, 2))), 1, values)
	return g
}

// unread sees from the gateway's side when the clients were cut off: what they do
// not read hides the end of the connection from them.
func (b *bench) unread(ctx context.Context, r *record.Record, s setup, n int, target func(*gateway) loadgen.Target, again bool) (memory float64, err error) {
	ends := newTally()
	var cut time.Duration
	refused := 0
	memory, err = b.beside(ctx, r, s, func(ctx context.Context, o *ordeal) error {
		base := o.g.KernelUsage().Descriptors
		request, done := raw(target(o.g)), make(chan struct{})
		begun := time.Now()
		opened, ended := swarm(ctx, o.g.HTTP, n, ends, func(_ int, c *net.TCPConn, begun time.Time) ending {
			return deaf(c, request, again, done, begun)
		})
		opened()
		o.mark("all connected")
		reached := func() bool { return o.g.KernelUsage().Descriptors >= base+n*9/10 }
		for !reached() && time.Since(begun) < unreadTimeout {
			time.Sleep(10 * time.Millisecond)
		}
		for o.g.KernelUsage().Descriptors > base+2 && time.Since(begun) < 6*unreadTimeout {
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
	for name, count := range ends.counts {
		if name != silence {
			refused += count
		}
	}
	r.Tables = append(r.Tables, ends.table("What was in the clients' buffers, read after all had been cut off"))
	r.Tell("clients that found a refusal or the end there", float64(refused), "")
	if again {
		// The time runs for each answer, and the kernel's buffers take many.
		r.Tell("all connections closed by the gateway after", millis(cut), "ms")
	} else {
		r.AtMost("all connections closed by the gateway after", millis(cut), millis(unreadTimeout)+2000, "ms")
	}
	return memory, nil
}

// silence is what a client finds that was being answered.
const silence = "200 a part of the answer"

// deaf sends a request, or the same one again and again, and reads nothing until
// done; then it looks at what came first.
func deaf(c *net.TCPConn, request []byte, again bool, done <-chan struct{}, begun time.Time) ending {
	_ = c.SetReadBuffer(4 << 10)
	go func() { // ends with all of them: a write may wait for a window that never opens
		<-done
		_ = c.SetDeadline(time.Now().Add(time.Second))
	}()
	for first := true; first || again; first = false {
		if _, err := c.Write(request); err != nil {
			break // it was cut off
		}
	}
	<-done
	e := readEnding(c, begun)
	if e.status == http.StatusOK {
		e = ending{0, silence, e.after}
	}
	return e
}
