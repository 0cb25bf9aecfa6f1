package reconcile

import (
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
	"sluice.io/sluice/internal/router"
	"sluice.io/sluice/internal/shadow"
)

// keeperOf returns what keeps the predictions of a version that answers callers, nil if none are
// kept.
func (b *tableBuilder) keeperOf(v infer.Version, model *infer.Model) router.Keeper {
	k := b.keeper(v, model)
	if k == nil { // a nil *Keeper would be a non-nil router.Keeper
		return nil
	}
	if l := b.losses[v.Model]; l != nil && l.leased != nil {
		b.askLoss(l, v, k, false)
	}
	return k
}

// keeper returns what keeps the predictions of a version, nil if none are kept.
func (b *tableBuilder) keeper(v infer.Version, model *infer.Model) *labels.Keeper {
	c := b.goal.cfg.Model(v.Model).Labels
	if c.Sample == 0 {
		return nil
	}
	k, err := b.keep.Keeper(v, labels.KeepOptions{
		Model: model, Settings: LabelSettings(&c), Sample: int(c.Sample), MaxRows: c.MaxRows, MaxBytes: int(c.MaxBuffer),
	})
	if err != nil {
		b.log.Warn("the predictions of a version are not kept for labels", zap.String("model", v.Model), zap.Int64("version", v.Number), zap.Error(err))
		return nil
	}
	return k
}

// shadowUse says what becomes of a shadow's answers: labels measure them too.
func (b *tableBuilder) shadowUse(v infer.Version) shadow.Use {
	leased := b.shadows[v]
	l := b.losses[v.Model]
	k, known := b.keepers[leased]
	if !known && b.former.cfg == b.goal.cfg && b.former.losses[v.Model] == l {
		k, known = b.former.keepers[leased]
	}
	if !known {
		k = b.keeper(v, leased.Model())
		if k != nil && l != nil && l.leased != nil {
			b.askLoss(l, v, k, true)
		}
	}
	if b.keepers[leased] = k; k == nil {
		return shadow.Use{}
	}
	return shadow.Use{Done: func(req *infer.Request, resp *infer.Response) { k.Keep(req, resp, api.RoleShadow) }}
}

// keeps reports whether predictions of a version are kept.
func (b *tableBuilder) keeps(v infer.Version) bool {
	return b.targets[v] != nil && b.targets[v].Keeper != nil || b.keepers[b.shadows[v]] != nil
}

// LabelSettings returns the settings of a model as those of its forms.
func LabelSettings(c *config.Labels) labels.Settings {
	s := labels.Settings{Task: c.Task, Output: c.Output, Logits: c.Scores == config.ScoresLogits, Positive: c.Positive}
	if c.Task == config.TaskAuto {
		s.Task = ""
	}
	return s
}
