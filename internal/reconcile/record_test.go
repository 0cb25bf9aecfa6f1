package reconcile

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
	"sluice.io/sluice/internal/router"
)

// failing is a loaded version whose requests end with err.
type failing struct{ err error }

func (f *failing) Predict(context.Context, *infer.Request) (*infer.Response, error) {
	return infer.NewResponse(), f.err
}
func (f *failing) Acquire() bool { return true }
func (f *failing) Release()      {}

// The log has each change of a breaker.
func TestBreakersAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		r := newRecorder(metrics.New(prometheus.NewRegistry()), zap.New(core))
		r.version(infer.Version{Model: "iris", Number: 2}) // as for a version that serves
		leased := &failing{infer.Errorf(infer.Internal, "broken")}
		target := &router.Target{
			Model: infer.NewModel("iris", 2, nil, nil), Leased: leased, Timeout: time.Second,
			Breaker: r.breaker(infer.Version{Model: "iris", Number: 2}, nil, config.Breaker{
				Enabled: true, Window: 10 * time.Second, MinRequests: 20, FailureRatio: 0.5, Consecutive: 3, Open: time.Second, Probes: 1,
			}),
		}
		table := router.New()
		table.Swap(router.NewTable([]*router.Entry{{Name: "iris", Model: "iris", Targets: []*router.Target{target}, Route: &router.Route{
			Variants: []router.Variant{{Version: 2, Weight: api.TotalWeight, Stable: true, Target: target}},
			Slots:    router.NewSlots(api.Slots{{{0, api.TotalWeight}}}),
		}}}))
		for range 5 {
			_, _ = table.Predict(t.Context(), &infer.Request{Model: "iris"})
		}
		leased.err = nil
		time.Sleep(2 * time.Second)
		_, _ = table.Predict(t.Context(), &infer.Request{Model: "iris"})
		for len(r.incidents) > 0 {
			i := <-r.incidents
			r.breakerIs(i.version, i.breaker)
		}
		var got []string
		for _, e := range logs.All() {
			m := e.ContextMap()
			if m["model"] != "iris" || m["version"] != int64(2) {
				t.Errorf("%v", m)
			}
			state, _ := m["state"].(string)
			cause, _ := m["cause"].(string)
			failure, _ := m["error"].(string)
			got = append(got, strings.TrimSpace(e.Level.String()+" "+state+": "+cause+" "+failure))
		}
		if diff := cmp.Diff([]string{"warn open: 3 failures in a row broken", "info half-open: it was open for 1s", "info closed: 1 probes succeeded"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
