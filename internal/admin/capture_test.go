package admin_test

import (
	"context"

	"sluice.io/sluice/api"
)

// noCapture has captured nothing.
type noCapture struct{}

func (noCapture) Captured(context.Context) ([]api.Captured, error) {
	return []api.Captured{{Model: "iris"}}, nil
}

func (noCapture) CaptureFiles(context.Context, string, api.CaptureRange) ([]api.CaptureFile, error) {
	return nil, nil
}
