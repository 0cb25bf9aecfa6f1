package batch_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

func TestFitsTellWhatIsKnownOfEachShape(t *testing.T) {
	virtual(t, func(t *testing.T) {
		l := law{10 * ms, ms, 0}
		s := start(t, 1, func(_ *batch.Options, instances []*fake) { instances[0].takes = l.exact })
		if got := s.Fits(16); len(got) != 0 {
			t.Errorf("%+v before the first run", got)
		}
		for _, rows := range []int{1, 2, 4} {
			s.send(request(0, rows, 3)).wantDoubled(t)
		}
		s.send(request(0, 2, 5)).wantDoubled(t)
		synctest.Wait() // the worker learns from a run after it has answered
		want := []batch.Fit{
			{Shape: "x[-1,3]", Runs: 3, MinRows: 1, MaxRows: 4, Fixed: 10 * ms, PerRow: ms, RunRows: 8, Gain: 8 * 11. / 18, Joined: true},
			{Shape: "x[-1,5]", Runs: 1, MinRows: 2, MaxRows: 2, Fixed: 12 * ms, RunRows: 8, Joined: true},
		}
		near := cmp.Comparer(func(x, y float64) bool { return x-y < 1e-9 && y-x < 1e-9 })
		if diff := cmp.Diff(want, s.Fits(16), near); diff != "" {
			t.Errorf("fits (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want[:1], s.Fits(1), near); diff != "" {
			t.Errorf("the first (-want +got):\n%s", diff)
		}
	})
}

// The text of a shape has all dimensions if its requests run alone, and is cut if it is long.
func TestFitsNameInputs(t *testing.T) {
	virtual(t, func(t *testing.T) {
		var specs []infer.TensorSpec
		req := &infer.Request{}
		for i := range 9 {
			name := fmt.Sprint("i", i)
			specs = append(specs, infer.TensorSpec{Name: name, DType: infer.FP32, Shape: infer.Shape{-1, 2}})
			req.Inputs = append(req.Inputs, input(name, 300))
		}
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(time.Millisecond)(o, instances)
			o.Model, o.Batchable = infer.NewModel("wide", 1, specs, specs[:1]), false
		})
		s.send(req).wantDoubled(t)
		synctest.Wait() // the worker learns from a run after it has answered
		got := s.Fits(16)
		want := "i0[300,2] i1[300,2] i2[300,2] i3[300,2] i4[300,2] i5[300,2] i6[300,2] i7[300,2] …"
		if len(got) != 1 || got[0].Shape != want || got[0].Joined || got[0].RunRows != 0 || got[0].Gain != 0 || got[0].Fixed != ms {
			t.Errorf("%+v, want a shape %q that is not joined", got, want)
		}
	})
}

func TestFitsOfRequestsThatRunAlone(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(_ *batch.Options, instances []*fake) { instances[0].takes = law{0, 10 * ms, 0}.exact })
		for range 4 {
			s.storm(20)
		}
		synctest.Wait()
		if got := s.Fits(16); len(got) != 1 || got[0].Joined || got[0].Gain > 1.01 || got[0].Gain < 0.99 {
			t.Errorf("%+v, want a gain of 1 and requests not joined", got)
		}
	})
}
