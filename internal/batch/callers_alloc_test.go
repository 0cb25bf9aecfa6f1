//go:build !race

package batch_test

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// crowded is an echo that yields to others before it runs, and counts the requests that were
// joined.
type crowded struct {
	echo
	joined int
}

func (c *crowded) Gather(reqs []*infer.Request) error {
	if len(reqs) > 1 {
		c.joined += len(reqs)
	}
	return c.echo.Gather(reqs)
}

func (c *crowded) Run() error {
	runtime.Gosched()
	return nil
}

// Requests that wait for each other take other code paths than a single one: they queue, are
// joined, and are woken.
func TestManyCallersAllocateNothing(t *testing.T) {
	const callers, each = 16, 2000
	instance, ctx := &crowded{}, context.Background()
	o := options()
	o.MaxSize, o.Steady, o.Instances = 64, false, []batch.Instance{instance}
	b, err := batch.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- b.Run(ctx) }()
	all := func() {
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				req := request(1, 1, 1)
				req.Presence = &infer.Presence{Gone: func() bool { return false }}
				for range each {
					resp, err := b.Predict(ctx, req)
					if err != nil {
						t.Error(err)
						return
					}
					resp.Release()
				}
			})
		}
		wg.Wait()
	}
	all()
	n := testing.AllocsPerRun(3, all) / (callers * each)
	if err := b.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-ran; err != nil {
		t.Error(err)
	}
	// The callers' goroutines and requests, and pools that the collector emptied, make a few
	// dozen allocations in total.
	if n > 0.01 {
		t.Errorf("%.4f allocations per Predict, want 0", n)
	}
	if instance.joined < callers*each {
		t.Errorf("%d requests were joined, of %d: they did not meet", instance.joined, 5*callers*each)
	}
}
