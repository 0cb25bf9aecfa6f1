package app

import (
	"sluice.io/sluice/api"
)

// Drift implements admin.DriftControl.
func (c control) Drift() []api.DriftStatus { return c.app.watch.Status() }

// DriftReport implements admin.DriftControl.
func (c control) DriftReport(model string) []api.DriftReport { return c.app.watch.Report(model) }

// Signals implements admin.DriftControl.
func (c control) Signals() []api.Signal { return c.app.outbox.List() }

// RetrySignal implements admin.DriftControl.
func (c control) RetrySignal(id string) (api.Signal, error) { return c.app.outbox.Retry(id) }

// CloseSignal implements admin.DriftControl.
func (c control) CloseSignal(id string, by api.Actor) (api.Signal, error) {
	return c.app.outbox.Close(id, by)
}
