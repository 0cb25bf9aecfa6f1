package driftwatch

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/labels"
	"sluice.io/sluice/internal/loss"
	"sluice.io/sluice/internal/signals"
)

// Losses watches the losses of labelled predictions. The store of labels owns the states of the
// detectors, and calls Counter to count a row. Losses reads the states, writes what they detected to
// the journal, and signals it.
type Losses struct {
	watcher *Watcher
	o       LossOptions

	mu       sync.Mutex // guards the next fields
	states   map[labels.LossStream]*loss.State
	recorded map[labels.LossStream]recordedLoss
}

// LossOptions configure Losses.
type LossOptions struct {
	Settings func(model string) config.Drift
	Digest   func(v infer.Version) string // of a version's files, "" if it is not loaded
	MaxAge   time.Duration                // a stream without labels for this long is forgotten
}

// recordedLoss is what the journal has of a stream.
type recordedLoss struct {
	End   time.Time `json:"end"`
	State string    `json:"state"`
}

// NewLosses returns what watches losses, and uses the journal and the outbox of a watcher.
func NewLosses(w *Watcher, o LossOptions) *Losses {
	return &Losses{watcher: w, o: o, states: map[labels.LossStream]*loss.State{}, recorded: map[labels.LossStream]recordedLoss{}}
}

// Resume continues from what is in the journal.
func (l *Losses) Resume(f *LossFold) { maps.Copy(l.recorded, f.streams) }

// watchedLoss reports whether a role is watched. As for data drift, that leaves out requests which
// are usually tests, and answers of a version that stands in for another.
func watchedLoss(role string) bool {
	return !slices.Contains([]string{"pinned", "override", "fallback", "shadow"}, role)
}

// Counter implements labels.Losses.
func (l *Losses) Counter(s labels.LossStream, names []string, state []byte) labels.LossCounter {
	if !watchedLoss(s.Role) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.states[s] == nil {
		l.states[s] = &loss.State{} // it counts among those that share the promise
	}
	o := l.options(s.Model)
	if state != nil {
		old, err := loss.Decode(state)
		if err == nil && !sameLosses(old, names) {
			err = infer.Errorf(infer.Invalid, "it is of other losses")
		}
		if err == nil {
			d, err := loss.Restore(o, old)
			if err == nil {
				d.Recorded(l.recorded[s].End)
				return lossCounter{d, l.o.MaxAge}
			}
		}
		l.watcher.log.Warn("the losses of a version are compared with a new reference, since their state cannot be used",
			zap.String("model", s.Model), zap.Int64("version", s.Version), zap.String("role", s.Role), zap.Error(err))
	}
	d, err := loss.New(o, names...)
	if err != nil {
		l.watcher.log.Error("the losses of a model are not watched", zap.String("model", s.Model), zap.Error(err))
		return nil
	}
	l.borrow(s, d)
	return lossCounter{d, l.o.MaxAge}
}

func sameLosses(s *loss.State, names []string) bool {
	return slices.EqualFunc(s.Losses, names, func(l loss.Loss, name string) bool { return l.Name == name })
}

// borrow gives a new stream the reference of its version in another role, or else, unless it is the
// version that others are compared with, that of the stable version. mu is locked.
func (l *Losses) borrow(s labels.LossStream, d *loss.Detector) {
	stable := func(role string) bool { return role == api.RoleStable || role == api.RoleDefault }
	for other, state := range l.states {
		if other.Model == s.Model && other.Version == s.Version && other.Form == s.Form && d.Borrow(cmp.Or(state.From, loss.OwnRows), state) {
			return
		}
	}
	if stable(s.Role) {
		return
	}
	for other, state := range l.states {
		if other.Model == s.Model && other.Version != s.Version && stable(other.Role) && d.Borrow(fmt.Sprintf("version %d as %s", other.Version, other.Role), state) {
			return
		}
	}
}

