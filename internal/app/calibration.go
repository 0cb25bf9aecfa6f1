package app

import (
	"fmt"
	"path/filepath"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/journal"
)

// calibrationDir is the folder in the data directory with what streams have learned of clean windows.
const calibrationDir = "calibration"

// newWatch returns the watcher of streams. With a data directory it goes on with what streams have learned.
func newWatch(cfg *config.Config, log *journal.Log, logger *zap.Logger) (*driftwatch.Watcher, error) {
	w := driftwatch.New(log, logger)
	if cfg.DataDir == "" {
		return w, nil
	}
	if err := w.Remember(filepath.Join(cfg.DataDir, calibrationDir)); err != nil {
		return nil, fmt.Errorf("what streams have learned cannot be read: %w", err)
	}
	return w, nil
}
