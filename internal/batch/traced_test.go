package batch_test

import (
	"testing"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// A run that joins traced requests has a span, and names those of its members that are traced.
func TestTracedRuns(t *testing.T) {
	virtual(t, func(t *testing.T) {
		var runs []batch.Run
		s := start(t, 1, func(o *batch.Options, fakes []*fake) {
			o.Split = true
			o.ObserveRun = func(r batch.Run) { runs = append(runs, r) }
			fakes[0].takes = constant(ms)
		})
		traced := func(id float32, rows int) *infer.Request {
			r := request(id, rows, 1)
			r.Span = infer.NewSpan()
			return r
		}
		alone := traced(1, 1)
		first := s.send(alone) // it runs, and the next three wait
		together := []*infer.Request{traced(2, 1), request(3, 1, 1), traced(4, 1)}
		for _, r := range together {
			s.send(r)
		}
		first.wantDoubled(t)
		s.send(request(5, 1, 1)).wantDoubled(t)
		if runs[0].Trace != nil || alone.Timing.Batch.Valid() {
			t.Errorf("a run of one request has a span: %+v", runs[0].Trace)
		}
		run := runs[1].Trace
		if run == nil || !run.Span.Valid() || run.Started.IsZero() || len(run.Members) != 2 || run.Members[0] != together[0].Span || run.Members[1] != together[2].Span {
			t.Fatalf("the run is traced as %+v", run)
		}
		if together[0].Timing.Batch != run.Span || together[2].Timing.Batch != run.Span || together[1].Timing.Batch.Valid() {
			t.Error("the members do not know their run")
		}
		// A request that is split belongs to the runs of its pieces: here the last one joins another.
		runs = nil
		busy, large, small := s.send(request(6, 1, 1)), traced(7, 20), traced(8, 1)
		calls := []*call{busy, s.send(large), s.send(small)}
		for _, c := range calls {
			c.wantDoubled(t)
		}
		last := runs[len(runs)-1].Trace
		if last == nil || len(last.Members) != 2 || last.Members[0] != large.Span || last.Members[1] != small.Span || large.Timing.Batch != last.Span {
			t.Errorf("the last run is traced as %+v, the request knows %+v", last, large.Timing.Batch)
		}
	})
}
