package driftwatch

import (
	"encoding/json"
	"fmt"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/labels"
)

// LossFold is what the journal has of detected losses. The states of the detectors are with the
// labels.
type LossFold struct {
	streams map[labels.LossStream]recordedLoss
}

// NewLossFold returns a LossFold without events.
func NewLossFold() *LossFold { return &LossFold{streams: map[labels.LossStream]recordedLoss{}} }

// Apply implements journal.Fold.
func (f *LossFold) Apply(e api.Event) error {
	if e.Type != api.EventLossState {
		return nil
	}
	var x api.LossEvidence
	if err := json.Unmarshal(e.After, &x); err != nil {
		return fmt.Errorf("event %d: %w", e.Seq, err)
	}
	f.streams[labels.LossStream{Model: x.Model, Version: x.Version, Role: x.Role, Form: x.Form}] = recordedLoss{x.Window.End, x.State}
	return nil
}

// savedLoss is a stream in a snapshot.
type savedLoss struct {
	labels.LossStream
	recordedLoss
}

// Snapshot implements journal.Fold.
func (f *LossFold) Snapshot() ([]byte, error) {
	saved := make([]savedLoss, 0, len(f.streams))
	for s, r := range f.streams {
		saved = append(saved, savedLoss{s, r})
	}
	return json.Marshal(saved)
}

// Restore implements journal.Fold.
func (f *LossFold) Restore(state []byte) error {
	var saved []savedLoss
	if err := json.Unmarshal(state, &saved); err != nil {
		return err
	}
	streams := make(map[labels.LossStream]recordedLoss, len(saved))
	for _, s := range saved {
		streams[s.LossStream] = s.recordedLoss
	}
	f.streams = streams
	return nil
}
