package driftwatch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/router"
	"sluice.io/sluice/internal/signals"
)

// Watcher compares streams with their references, and reports findings. Tap, Keep and Forget belong
// to one goroutine. Resume must be called before them.
type Watcher struct {
	monitor *drift.Monitor
	outbox  *signals.Outbox
	journal *journal.Log
	log     *zap.Logger

	saved map[drift.Stream]savedDetector // of streams that are not watched now
	shelf *shelf                         // nil: what is learned is only in memory

	mu      sync.Mutex // guards watches, learned and told; the control API and the monitor read watches
	watches map[drift.Stream]watch
	learned map[drift.Stream]*learned
	told    map[drift.Stream]*told // the content of each belongs to the monitor while there is a watch
}

// savedDetector is the state of a stream, with the digest of its reference.
type savedDetector struct {
	digest string
	past   *drift.Past
	untold bool // from the journal: the gateway may have ended before it sent signals
}

// Watch configures how a stream is watched.
type Watch struct {
	Leased    *registry.Leased
	Reference *Reference // nil: it is not compared
	Settings  config.Drift
	Streams   int // streams that share the limit on false alarms
	// Parameter is the parameter of requests that is read as their segment, "" for none.
	Parameter string
}

// watch is a stream with a reference. If off is set, it is the reason why the stream is not
// watched.
type watch struct {
	Watch

	profile *drift.Profile // the part of the reference's profile for this version
	tap     *drift.Tap
	of      *drift.Tap // of the whole, if this is a segment
	off     string
	promise string
	options drift.Options // of the detector, for the journal
}

// every is the time between two counts of rows. Windows last at least a second.
const every = 200 * time.Millisecond

// New returns a watcher. SetOutbox must be called before Run.
func New(log *journal.Log, logger *zap.Logger) *Watcher {
	w := &Watcher{
		journal: log, log: logger,
		saved: map[drift.Stream]savedDetector{}, watches: map[drift.Stream]watch{}, learned: map[drift.Stream]*learned{}, told: map[drift.Stream]*told{},
	}
	w.monitor = drift.NewMonitor(drift.MonitorOptions{Every: every, Closed: w.closed})
	return w
}

// SetOutbox sets the outbox for signals.
func (w *Watcher) SetOutbox(o *signals.Outbox) { w.outbox = o }

// Run judges the rows of the taps until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	var writing sync.WaitGroup
	defer writing.Wait()
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if w.shelf != nil {
		writing.Go(func() { w.shelf.run(keeping) })
	}
	defer w.storeAll()
	return w.monitor.Run(ctx)
}

// Resume continues from the state in the journal.
func (w *Watcher) Resume(f *Fold) {
	for s, x := range f.streams {
		state, err := detectorState(x.state)
		if err != nil {
			w.anew(s, err)
		}
		w.saved[s] = savedDetector{untold: true, digest: x.digest, past: &drift.Past{
			State: state, Status: drift.Status{State: x.status, Since: x.verdict.Window.End, Last: &x.verdict},
		}}
		w.mu.Lock()
		w.told[s] = &x.told
		w.mu.Unlock()
	}
}

// toldOf returns the reported data of a stream for a reference.
func (w *Watcher) toldOf(s drift.Stream, digest string) *told {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.told[s]; t != nil && t.digest == digest {
		return t
	}
	t := &told{digest: digest}
	w.told[s] = t
	return t
}

// Tap returns the tap for a stream's rows, nil if the stream is not compared. It starts, keeps or
// replaces the watch according to next.
func (w *Watcher) Tap(s drift.Stream, next Watch) router.Copier {
	w.mu.Lock()
	old, ok := w.watches[s]
	if ok && next.Reference == nil { // the stream is not compared any more
		delete(w.watches, s)
	}
	w.mu.Unlock()
	if next.Reference == nil {
		w.stop(s, old)
		w.stopSegments(s)
		return nil
	}
	if !ok || old.Leased != next.Leased || !old.Reference.same(next.Reference) || old.Settings != next.Settings || old.Streams != next.Streams || old.Parameter != next.Parameter {
		past := w.stop(s, old)
		segments := w.stopSegments(s) // after the whole, which has their last rows
		if past != nil && (old.Leased != next.Leased || old.Reference.digest != next.Reference.digest) {
			past, segments = nil, nil
		}
		old = watch{Watch: next}
		w.start(s, &old, past)
		w.startSegments(s, &old, segments)
	}
	if old.tap == nil {
		return nil
	}
	return old.tap
}

