//go:build !race

package router_test

import (
	"testing"
	"time"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/router"
)

func TestPredictAllocatesNothing(t *testing.T) {
	r := router.New()
	tg := target(1, &instance{})
	tg.Observe = func(*infer.Request, infer.Code, time.Duration) {}
	r.Swap(router.NewTable([]*router.Entry{entry(tg)}))
	req, ctx := request("iris", 0), t.Context()
	if n := testing.AllocsPerRun(200, func() { _, _ = r.Predict(ctx, req) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