// options returns the options of a model's detectors. mu is locked.
func (l *Losses) options(model string) loss.Options {
	c := l.o.Settings(model)
	share := 1
	for share < len(l.states) { // rounded up, so that one more stream does not change all limits
		share *= 2
	}
	return loss.Options{
		Tolerance: c.LossTolerance, ReferenceRows: uint64(c.LossReference), //nolint:gosec // not negative
		FalseAlarmEvery: c.FalseAlarmEvery, Window: c.Window, FalseAlarmWindows: float64(c.FalseAlarmWindows),
		Rows: uint64(c.Rows), MinRows: uint64(c.MinRows), Streams: share, Recover: c.Recover, //nolint:gosec // not negative
	}
}

// lossCounter is a detector as the store of labels uses it.
type lossCounter struct {
	d      *loss.Detector
	maxAge time.Duration
}

func (c lossCounter) Count(now time.Time, request string, losses []float64) {
	c.d.Count(now, request, losses)
}
func (c lossCounter) Judge(now time.Time) { c.d.Judge(now) }

func (c lossCounter) Encode() []byte {
	s := c.d.State()
	if time.Since(s.Last) > c.maxAge {
		return nil
	}
	return s.Encode()
}

// Run judges windows that have ended, and records and signals what was detected, until ctx ends.
func (l *Losses) Run(ctx context.Context, store *labels.Store) error {
	stored, err := store.StoredLosses()
	if err != nil {
		l.watcher.log.Error("the losses of labelled predictions cannot be read", zap.Error(err))
	}
	const every = time.Second
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	told := map[labels.LossStream]time.Time{}
	l.take(stored)
	for {
		l.take(store.ChangedLosses())
		l.tell(told)
		if due := l.due(time.Now()); len(due) > 0 {
			if err := store.JudgeLosses(ctx, due); err != nil && ctx.Err() == nil {
				l.watcher.log.Warn("the losses of labelled predictions cannot be judged", zap.Error(err))
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// take takes states that the store has written.
func (l *Losses) take(changed map[labels.LossStream][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s, raw := range changed {
		if raw == nil {
			delete(l.states, s)
			continue
		}
		if state, err := loss.Decode(raw); err == nil { // Counter logs an error
			l.states[s] = state
		}
	}
}

// due returns the streams with a window that has ended, or that are forgotten.
func (l *Losses) due(now time.Time) (list []labels.LossStream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s, state := range l.states {
		if len(state.Losses) == 0 {
			continue
		}
		d, err := loss.Restore(l.options(s.Model), state)
		if err == nil && (d.Due(now) || now.Sub(state.Last) > l.o.MaxAge) {
			list = append(list, s)
		}
	}
	return list
}

// tellEvery is the time after which a detection that lasts is signalled again, since the signal may
// have been held back.
const tellEvery = time.Minute

// tell records changes, and signals detections until they are over.
func (l *Losses) tell(told map[labels.LossStream]time.Time) {
	l.mu.Lock()
	states := maps.Clone(l.states)
	l.mu.Unlock()
	for s, state := range states {
		for _, c := range state.Pending(l.recorded[s].End) {
			if !l.record(s, &c) {
				break // tried again in a second
			}
		}
		if state.Since.IsZero() {
			delete(told, s)
			continue
		}
		if time.Since(told[s]) >= tellEvery || state.Judged.After(told[s]) {
			told[s] = time.Now()
			l.signal(s, state)
		}
	}
}

// record writes a change to the journal and to the log, and reports whether it succeeded.
func (l *Losses) record(s labels.LossStream, c *loss.Change) bool {
	evidence := api.LossEvidence{
		Model: s.Model, Version: s.Version, Role: s.Role, Form: s.Form, From: c.From, State: c.State,
		Window: api.Span{Start: c.Start, End: c.End}, Findings: c.Findings, Before: encoded(c.Before),
	}
	e := api.Event{Type: api.EventLossState, Subject: fmt.Sprintf("loss/%s/%d/%s", s.Model, s.Version, s.Role), Origin: api.OriginGateway, After: encoded(&evidence)}
	_, err := l.watcher.journal.Append(journal.Any, e)
	if infer.CodeOf(err) == infer.TooLarge {
		evidence.Before = nil
		e.After = encoded(&evidence)
		_, err = l.watcher.journal.Append(journal.Any, e)
	}
	fields := []zap.Field{
		zap.String("model", s.Model), zap.Int64("version", s.Version), zap.String("role", s.Role),
		zap.String("from", c.From), zap.String("state", c.State), zap.Strings("losses", lossesInWords(c.Findings)),
	}
	if err != nil {
		l.watcher.log.Error("a change of a loss could not be written to the journal", append(fields, zap.Error(err))...)
		return false
	}
	l.mu.Lock()
	l.recorded[s] = recordedLoss{c.End, c.State}
	l.mu.Unlock()
	l.watcher.log.Warn("performance", fields...)
	return true
}

func lossesInWords(findings []loss.Finding) []string {
	list := make([]string, 0, len(findings))
	for _, f := range findings {
		list = append(list, fmt.Sprintf("%s %.4g, %.4g in the reference", f.Loss, f.Value, f.Reference))
	}
	return list
}

// signal asks for retraining, unless the data is bad: a model would learn the fault.
func (l *Losses) signal(s labels.LossStream, state *loss.State) {
	v := infer.Version{Model: s.Model, Number: s.Version}
	data := api.SignalData{
		Type: api.TypeRetrainRequested, Cause: api.CausePerformance, Model: s.Model, Version: s.Version, Role: s.Role,
		Window: api.Span{Start: state.Since, End: state.Judged}, Began: state.Since, ModelDigest: l.o.Digest(v),
		Detector: encoded(struct {
			Name    string       `json:"name"`
			Options loss.Options `json:"options"`
		}{"loss", state.Options}),
	}
	for _, f := range state.Findings() {
		if api.DriftLasts(f.State) {
			data.Rows = max(data.Rows, f.Rows)
			data.Features = append(data.Features, api.SignalFinding{
				Feature: f.Loss, Kind: "performance", Statistic: "loss", Value: f.Value, Effect: f.Effect, Low: f.Low, High: f.High,
			})
		}
	}
	report := l.watcher.outbox.Detected
	if l.watcher.BadData(s.Model) {
		report = func(s api.SignalData) (signals.Outcome, error) {
			return l.watcher.outbox.HoldBack(s, api.HeldBackQuality)
		}
	}
	if _, err := report(data); err != nil { // tried again in a minute
		l.watcher.log.Error("a signal could not be written to the journal", zap.String("type", data.Type), zap.String("model", s.Model), zap.Error(err))
	}
}

// BadData reports whether the streams of a model have too many missing or infinite values now: a model would learn the fault.
func (w *Watcher) BadData(model string) bool {
	for _, status := range w.monitor.Status() {
		if status.Stream.Version.Model != model || status.Last == nil {
			continue
		}
		if slices.ContainsFunc(status.Last.Quality, func(f drift.Finding) bool { return api.DriftLasts(f.State) && api.DriftFlaws(f.Statistic) }) {
			return true
		}
	}
	return false
}

// Status returns the status of a model's streams. If a version was read in two ways, it has that of
// the one with the last label.
func (l *Losses) Status(model string) []api.LossStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	newest := map[[2]string]labels.LossStream{}
	for s, state := range l.states {
		at := [2]string{strconv.FormatInt(s.Version, 10), s.Role}
		if old, ok := newest[at]; s.Model == model && len(state.Losses) > 0 && (!ok || l.states[old].Last.Before(state.Last)) {
			newest[at] = s
		}
	}
	c := l.o.Settings(model)
	list := make([]api.LossStatus, 0, len(newest))
	for _, s := range newest {
		state := l.states[s]
		list = append(list, api.LossStatus{
			Version: s.Version, Role: s.Role, State: state.Status(), Since: state.Since, Reference: state.From,
			ReferenceRows: state.Losses[0].Reference.Rows, Promise: promise(&c), Labels: state.Rows, Windows: state.Windows,
			Waiting: state.Losses[0].Window.Rows, Judged: state.Judged, Findings: judged(state),
		})
	}
	slices.SortFunc(list, func(a, b api.LossStatus) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Role, b.Role))
	})
	return list
}

func judged(s *loss.State) []loss.Finding {
	if s.Windows == 0 {
		return []loss.Finding{}
	}
	return s.Findings()
}
