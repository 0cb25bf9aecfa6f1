package offline

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/internal/infer"
)

func floats(name string, columns int64, values ...float32) infer.Tensor {
	t := infer.Tensor{Name: name, DType: infer.FP32, Shape: infer.Shape{int64(len(values)) / columns, columns}}
	for _, v := range values {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(v))
	}
	return t
}

func texts(name string, values ...string) infer.Tensor {
	t := infer.Tensor{Name: name, DType: infer.Bytes, Shape: infer.Shape{int64(len(values))}}
	for _, v := range values {
		t.Data = infer.AppendElement(t.Data, v)
	}
	return t
}

func TestCompareAnswers(t *testing.T) {
	c := newComparison(0.01)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	add := func(id string, before, now infer.Tensor) {
		c.add(&Recorded{ID: id}, Answer{Outputs: []infer.Tensor{before}, Took: time.Millisecond}, Answer{Outputs: []infer.Tensor{now}, Took: 2 * time.Millisecond})
	}
	add("same", floats("p", 2, 0.2, 0.8, 0.5, 0.5), floats("p", 2, 0.2, 0.8, 0.5, 0.5))
	add("other class", floats("p", 2, 0.4, 0.6), floats("p", 2, 0.605, 0.395))
	add("within", floats("p", 2, 1000, 1), floats("p", 2, 1009, 1))
	add("nan", floats("p", 2, nan, nan), floats("p", 2, nan, 1))
	add("infinite", floats("p", 2, inf, 0), floats("p", 2, inf, 0))
	add("reshaped", floats("p", 2, 1, 2), floats("p", 1, 1, 2))
	add("missing", floats("p", 2, 1, 2), floats("q", 2, 1, 2))
	add("text", texts("t", "a", "b"), texts("t", "a", "c"))
	c.failed(&Recorded{ID: "x"}, errors.New("busy"))
	c.failed(&Recorded{ID: "y"}, errors.New("busy"))
	r := c.report()
	p, text := r.Outputs[0], r.Outputs[1]
	if r.Requests != 10 || r.Errors != 2 || r.Compared != 8 || r.Differing != 5 || len(r.Causes) != 1 || r.Causes[0] != (ReplayError{"busy", 2, "x"}) || !r.Differs() {
		t.Errorf("%+v", r)
	}
	if p.Compared != 5 || p.Reshaped != 1 || p.Missing != 1 || p.Elements != 12 || p.Beyond != 3 || p.MaxAbsolute != 9 || p.NaNBefore != 2 || p.NaNNow != 1 || p.Top1Rows != 3 || p.Top1Agree != 2 {
		t.Errorf("%+v", p)
	}
	if text.Elements != 2 || text.Beyond != 1 || text.Equal != 0.5 {
		t.Errorf("%+v", text)
	}
	if len(r.Worst) != 3 || r.Worst[0].RequestID != "nan" || r.Worst[0].Element != 1 || r.Worst[0].Now != "1" || r.Worst[2].RequestID != "other class" {
		t.Errorf("%+v", r.Worst)
	}
	if r.Before.P50 < 980 || r.Before.P50 > 1020 || r.Now.P99 < 1960 || r.Now.P99 > 2040 {
		t.Errorf("%+v %+v", r.Before, r.Now)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func TestReplayKeepsThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		read := func(yield func(*Recorded) error) error {
			for i := range 5 {
				if err := yield(&Recorded{Time: time.Unix(0, 0).Add(time.Duration(i) * 10 * time.Second)}); err != nil {
					return err
				}
			}
			return nil
		}
		ask := func(context.Context, *Recorded) (Answer, error) { time.Sleep(5 * time.Second); return Answer{}, nil }
		r, err := Replay(t.Context(), read, ReplayOptions{Pace: 10, Concurrency: 1, Ask: ask})
		if err != nil || r.Requests != 5 || time.Since(start) != 25*time.Second || r.BehindSeconds != 16 {
			t.Errorf("%v %+v %v", err, r, time.Since(start))
		}
		if _, err := Replay(t.Context(), read, ReplayOptions{Pace: 1, Concurrency: 2, Ask: ask}); err != nil || time.Since(start) != 70*time.Second {
			t.Error(err, time.Since(start))
		}
		refused := errors.New("refused")
		stop := func(context.Context, *Recorded) (Answer, error) { return Answer{}, StopReplay(refused) }
		if r, err := Replay(t.Context(), read, ReplayOptions{Concurrency: 3, Ask: stop}); !errors.Is(err, refused) || r.Requests != 0 {
			t.Error(err, r)
		}
	})
}
