package reconcile

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
	"sluice.io/sluice/internal/metrics"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/serving"
	"sluice.io/sluice/internal/shadow"
)

// lossGoal is the loss model that a model should have. The number of its version is 0 if it has none.
type lossGoal struct {
	version  infer.Version
	settings config.Loss
}

// addLoss makes the loss model of a model run as a shadow.
func (g *goal) addLoss(model string, c config.Loss) {
	if c.Model == model { // by defaults
		return
	}
	v := infer.Version{Model: c.Model, Number: c.Version}
	if v.Number == 0 {
		v.Number = g.champions[c.Model]
	}
	if v.Number == 0 {
		f := foundModel(g.found, c.Model)
		if own := chosen(&f, g.cfg.Model(c.Model), true); len(own) > 0 {
			v.Number = own[len(own)-1].Number
		}
	}
	g.losses[model] = lossGoal{v, c}
	if v.Number != 0 {
		g.shadow[v] = true
	}
}

// lossModel is the loss model of a model, in a table.
type lossModel struct {
	lossGoal

	leased *registry.Leased // nil if it is not loaded; nor are the next ones
	source labels.LossSource
	mirror *shadow.Mirror
	counts lossCounts

	mu       sync.Mutex
	problems map[int64]error // by version of the model: why its loss cannot be estimated
}

// lossCounts counts what a loss model answers. It implements shadow.Recorder.
type lossCounts struct{ *metrics.Shadow }

func (c lossCounts) Answered(p *shadow.Pair) { c.Shadow.Answered(p.Err, p.ShadowElapsed) }

// lossModels returns the loss models of all models. One that did not change is the former one.
func (b *tableBuilder) lossModels() map[string]*lossModel {
	list := make(map[string]*lossModel, len(b.goal.losses))
	for model, g := range b.goal.losses {
		leased := b.shadows[g.version]
		if l := b.former.losses[model]; l != nil && l.lossGoal == g && l.leased == leased {
			list[model] = l
			continue
		}
		l := &lossModel{lossGoal: g, leased: leased, problems: map[int64]error{}}
		if leased != nil {
			key := lossKey(model, g.version)
			l.source = labels.NewLossSource(leased.Digest(), g.settings.Kind)
			l.mirror = leased.Servable.(*serving.Shadow).Mirror() //nolint:forcetypeassert // LoadShadow makes nothing else
			l.counts = lossCounts{b.record.shadow(key.route, key.model, key.version).Shadow}
		}
		list[model] = l
	}
	return list
}

// lossKey is the key of a loss model's counts, which are those of a shadow. Its route has a name that
// no route can have.
func lossKey(model string, v infer.Version) shadowKey {
	return shadowKey{"labels.loss/" + model, v.Model, v.Number}
}

// askLoss lets a loss model get the requests whose predictions are kept, those that were answered or those
// of a shadow.
func (b *tableBuilder) askLoss(l *lossModel, v infer.Version, k *labels.Keeper, shadows bool) {
	asked, err := k.LossModel(l.leased.Model(), l.source, shadows)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.problems[v.Number] = err
		b.log.Warn("the loss of a version is not estimated", zap.String("model", v.Model), zap.Int64("version", v.Number),
			zap.String("loss_model", l.version.Model), zap.Int64("loss_model_version", l.version.Number), zap.Error(err))
		return
	}
	delete(l.problems, v.Number)
	k.Then(l.mirror.Tap(l.counts, shadow.Use{Shape: asked.Shape, Done: asked.Done}))
}

// LossModel says what estimates the losses of a model.
type LossModel struct {
	Status    api.LossModelStatus
	Source    labels.LossSource // if it is loaded
	Tolerance float64

	model *lossModel
}

// Problem returns why the losses of a version cannot be estimated, "" if they can be.
func (l *LossModel) Problem(version int64) string {
	if l.Status.State != api.StateReady {
		return l.Status.Reason
	}
	l.model.mu.Lock()
	defer l.model.mu.Unlock()
	if err := l.model.problems[version]; err != nil {
		return infer.Message(err)
	}
	return ""
}

// LossModel returns what estimates the losses of a model, nil if nothing does.
func (r *Reconciler) LossModel(model string) *LossModel {
	l := r.view.Load().losses[model]
	if l == nil {
		return nil
	}
	s := api.LossModelStatus{Model: l.version.Model, Version: l.version.Number, Kind: l.settings.Kind, State: api.StateUnavailable}
	switch {
	case l.leased != nil:
		s.State = api.StateReady
		s.Requests, s.Errors, s.Dropped, _ = l.counts.Snapshot(time.Now())
		s.Queued, _ = l.mirror.Queued()
	case l.version.Number == 0:
		s.Reason = fmt.Sprintf("the repository has no version of the loss model '%s'", s.Model)
	default:
		s.Reason = "the loss model is not loaded"
		list := r.shadows.List()
		if i := slices.IndexFunc(list, func(m api.ModelStatus) bool { return m.Name == s.Model && m.Version == s.Version }); i >= 0 {
			if s.State = list[i].State; list[i].Reason != "" {
				s.Reason += ": " + list[i].Reason
			}
		}
	}
	return &LossModel{Status: s, Source: l.source, Tolerance: l.settings.Tolerance, model: l}
}
