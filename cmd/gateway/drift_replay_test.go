//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

// windowRows is the number of rows of a window, and cleanWindows the number of windows of unchanged
// rows.
const (
	windowRows   = 500
	cleanWindows = 20
)

// replayed is a gateway that gets real rows, with the receiver of its signals.
type replayed struct {
	killed
	receiver *receiver
	models   []*replayedModel
}

type replayedModel struct {
	name string
	*table
	shift, stick, miss string // the features that something happens to
	counted            int    // rows since the gateway started
	told               int    // events so far
}

// phase is a time with changed rows.
type phase struct {
	name, kind string
	fault      func(m *replayedModel) (feature string, spoil fault)
	// The receiver is down until drift is detected in both models and the gateway was killed: after
	// the signals are in the journal or, if atOnce, immediately.
	down, atOnce bool
}

func phases() []phase {
	return []phase{
		{
			name: "shifted by 0.5 s.d.", kind: api.TypeRetrainRequested,
			fault: func(m *replayedModel) (string, fault) { return m.shift, m.shifted(m.shift, 0.5) },
		},
		{
			name: "stuck", kind: api.TypeRetrainRequested, down: true,
			fault: func(m *replayedModel) (string, fault) { return m.stick, m.stuck(m.stick) },
		},
		{
			name: "20 % missing", kind: api.TypeDataQualityViolated, down: true, atOnce: true,
			fault: func(m *replayedModel) (string, fault) { return m.miss, m.missing(m.miss) },
		},
	}
}

// TestDriftOnRealData sends the rows of two data sets to a gateway, in their order and changed in
// three ways one after the other. `make demo-drift` runs it and shows its log.
func TestDriftOnRealData(t *testing.T) {
	p := newReplayed(t)
	p.start(t)
	p.each(t, func(m *replayedModel) { p.silent(t, m, "in order") })
	for _, ph := range phases() {
		p.phase(t, ph)
		p.recover(t)
	}
	p.each(t, func(m *replayedModel) {
		m.rng = rand.New(rand.NewPCG(1, 2))
		p.silent(t, m, "drawn by chance")
	})
	p.stop(t)
	for _, m := range p.models {
		if got := p.receiver.of(t, m.name); len(got) != len(phases()) {
			t.Errorf("%s: the receiver was told %s", m.name, brief(got))
		}
	}
}

// newReplayed makes profiles of both data sets, and the configuration.
func newReplayed(t *testing.T) *replayed {
	t.Helper()
	const secret = "a secret of the demo"
	dir, root := t.TempDir(), filepath.Join("..", "..")
	p := &replayed{receiver: newReceiver(t, secret), models: []*replayedModel{
		{name: "breast_cancer", shift: "mean_texture", stick: "worst_smoothness", miss: "mean_symmetry"},
		{name: "diabetes", shift: "bmi", stick: "bp", miss: "s5"},
	}}
	var settings strings.Builder
	for _, m := range p.models {
		rows, profile := filepath.Join(root, "testdata", "drift", m.name+".csv"), filepath.Join(dir, m.name+".json")
		m.table = readTable(t, rows)
		if r := profileLine(t, "", rows, "--model-repository", filepath.Join(root, "models"), "--model", m.name, "-o", profile); r.code != exitOK {
			t.Fatalf("%+v", r)
		}
		fmt.Fprintf(&settings, "  %s: {drift: {profile: %q, rows: %d, calibration: {unpromised: ask}}}\n", m.name, profile, windowRows)
	}
	file := filepath.Join(dir, "sluice.yaml")
	text := fmt.Sprintf(`repository: {path: %q, control: explicit, load: [breast_cancer, diabetes]}
server: {http: {address: '127.0.0.1:0'}, grpc: {address: none}}
admin: {address: '127.0.0.1:0'}
data_dir: %q
retrain: {source: /gateway/demo, cool_down: 0s, webhook: {url: 'http://%s/', secret: %q, max_backoff: 1s}}
models:
%s`, filepath.Join(root, "models"), filepath.Join(dir, "data"), p.receiver.at, secret, settings.String())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.args = []string{"serve", "-c", file}
	t.Cleanup(func() { _ = p.process.Process.Kill() }) // if the test has failed
	return p
}

