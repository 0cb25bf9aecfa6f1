package reconcile

import (
	"go.uber.org/zap"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
	"sluice.io/sluice/internal/router"
)

// keeper returns what keeps the predictions of a version, nil if none are kept.
func (b *tableBuilder) keeper(v infer.Version, model *infer.Model) router.Keeper {
	c := b.goal.cfg.Model(v.Model).Labels
	if c.Sample == 0 {
		return nil
	}
	k, err := b.keep.Keeper(v, labels.KeepOptions{
		Model: model, Settings: LabelSettings(&c), Sample: int(c.Sample), MaxRows: c.MaxRows, MaxBytes: int(c.MaxBuffer),
	})
	if err != nil { // a nil *Keeper would be a non-nil router.Keeper
		b.log.Warn("the predictions of a version are not kept for labels", zap.String("model", v.Model), zap.Int64("version", v.Number), zap.Error(err))
		return nil
	}
	return k
}

// LabelSettings returns the settings of a model as those of its forms.
func LabelSettings(c *config.Labels) labels.Settings {
	s := labels.Settings{Task: c.Task, Output: c.Output, Logits: c.Scores == config.ScoresLogits, Positive: c.Positive}
	if c.Task == config.TaskAuto {
		s.Task = ""
	}
	return s
}
