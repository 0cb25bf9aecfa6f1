//go:build !race

package router_test

import (
	"testing"
	"time"
)

func TestPredictAllocatesNothing(t *testing.T) {
	for _, w := range ways(t) {
		ctx := t.Context()
		n := testing.AllocsPerRun(1000, func() {
			w.req.Arrived = time.Time{}
			if _, err := w.router.Predict(ctx, w.req); err != nil {
				t.Fatal(err)
			}
			if w.req.Served.Reason != w.want {
				t.Fatalf("%s: served %+v", w.name, w.req.Served)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", w.name, n)
		}
	}
}
