package labels

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"sluice.io/sluice/internal/infer"
)

// FuzzCell decodes any bytes. A value that decodes is the same after another round.
func FuzzCell(f *testing.F) {
	form := &Form{Kind: kindScores, Width: 3}
	c := &cell{Kept: 7}
	c.seen(time.Unix(1000, 0), time.Minute)
	c.add(form, row{scores: []float64{0.2, 0.3, 0.5}}, Label{}, 1, 1)
	data, _ := form.appendRows(nil, &infer.Tensor{DType: infer.FP32, Data: make([]byte, 12)}, 1, infer.NumberReader(infer.FP32))
	c.keepScores(form, &prediction{rows: 1, data: data})
	f.Add(c.encode())
	f.Add((&cell{}).encode())
	c.expected(LossSource{ID: 1, Squared: true}).add(0.5)
	f.Add(c.encode())
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
	f.Add(appendPrediction(nil, &prediction{rows: 1, data: make([]byte, 8+9+8)}), 0)
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
		if _, _, ok := p.expected(i); ok && (i < 0 || len(p.data) < 8*(p.rows+i)+17) {
			t.Errorf("row %d of %d has an expected loss in %d bytes", i, p.rows, len(p.data))
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

// TestFirstFormat: a cell of the format without sums of predictions is read as before.
func TestFirstFormat(t *testing.T) {
	form := &Form{Kind: kindScores, Width: 2, Positive: 1}
	c := &cell{Kept: 7}
	c.add(form, row{scores: []float64{0.2, 0.8}}, Label{}, 1, 1)
	now := c.encode()
	then := append([]byte{1}, now[1:len(now)-len(c.scoreSums.encode(nil))]...)
	old, err := decodeCell(then)
	if err != nil {
		t.Fatal(err)
	}
	c.scoreSums = scoreSums{}
	if !bytes.Equal(old.encode(), c.encode()) || len(old.Rows) > 0 || old.Kept != 7 || old.Correct != 1 {
		t.Errorf("%+v, want %+v", old, c)
	}
}

// TestKeptScores: kept rows are in the bins in which they are if they get a label, also if the two
// largest scores are equal.
func TestKeptScores(t *testing.T) {
	f := func(form *Form, elements ...float64) {
		t.Helper()
		data := []byte{}
		for _, x := range elements {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(x)))
		}
		p := &prediction{rows: len(elements) / form.Width, data: data}
		for class := range form.classes() {
			c := &cell{}
			c.keepScores(form, p)
			for i := range p.rows {
				x, _ := p.at(form, i)
				c.add(form, x, Label{}, class, 1)
			}
			s := c.scores(form)
			if !reflect.DeepEqual(s.Rows, s.Labelled) {
				t.Errorf("%+v, class %d: the bins of rows and of labelled rows differ", form, class)
			}
			predicted := make([]int64, form.classes())
			for k, list := range s.Confusion {
				for _, n := range list {
					predicted[k] += n
				}
			}
			if !reflect.DeepEqual(predicted, s.Predicted) {
				t.Errorf("%+v: predicted %v, and %v with labels", form, s.Predicted, predicted)
			}
			upper := int64(0)
			for b, n := range s.Rows[0] {
				if form.classes() == 2 && b >= scoreBins/2 {
					upper += n
				}
			}
			if form.classes() == 2 && upper != predicted[form.Positive] {
				t.Errorf("%+v: %d rows in the upper half, and %v are predicted", form, upper, predicted)
			}
		}
	}
	f(&Form{Kind: kindScore, Width: 1, Positive: 1}, 0, 0.2, 0.5, 0.50001, 1)
	f(&Form{Kind: kindScore, Width: 1, Positive: 0}, 0, 0.2, 0.5, 0.50001, 1)
	f(&Form{Kind: kindScores, Width: 2, Positive: 1}, 0.5, 0.5, 0.499, 0.495, 0.3, 0.7, 0.7, 0.3)
	f(&Form{Kind: kindScores, Width: 3}, 0.2, 0.3, 0.5, 0.4, 0.4, 0.2, 1, 0, 0)
}
