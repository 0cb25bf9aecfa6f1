package drift

import (
	"fmt"
	"time"

	"sluice.io/sluice/api"
)

// Calibration implements Resumable.
func (d *Tumbling) Calibration() *api.DriftCalibration {
	if d.learned == nil {
		return nil
	}
	c := &api.DriftCalibration{Windows: d.round.Windows, Needed: d.options.Calibration.Windows}
	if d.round.Windows > 0 {
		c.Until = d.round.Since.Add(d.options.Calibration.Span)
	}
	judged := 0
	for i := range d.learned {
		l := &d.learned[i]
		if len(d.profile.Features[i].Edges) == 0 {
			continue
		}
		judged++
		if l.Differs > 0 {
			c.Differs++
		}
		if !l.calibrated() {
			continue
		}
		if c.Features++; c.Features == 1 || l.Usual.Windows < c.Learned {
			c.Learned, c.From = l.Usual.Windows, l.From
		}
	}
	switch {
	case c.Differs > 0:
		c.State = api.CalibrationDiffers
		c.Text = fmt.Sprintf("%d of %d features differ from the reference over a whole round; no promise for them, but for gross changes", c.Differs, judged)
	case c.Features == judged:
		c.State = api.CalibrationDone
		c.Text = fmt.Sprintf("calibrated on %d windows", c.Learned)
		if c.From != 0 {
			c.Text += fmt.Sprintf(" of version %d", c.From)
		}
	default:
		c.State = api.CalibrationLearning
		c.Text = fmt.Sprintf("learning: %d of %d windows; no promise yet, but for gross changes", c.Windows, c.Needed)
		if c.Windows >= c.Needed {
			c.Text = fmt.Sprintf("learning: %d windows; no promise until %s, but for gross changes", c.Windows, c.Until.UTC().Format(time.DateTime))
		}
	}
	return c
}
