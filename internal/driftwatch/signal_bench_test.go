package driftwatch

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/signals"
)

// outboxLog is a journal for an outbox.
type outboxLog struct{ *journal.Log }

// Append implements signals.Journal.
func (l outboxLog) Append(e api.Event) (api.Event, error) { return l.Log.Append(journal.Any, e) }

// BenchmarkClosed processes a window of 100 features: none or all have drifted before.
func BenchmarkClosed(b *testing.B) {
	f := func(name, state string) {
		b.Run(name, func(b *testing.B) {
			log := journal.Memory()
			w := New(log, zap.NewNop())
			outbox, err := signals.New(signals.NewStore(), signals.Options{
				Journal: outboxLog{log}, Initial: time.Second, Max: time.Minute, Timeout: time.Second, Parallel: 1, Expire: time.Hour,
			})
			if err != nil {
				b.Fatal(err)
			}
			w.SetOutbox(outbox)
			s, p := drift.Stream{Role: "stable"}, &drift.Profile{}
			w.watches[s] = watch{Watch: Watch{Reference: &Reference{digest: "sha256:0"}, Leased: &registry.Leased{}}, profile: p, tap: &drift.Tap{}}
			began := time.Unix(0, 0).UTC()
			c := drift.Closed{Stream: s, Profile: p, Verdict: drift.Verdict{State: state}}
			for i := range 100 {
				name := fmt.Sprint("f", i)
				c.Verdict.Features = append(c.Verdict.Features, drift.Finding{Feature: name, Kind: drift.KindInput, Statistic: drift.StatisticG, State: state, Began: &began})
				if state != drift.OK {
					c.After.Findings = append(c.After.Findings, status(name, drift.StatisticG, state, began))
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				w.closed(c)
			}
		})
	}
	f("clean", drift.OK)
	f("drifted", drift.Detected)
}
