package serving

import (
	"errors"
	"runtime"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
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
func Batchable(slot batch.Slot, model *infer.Model, m config.Model) batch.Finding {
	switch m.Batching.Enabled {
	case config.BatchingOn:
		return batch.Finding{Batchable: true, Reason: "configured"}
	case config.BatchingOff:
		return batch.Finding{Batchable: false, Reason: "configured"}
	default:
		return batch.Probe(slot, model, batch.ProbeOptions{Tolerance: m.Batching.Tolerance})
	}
}
