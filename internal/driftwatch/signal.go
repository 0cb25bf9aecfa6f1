package driftwatch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
)

func compareStatus(a, b api.DriftStatus) int {
	return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Segment, b.Segment))
}

// told is the data about a stream that was already reported.
type told struct {
	digest   string               // of the reference
	recorded string               // the findings in the journal
	drifting time.Time            // when the first feature began to drift, unchanged while any drifts; zero: none drifts
	violated map[string]violation // the violation of each finding of bad quality, by the finding's name
}

// violation is a problem with the quality of data. Findings detected in the same window are one
// violation, such as an input without numbers and the outputs computed from it.
type violation struct {
	cause string // the name of its first finding
	began time.Time
}

// closed is called with each window. It records changes, and signals detections until they are
// over. If the journal cannot be written, the next window catches up.
func (w *Watcher) closed(c drift.Closed) {
	w.mu.Lock()
	x, ok := w.watches[c.Stream]
	w.mu.Unlock()
	if !ok || x.tap == nil || x.profile != c.Profile {
		return // the watch has ended in the meantime
	}
	w.learn(&c, x.Reference.digest)
	t := w.toldOf(c.Stream, x.Reference.digest)
	detected := found(c.After)
	t.look(detected)
	if now := standing(detected); now != t.recorded && w.changed(c, x) {
		t.recorded = now
	}
	var whole *told
	if c.Stream.Segment != "" {
		w.mu.Lock()
		whole = w.told[c.Stream.Whole()]
		w.mu.Unlock()
	}
	w.tell(c, x, t, whole)
}

// tell signals the detections. whole is what was reported of all rows, nil if that is not known or these are all rows.
func (w *Watcher) tell(c drift.Closed, x watch, t, whole *told) {
	list, held, why := signalsOf(c, x, t, whole)
	for _, s := range held {
		if _, err := w.outbox.HoldBack(s, why); err != nil { // the next window retries
			w.log.Error("that a request for retraining is held back could not be written to the journal", zap.String("model", s.Model), zap.Error(err))
		}
	}
	for _, s := range list {
		if _, err := w.outbox.Detected(s); err != nil { // the next window retries
			w.log.Error("a signal could not be written to the journal", zap.String("type", s.Type), zap.String("model", s.Model), zap.Error(err))
		}
	}
}

// standing names findings in one text, for comparing two lists, with whether each is promised. It does not depend on
// suspicions or on single windows without drift.
func standing(findings []drift.FindingStatus) string {
	list := make([]string, len(findings))
	for i, f := range findings {
		list[i] = findingName(f.Kind, f.Feature, drift.Statistic(f.Statistic))
		if f.Unpromised {
			list[i] += " unpromised"
		}
	}
	return strings.Join(slices.Compact(list), "\n")
}

// found returns the findings that were detected and are not over.
func found(state drift.Snapshot) []drift.FindingStatus {
	var list []drift.FindingStatus
	for _, f := range state.Findings {
		if api.DriftLasts(f.State) {
			list = append(list, f)
		}
	}
	return list
}

func findingName(kind, feature, statistic string) string {
	return kind + " " + feature + " " + statistic
}

// look updates the data that identifies signals, for as long as their cause lasts: for drifting
// features when the first began, and for bad data the violation that it began with.
func (t *told) look(detected []drift.FindingStatus) {
	var drifting time.Time
	violated, fresh := map[string]violation{}, violation{}
	for _, f := range detected {
		name := findingName(f.Kind, f.Feature, drift.Statistic(f.Statistic))
		old, known := t.violated[name]
		switch {
		case drift.IsDrift(f.Statistic):
			drifting = earlier(drifting, f.Began)
		case known:
			violated[name] = old
		default:
			// The name from the event, so that a signal of an earlier release keeps its id.
			cause := findingName(f.Kind, f.Feature, f.Statistic)
			fresh.cause, fresh.began = cmp.Or(fresh.cause, cause), earlier(fresh.began, f.Began)
			violated[name] = violation{} // fresh, after that is complete
		}
	}
	for name, v := range violated {
		if v.cause == "" {
			violated[name] = fresh
		}
	}
	if t.violated = violated; t.drifting.IsZero() || drifting.IsZero() {
		t.drifting = drifting
	}
}

// violates reports whether a finding of bad quality lasts.
func (t *told) violates(name string) bool {
	_, ok := t.violated[name]
	return ok
}