// each calls do for both models in parallel.
func (p *replayed) each(t *testing.T, do func(m *replayedModel)) {
	t.Helper()
	var wg sync.WaitGroup
	for _, m := range p.models {
		wg.Go(func() { do(m) })
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// restart kills the gateway and starts it again.
func (p *replayed) restart(t *testing.T) {
	t.Helper()
	p.stop(t)
	p.start(t)
	for _, m := range p.models {
		m.counted = 0
	}
}

// window sends the rows of n windows, and returns the state of the model after them.
func (p *replayed) window(ctx context.Context, m *replayedModel, n, first int, spoil fault) (d api.DriftStatus, err error) {
	if err := m.send(ctx, p.data, m.name, n*windowRows, first, spoil); err != nil {
		return d, err
	}
	m.counted += n * windowRows
	c, err := client.New(client.Options{Admin: p.admin})
	if err != nil {
		return d, err
	}
	for {
		list, err := c.DriftOf(ctx, m.name)
		switch {
		case err != nil:
			return d, err
		case len(list) != 1 || list[0].Dropped > 0 || list[0].Rows > uint64(m.counted):
			return d, fmt.Errorf("%s: after %d rows %+v", m.name, m.counted, list)
		case list[0].Rows == uint64(m.counted) && list[0].Windows == uint64(m.counted/windowRows):
			return list[0], nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return d, fmt.Errorf("%s: after %d rows %+v: %w", m.name, m.counted, list, ctx.Err())
		}
	}
}

// brief lists signals for an error message.
func brief(list []api.SignalData) string {
	var text strings.Builder
	for _, s := range list {
		fmt.Fprintf(&text, "\n  %s %s: %s, since %v:", s.ID, s.Type, s.Cause, s.Began)
		for _, f := range s.Features {
			fmt.Fprintf(&text, " %s %s %s", f.Kind, f.Feature, f.Statistic)
		}
	}
	return text.String()
}

// say adds a line to the output of the demo.
func say(t *testing.T, format string, args ...any) {
	_, _ = fmt.Fprintf(t.Output(), format+"\n", args...)
}

// patience is the max time of a step, also on a busy machine.
const patience = 2 * time.Minute

// silent sends clean windows, which must not lead to a signal.
func (p *replayed) silent(t *testing.T, m *replayedModel, how string) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const atOnce = 5
	for range cleanWindows / atOnce {
		d, err := p.window(ctx, m, atOnce, 0, nil)
		if err != nil {
			t.Error(err)
			return
		}
		if d.State != "OK" && d.State != "SUSPECTED" {
			t.Errorf("%s, rows %s: %+v", m.name, how, d)
		}
	}
	if got := p.receiver.of(t, m.name); len(got) != m.told {
		t.Errorf("%s, rows %s: the receiver was told %s", m.name, how, brief(got))
	}
	say(t, "%-13s  %-17s %-20s silence in %d windows of %d rows", m.name, "nothing", how, cleanWindows, windowRows)
}

// phase changes the rows of both models until drift is detected and signalled.
func (p *replayed) phase(t *testing.T, ph phase) {
	t.Helper()
	if ph.down {
		p.receiver.down(t)
	}
	faults, features := map[*replayedModel]fault{}, map[*replayedModel]string{}
	for _, m := range p.models {
		features[m], faults[m] = ph.fault(m)
	}
	p.each(t, func(m *replayedModel) { p.detect(t, ph, m, features[m], faults[m]) })
	if ph.down {
		if !ph.atOnce {
			p.each(t, func(m *replayedModel) { p.await(t, m, api.SignalOpen, 1) })
		}
		p.restart(t)
		p.receiver.up(t)
	}
	p.each(t, func(m *replayedModel) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, err := p.window(ctx, m, 2, windowRows, faults[m]); err != nil { // the drift goes on, without another signal
			t.Error(err)
			return
		}
		m.told++
		p.await(t, m, api.SignalDelivered, 1)
		got := p.receiver.of(t, m.name)
		if len(got) != m.told {
			t.Errorf("%s, %s: the receiver was told %s", m.name, ph.name, brief(got))
			return
		}
		if last := got[m.told-1]; last.Type != ph.kind || last.Features[0].Feature != features[m] {
			t.Errorf("%s, %s: the receiver was told %+v", m.name, ph.name, last)
		}
		while := "up"
		if ph.down {
			while = "down, and the gateway killed meanwhile"
		}
		say(t, "%-13s  %-17s %-20s one event, %s, while the receiver was %s", m.name, features[m], ph.name, ph.kind, while)
	})
}

