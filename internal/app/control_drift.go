package app

import (
	"sluice.io/sluice/api"
)

// Drift implements admin.DriftControl.
func (c control) Drift() []api.DriftStatus { return c.app.watch.Status() }

// Retrains implements admin.DriftControl.
func (c control) Retrains() []api.RetrainRequest { return c.app.outbox.List() }

// RetryRetrain implements admin.DriftControl.
func (c control) RetryRetrain(id string) (api.RetrainRequest, error) { return c.app.outbox.Retry(id) }

// CloseRetrain implements admin.DriftControl.
func (c control) CloseRetrain(id string, by api.Actor) (api.RetrainRequest, error) {
	return c.app.outbox.Close(id, by)
}
