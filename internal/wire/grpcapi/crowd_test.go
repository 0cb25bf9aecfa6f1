package grpcapi_test

import (
	"flag"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// crowd is how many streams TestCrowd opens: make soak says 10,000.
var crowd = flag.Int("streams", 600, "how many streams TestCrowd opens")

// Streams that never write, never read, or stop in the middle of a message are bounded by the
// memory of all requests, end by their timeouts, and keep nobody else waiting.
func TestCrowd(t *testing.T) {
	const perConnection = 50
	patience := max(6*time.Second, time.Duration(*crowd)*3*time.Millisecond) // more than it takes to open them
	before := runtime.NumGoroutine()
	r := start(t, &stub{}, func(o *options) {
		o.Limits.ReadTimeout, o.Limits.WriteTimeout, o.Limits.IdleTimeout = patience, patience, patience
		o.Limits.MaxConnections = *crowd
	})
	polite := r.dial(t)
	served, most := 0, int64(0)
	serve := func() {
		if _, err := polite.ModelInfer(t.Context(), raw("", 1, 2, 3, 4)); err != nil {
			t.Fatal(err)
		}
		served++
	}
	whole := message(t, raw("", 1, 2, 3, 4))
	var peers []*peer
	for n := 0; n < *crowd; n += perConnection {
		p := r.peer(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		peers = append(peers, p)
		for i := range uint32(perConnection) {
			stream := 2*i + 1
			p.call(stream, streamCall)
			switch i % 3 {
			case 0: // it never writes
			case 1: // it never reads
				p.do(p.WriteData(stream, false, whole))
			case 2: // it stops in the middle
				p.do(p.WriteData(stream, false, whole[:20]))
			}
		}
		p.flush()
		serve()
		most = max(most, r.front.Memory())
	}
	var ended sync.WaitGroup
	for _, p := range peers {
		ended.Go(func() { <-p.ended })
	}
	all := make(chan struct{})
	go func() {
		defer close(all)
		ended.Wait()
	}()
	for done := false; !done; {
		serve()
		most = max(most, r.front.Memory())
		select {
		case <-all:
			done = true
		default:
		}
	}
	t.Logf("%d streams took %d bytes of the memory of requests; %d calls were served meanwhile", *crowd, most, served)
	if most < perConnection*(8<<10) {
		t.Errorf("%d bytes were reserved: the streams do not count", most)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	for r.front.Memory() != 0 {
		time.Sleep(time.Millisecond)
	}
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before+10; time.Sleep(10 * time.Millisecond) { // the polite caller has some
		if time.Now().After(end) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}
