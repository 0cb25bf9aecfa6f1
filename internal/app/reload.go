package app

import (
	"context"

	"sluice.io/sluice/api"
)

// Reload reads the configuration again and applies it, as POST /-/reload does.
func (a *App) Reload(ctx context.Context) (api.ReloadResult, error) { return control{a}.Reload(ctx) }
