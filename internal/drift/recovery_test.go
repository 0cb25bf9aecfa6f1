package drift_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"sluice.io/sluice/internal/drift"
)

// A small reference differs from all clean windows by its own error, which must not keep an alarm
// alive when the trouble is over.
func TestRecoveryWithASmallReference(t *testing.T) {
	const streams, clean, moved, after = 20, 5, 6, 20
	stuck := 0
	for seed := range streams {
		rng := rand.New(rand.NewPCG(5, uint64(seed)))
		p := profile(10, 500, normal(rng))
		d := detector(t, p, drift.CompleteOptions())
		judge := func(k int, by float64) string {
			return d.Judge(window(p, k, 5000, func(int) source { return plus(normal(rng), by) })).State
		}
		for k := range clean {
			judge(k, 0)
		}
		for k := range moved {
			if state := judge(clean+k, 1); state != drift.Detected {
				t.Errorf("stream %d, window %d: %s", seed, clean+k, state)
			}
		}
		state := ""
		for k := range after {
			state = judge(clean+moved+k, 0)
		}
		if state != drift.OK {
			stuck++
		}
	}
	t.Logf("%d of %d streams are not OK after %d clean windows", stuck, streams, after)
	if stuck > 1 {
		t.Errorf("%d streams", stuck)
	}
}

// A difference that lasts is one detection, even if small windows look well now and then: each
// detection with a beginning of its own would be another signal.
func TestLastingDifferenceIsOneDetection(t *testing.T) {
	const streams, windows = 20, 150
	more, returns := 0, 0
	for seed := range streams {
		rng := rand.New(rand.NewPCG(6, uint64(seed)))
		p := profile(1, 5000, normal(rng))
		d := detector(t, p, drift.CompleteOptions())
		began, was := map[time.Time]bool{}, false
		for k := range windows {
			v := d.Judge(window(p, k, 100, func(int) source { return plus(normal(rng), 0.3) }))
			is := v.State == drift.Detected || v.State == drift.Recovering
			if is {
				began[*v.Began] = true
			}
			if was && !is {
				returns++
			}
			was = is
		}
		if len(began) > 1 {
			more++
		}
	}
	t.Logf("%d of %d streams had more than one detection; their states returned to OK %d times", more, streams, returns)
	if more > 3 {
		t.Errorf("%d streams", more)
	}
}
