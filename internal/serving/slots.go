package serving

import (
	"context"
	"errors"
	"runtime"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/config"
)

// instances is the number of worker slots: as configured, else one per core.
func instances(m config.Model) int {
	if m.Instances > 0 {
		return m.Instances
	}
	return runtime.GOMAXPROCS(0)
}

func newSlots(session Session, n int) ([]batch.Slot, error) {
	slots := make([]batch.Slot, 0, n)
	for range n {
		slot, err := session.NewSlot()
		if err != nil {
			return nil, errors.Join(err, closeSlots(slots))
		}
		slots = append(slots, slot)
	}
	return slots, nil
}

func closeSlots(slots []batch.Slot) error {
	errs := make([]error, 0, len(slots))
	for _, s := range slots {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Batchable decides whether requests are joined: as configured, else by probing.
func Batchable(ctx context.Context, slot batch.Slot, session Session, m config.Model) batch.Finding {
	switch m.Batching.Enabled {
	case config.BatchingOn:
		return batch.Configured(true)
	case config.BatchingOff:
		return batch.Configured(false)
	default:
		return batch.Probe(ctx, slot, session.Model(), batch.ProbeOptions{
			Tolerance: m.Batching.Tolerance, Mixes: session.Traits().Mixes,
			Timeout: m.Batching.Probe.Timeout, MaxBytes: int64(m.Batching.Probe.MaxBytes),
		})
	}
}

// find is Batchable on a slot of its own.
func find(ctx context.Context, session Session, m config.Model) (batch.Finding, error) {
	slot, err := session.NewSlot()
	if err != nil {
		return batch.Finding{}, err
	}
	return Batchable(ctx, slot, session, m), slot.Close()
}