// earlier returns the earlier of two times; a may be zero.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// changed writes a change of state to the journal and to the log, and reports whether it succeeded.
func (w *Watcher) changed(c drift.Closed, x watch) bool {
	v := c.Stream.Version
	evidence := api.DriftEvidence{
		Model: v.Model, Version: v.Number, Role: c.Stream.Role, Segment: c.Stream.Segment, From: c.From, State: c.Verdict.State,
		ProfileDigest: x.Reference.digest, Verdict: c.Verdict, Window: encoded(c.Window), Before: encoded(c.Before), After: encoded(c.After),
	}
	e := api.Event{Type: api.EventDriftState, Subject: Subject(c.Stream), Origin: api.OriginGateway}
	err := w.append(e, &evidence, c.After)
	fields := []zap.Field{
		zap.String("model", v.Model), zap.Int64("version", v.Number), zap.String("role", c.Stream.Role), zap.String("segment", c.Stream.Segment),
		zap.String("from", c.From), zap.String("state", c.Verdict.State),
		zap.Strings("features", inWords(c.Verdict.Features)), zap.Strings("quality", inWords(c.Verdict.Quality)),
		zap.Uint64("rows", c.Verdict.Rows), zap.Time("window_start", c.Window.Start),
	}
	if c.Verdict.Began != nil {
		fields = append(fields, zap.Time("began", *c.Verdict.Began))
	}
	if err != nil {
		w.log.Error("a change of a drift state could not be written to the journal", append(fields, zap.Error(err))...)
		return false
	}
	w.log.Warn("drift", fields...)
	return true
}

// append writes evidence to the journal. If it is too large it is written without the window, and
// then with only the data that a start needs: the detections in the state after it.
func (w *Watcher) append(e api.Event, evidence *api.DriftEvidence, after drift.Snapshot) error {
	for {
		e.After = encoded(evidence)
		_, err := w.journal.Append(journal.Any, e)
		switch {
		case infer.CodeOf(err) != infer.TooLarge:
			return err
		case evidence.Window != nil:
			evidence.Window, evidence.Verdict.Features = nil, troubled(evidence.Verdict.Features, api.MaxSignalFindings)
		case evidence.Before != nil:
			evidence.Before, evidence.Verdict.Quality = nil, troubled(evidence.Verdict.Quality, api.MaxSignalFindings)
			evidence.After = encoded(drift.Snapshot{Findings: found(after)})
		default:
			return err
		}
	}
}

// inWords describes the findings that are not OK, the strongest first.
func inWords(findings []drift.Finding) []string {
	const most = 20
	shown := troubled(findings, most)
	list := make([]string, 0, len(shown))
	for _, f := range shown {
		list = append(list, fmt.Sprintf("%s %s: %s", f.Kind, f.Feature, cmp.Or(f.Change, f.Statistic)))
	}
	return list
}

// troubled returns up to most findings that are not OK.
func troubled(findings []drift.Finding, most int) []drift.Finding {
	list := []drift.Finding{}
	for _, f := range findings {
		if f.State != drift.OK && len(list) < most {
			list = append(list, f)
		}
	}
	return list
}

// signalsOf returns the signals of a window, and the request for retraining that is held back, with the reason: data has too many missing
// or infinite values, which a model would learn, or no drift is promised. A recovering finding that was
// detected is included, since the gateway may have ended before it could signal it.
// Bad data of a segment is left out if it is bad in the whole.
func signalsOf(c drift.Closed, x watch, t, whole *told) (list, held []api.SignalData, why string) {
	base := api.SignalData{
		Model: c.Stream.Version.Model, Version: c.Stream.Version.Number, Role: c.Stream.Role, Segment: c.Stream.Segment,
		Window: api.Span{Start: c.Window.Start, End: c.Window.End}, Rows: c.Verdict.Rows,
		ProfileDigest: x.Reference.digest, ModelDigest: x.Leased.Digest(),
	}
	broken, promised := false, x.Settings.Calibration.Unpromised == config.UnpromisedAsk
	for _, f := range c.Verdict.Quality {
		if !api.DriftLasts(f.State) {
			continue
		}
		broken = broken || api.DriftFlaws(f.Statistic)
		name := findingName(f.Kind, f.Feature, drift.Statistic(f.Statistic))
		if whole != nil && whole.violates(name) {
			continue
		}
		v := t.violated[name]
		at := slices.IndexFunc(list, func(s api.SignalData) bool { return s.Cause == v.cause && s.Began.Equal(v.began) })
		if at < 0 {
			s := base
			s.Type, s.Cause, s.Began = api.TypeDataQualityViolated, v.cause, v.began
			at, list = len(list), append(list, s)
		}
		list[at].Features = append(list[at].Features, finding(f))
	}
	var drifted []drift.Finding
	for _, f := range c.Verdict.Features {
		if api.DriftLasts(f.State) {
			drifted = append(drifted, f)
			promised = promised || !f.Unpromised
		}
	}
	if len(drifted) > 0 {
		s := base
		s.Type, s.Began = api.TypeRetrainRequested, t.drifting
		for _, f := range drifted {
			s.Features = append(s.Features, finding(f))
		}
		switch {
		case broken:
			held, why = append(held, s), api.HeldBackQuality
		case !promised:
			held, why = append(held, s), api.HeldBackUnpromised
		default:
			list = append(list, s)
		}
	}
	return withDetector(list, x.options), withDetector(held, x.options), why
}

// withDetector adds the detector to signals.
func withDetector(list []api.SignalData, options drift.Options) []api.SignalData {
	if len(list) == 0 {
		return list
	}
	text := encoded(struct {
		Name    string   `json:"name"`
		Options settings `json:"options"`
	}{"tumbling", settingsOf(options)})
	for i := range list {
		list[i].Detector = text
	}
	return list
}
