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

func TestReplayReport(t *testing.T) {
	read := func(yield func(*Recorded) error) error {
		for _, id := range []string{"x", "y", "z"} {
			if err := yield(&Recorded{ID: id, Took: time.Millisecond, Outputs: []infer.Tensor{floats("p", 1, 1)}}); err != nil {
				return err
			}
		}
		return nil
	}
	ask := func(_ context.Context, r *Recorded) (Answer, error) {
		if r.ID != "z" {
			return Answer{}, errors.New("busy")
		}
		return Answer{Outputs: []infer.Tensor{floats("p", 1, 2)}, Took: 2 * time.Millisecond}, nil
	}
	r, err := Replay(t.Context(), read, ReplayOptions{Concurrency: 1, Tolerance: 0.01, Ask: ask})
	if err != nil || r.Requests != 3 || r.Errors != 2 || r.Compared != 1 || r.Differing != 1 || len(r.Causes) != 1 || r.Causes[0] != (ReplayError{"busy", 2, "x"}) || !r.Differs() {
		t.Errorf("%v %+v", err, r)
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