// start starts a watch. past is that of the same loaded version, if there was one. Otherwise the
// stream continues from the saved state.
func (w *Watcher) start(s drift.Stream, next *watch, past *drift.Past) {
	if saved, ok := w.saved[s]; past == nil && ok && saved.digest == next.Reference.digest {
		past = saved.past
	}
	err := next.Reference.err
	if err == nil {
		if next.profile == nil {
			next.profile = next.Reference.of(s)
		}
		err = next.profile.Fits(next.Leased.Model())
	}
	var detector *drift.Tumbling
	if err == nil {
		detector, err = w.detector(s, next, past)
	}
	if err != nil {
		next.off = infer.Message(err)
		w.log.Warn("a version is not compared with its reference", zap.String("model", s.Version.Model),
			zap.Int64("version", s.Version.Number), zap.String("role", s.Role), zap.String("segment", s.Segment), zap.Error(err))
	} else {
		c := &next.Settings
		next.promise = promise(c)
		next.options = detector.Options()
		w.catchUp(s, next)
		next.tap = w.monitor.Start(s, drift.Watch{
			Tap: drift.TapOptions{
				Model: next.Leased.Model(), Profile: next.profile, Sample: int(c.Sample),
				MaxRows: c.MaxRowsPerRequest, MaxBytes: int(c.MaxBuffer), NameValues: c.NameValues, Pairs: c.Gates.Correlation > 0,
			},
			Detector: detector, Windows: Windowing(c), Past: past, Of: next.of,
		})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watches[s] = *next
}

// catchUp sends signals for detections in the journal: the gateway may have ended before it sent
// them, and in the next window they may be over. It is called before the first watch of a stream,
// when no other code signals them.
func (w *Watcher) catchUp(s drift.Stream, next *watch) {
	saved, ok := w.saved[s]
	if !ok || !saved.untold || saved.digest != next.Reference.digest {
		return
	}
	saved.untold = false
	w.saved[s] = saved
	last := saved.past.Status.Last
	w.tell(drift.Closed{
		Stream: s, Window: drift.Window{Start: last.Window.Start, End: last.Window.End}, Verdict: *last,
	}, *next, w.toldOf(s, saved.digest), nil)
}

// detector makes the detector of a stream, from the state of an earlier one for the same reference,
// if there is one.
func (w *Watcher) detector(s drift.Stream, next *watch, past *drift.Past) (*drift.Tumbling, error) {
	options := DetectorOptions(&next.Settings, next.Streams)
	var state drift.Snapshot
	var at time.Time
	if past != nil {
		state = past.State
		if past.Status.Last != nil {
			at = past.Status.Last.Window.End
		}
	}
	if options.Calibration.Windows > 0 {
		w.recall(s, next, &state, at)
	}
	d, err := drift.Restore(next.profile, options, state)
	if err != nil {
		w.anew(s, err)
		return drift.NewDetector(next.profile, options)
	}
	return d, nil
}

// anew logs that a stream's detector starts without the state in the journal.
func (w *Watcher) anew(s drift.Stream, err error) {
	w.log.Warn("a detector starts without its earlier state, since the state in the journal cannot be used", zap.String("model", s.Version.Model),
		zap.Int64("version", s.Version.Number), zap.String("role", s.Role), zap.String("segment", s.Segment), zap.Error(err))
}

// DetectorOptions returns the settings of a model as options of its detectors. streams is the
// number of streams that share the limit on false alarms.
func DetectorOptions(c *config.Drift, streams int) drift.Options {
	g := c.Limits()
	o := drift.Options{
		Gates:     drift.Gates{Mean: g.Mean, Spread: g.Spread, ShareRatio: g.ShareRatio, ShareGain: g.ShareGain, New: g.New, Joint: g.Joint, Correlation: g.Correlation, Vector: g.Vector},
		Tolerance: g.Shape, QualityTolerance: c.QualityTolerance, RangeTolerance: c.RangeTolerance,
		FalseAlarmEvery: c.FalseAlarmEvery, Window: c.Window, FalseAlarmWindows: float64(c.FalseAlarmWindows),
		Streams: streams, MinRows: uint64(c.MinRows), Recover: c.Recover, Breaks: c.Breaks, Onset: true, Clustered: true, //nolint:gosec // not negative
	}
	if k := &c.Calibration; k.Windows > 0 {
		o.Calibration = drift.Calibration{Windows: k.Windows, Span: k.Span, Gross: k.Gross}
	}
	if c.Rows > 0 {
		o.Window = 0
	}
	return o
}

// Windowing returns when the windows of a model's streams end.
func Windowing(c *config.Drift) drift.Windowing {
	return drift.Windowing{Length: c.Window, Rows: uint64(c.Rows), MinRows: uint64(c.MinRows), Max: c.MaxWindow} //nolint:gosec // not negative
}

// promise describes the limit on false alarms.
func promise(c *config.Drift) string {
	if c.Rows > 0 {
		return fmt.Sprintf("at most one false alarm expected in %d windows of %d rows, over all streams", c.FalseAlarmWindows, c.Rows)
	}
	return fmt.Sprintf("at most one false alarm expected in %v, with windows of %v, over all streams", c.FalseAlarmEvery, c.Window)
}

// stop ends the watch of a stream, and saves its state without the current window, which is only in
// the returned Past.
func (w *Watcher) stop(s drift.Stream, old watch) *drift.Past {
	past := w.monitor.Stop(s)
	if past != nil {
		w.saved[s] = savedDetector{digest: old.Reference.digest, past: &drift.Past{State: past.State, Status: past.Status}}
	}
	return past
}

// Keep ends the watches of all other streams.
func (w *Watcher) Keep(streams map[drift.Stream]bool) {
	w.mu.Lock()
	gone := map[drift.Stream]watch{}
	for s, old := range w.watches {
		if !streams[s.Whole()] {
			gone[s] = old
			delete(w.watches, s)
		}
	}
	w.mu.Unlock()
	for s, old := range gone {
		if s.Segment == "" {
			w.stop(s, old)
		}
	}
	for s, old := range gone {
		if s.Segment != "" {
			w.stop(s, old)
		}
	}
}

// Forget drops the data of versions that do not exist any more and are not watched.
func (w *Watcher) Forget(exists func(v infer.Version) bool) {
	there := func(s drift.Stream) bool { return exists(s.Version) }
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.saved {
		if !there(s) {
			delete(w.saved, s)
		}
	}
	for s := range w.learned {
		if _, watched := w.watches[s]; watched || there(s) {
			continue
		}
		delete(w.learned, s)
		if w.shelf != nil {
			w.shelf.drop(s)
		}
	}
	for s := range w.told {
		if _, watched := w.watches[s]; !watched && !there(s) {
			delete(w.told, s)
		}
	}
}

// Status returns the status of all streams.
func (w *Watcher) Status() []api.DriftStatus {
	running := w.monitor.Status()
	list := make([]api.DriftStatus, 0, len(running))
	for _, s := range running {
		d := w.describe(s.Stream)
		d.State, d.Since, d.Windows, d.Rows, d.Dropped = s.State, s.Since, s.Windows, s.Rows, s.Dropped
		d.Begun, d.Waiting, d.Last, d.UnjudgedSince = s.Begun, s.Waiting, s.Last, s.UnjudgedSince
		d.Calibration = s.Calibration
		list = append(list, d)
	}
	w.mu.Lock()
	var off []drift.Stream
	for s, x := range w.watches {
		if x.tap == nil {
			off = append(off, s)
		}
	}
	w.mu.Unlock()
	for _, s := range off {
		list = append(list, w.describe(s))
	}
	slices.SortFunc(list, compareStatus)
	return list
}

// ReferenceOf returns the profile with which a version is compared, nil if there is none.
func (w *Watcher) ReferenceOf(v infer.Version) *drift.Profile {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s, x := range w.watches {
		if s.Version == v && s.Segment == "" && x.Reference != nil && x.Reference.err == nil {
			return x.Reference.profile
		}
	}
	return nil
}

// describe sets the fields that do not change from window to window.
func (w *Watcher) describe(s drift.Stream) api.DriftStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.watches[s]
	d := api.DriftStatus{
		Model: s.Version.Model, Version: s.Version.Number, Role: s.Role, Segment: s.Segment, State: api.DriftOff, Reason: x.off, Promise: x.promise,
	}
	if x.Reference != nil {
		d.ProfileFrom = x.Reference.from
	}
	if x.profile != nil {
		d.MinRows = x.options.MinRows
		d.ProfileDigest, d.Features, d.ReferenceRows = x.Reference.digest, len(x.profile.Features), x.profile.Rows
		if x.profile.Week != nil {
			d.ReferenceZone = x.profile.Week.Zone
		}
	}
	return d
}

// encoded returns the JSON of an internal document.
func encoded(document any) json.RawMessage {
	b, err := json.Marshal(document)
	if err != nil {
		panic(fmt.Sprintf("BUG: a document does not marshal: %v", err))
	}
	return b
}
