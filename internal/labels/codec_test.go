package labels

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// FuzzCell decodes any bytes. What decodes is the same after another round.
func FuzzCell(f *testing.F) {
	form := &Form{Kind: kindScores, Width: 3}
	c := &cell{Kept: 7}
	c.seen(time.Unix(1000, 0), time.Minute)
	c.add(form, row{scores: []float64{0.2, 0.3, 0.5}}, Label{}, 1, 1)
	f.Add(c.encode())
	f.Add((&cell{}).encode())
	f.Add([]byte{cellFormat})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCell(b)
		if err != nil {
			return
		}
		again := c.encode()
		d, err := decodeCell(again)
		if err != nil || !bytes.Equal(again, d.encode()) {
			t.Errorf("%+v, then %+v, %v", c, d, err)
		}
	})
}

// FuzzPrediction reads rows of any stored prediction.
func FuzzPrediction(f *testing.F) {
	f.Add(appendPrediction(nil, &prediction{form: 1, time: time.Unix(1, 2), version: 3, role: "stable", segment: "EU", rows: 2, data: make([]byte, 24)}), 1)
	f.Add([]byte{recordPrediction}, 0)
	f.Fuzz(func(t *testing.T, b []byte, i int) {
		p, ok := parsePrediction(b)
		if !ok {
			return
		}
		if i > 1<<20 {
			i = 1 << 20
		}
		for _, form := range []Form{{Kind: kindScores, Width: 3}, {Kind: kindScore, Width: 1}, {Kind: kindValue, Width: 1}, {Kind: kindClass, Width: 1}} {
			if x, ok := p.at(&form, i); ok && form.Kind == kindScores && len(x.scores) != 3 {
				t.Errorf("%+v", x)
			}
		}
	})
}

// TestTakenOut: a row that is taken out leaves the sums of the others, in any order and over
// several cells.
func TestTakenOut(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, form := range []*Form{{Kind: kindScores, Width: 3}, {Kind: kindScores, Width: 2, Positive: 1}, {Kind: kindScore, Width: 1, Positive: 1}} {
		var all, halves, other cell
		for i := range 200 {
			scores := make([]float64, form.Width)
			sum := 0.0
			for k := range scores {
				scores[k] = rng.Float64()
				sum += scores[k]
			}
			for k := range scores {
				if form.Width > 1 {
					scores[k] /= sum
				}
			}
			class := rng.IntN(form.classes())
			all.add(form, row{scores: scores}, Label{}, class, 1)
			half := &halves
			if i%2 == 0 {
				half = &other
			}
			wrong := (class + 1) % form.classes()
			half.add(form, row{scores: scores}, Label{}, wrong, 1)
			half.add(form, row{scores: scores}, Label{}, wrong, -1)
			half.add(form, row{scores: scores}, Label{}, class, 1)
		}
		halves.merge(&other)
		if !reflect.DeepEqual(all.Positives, halves.Positives) || !reflect.DeepEqual(all.Negatives, halves.Negatives) || all.Correct != halves.Correct || all.Labelled != halves.Labelled {
			t.Errorf("%+v: the counts differ", form)
		}
		for _, pair := range [][2]float64{{all.Brier, halves.Brier}, {all.LogLoss, halves.LogLoss}, {all.LogLoss2, halves.LogLoss2}} {
			if d := pair[0] - pair[1]; d > 1e-9 || d < -1e-9 {
				t.Errorf("%+v: %v and %v", form, pair[0], pair[1])
			}
		}
	}
}