// detect sends changed windows until drift is detected, and checks the verdict.
func (p *replayed) detect(t *testing.T, ph phase, m *replayedModel, feature string, spoil fault) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const most = 3
	began := time.Now()
	for n := range most {
		d, err := p.window(ctx, m, 1, n*windowRows, spoil)
		if err != nil {
			t.Error(err)
			return
		}
		if d.State != "DETECTED" {
			continue
		}
		findings := d.Last.Features
		if ph.kind == api.TypeDataQualityViolated {
			findings = d.Last.Quality
		}
		f := findings[0]
		if f.Feature != feature || f.State != "DETECTED" {
			t.Errorf("%s, %s %s: the first is %+v", m.name, feature, ph.name, f)
		}
		say(t, "%-13s  %-17s %-20s detected after %d rows (window %d, %v): %s, effect %.2f (%.2f to %.2f)", m.name, feature, ph.name,
			(n+1)*windowRows, n+1, time.Since(began).Round(time.Millisecond), f.Change, f.Effect, f.Low, f.High)
		return
	}
	t.Errorf("%s, %s %s: not detected in %d windows", m.name, feature, ph.name, most)
}

// await waits until a model has the given number of signals in a state.
func (p *replayed) await(t *testing.T, m *replayedModel, state string, want int) []api.Signal {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := client.New(client.Options{Admin: p.admin})
	for err == nil {
		var list []api.Signal
		if list, err = c.Signals(ctx, client.SignalFilter{Model: m.name, State: state}); err == nil && len(list) >= want {
			return list
		}
		if err == nil {
			time.Sleep(10 * time.Millisecond)
		}
	}
	t.Errorf("%s: %d signals that are %s: %v", m.name, want, state, err)
	return nil
}

// recover closes the signals and sends clean rows until the state is OK again. It kills the gateway
// once more in the middle of a window.
func (p *replayed) recover(t *testing.T) {
	t.Helper()
	p.each(t, func(m *replayedModel) {
		c, err := client.New(client.Options{Admin: p.admin})
		for _, r := range p.await(t, m, api.SignalDelivered, 1) {
			var cerr error
			if _, cerr = c.CloseSignal(t.Context(), r.ID, "the demo goes on"); cerr != nil {
				err = errors.Join(err, cerr)
			}
		}
		if err == nil {
			err = m.send(t.Context(), p.data, m.name, windowRows/2, 0, nil)
		}
		if err != nil {
			t.Error(err)
		}
	})
	p.restart(t)
	p.each(t, func(m *replayedModel) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		const most = 10
		for n := range most {
			d, err := p.window(ctx, m, 1, 0, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if d.State == "OK" {
				say(t, "%-13s  %-17s %-20s well again in window %d", m.name, "nothing", "in order", n+1)
				return
			}
		}
		t.Errorf("%s: not well again in window %d", m.name, most)
	})
}
