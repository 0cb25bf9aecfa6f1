package client

import (
	"context"
	"net/http"
	"net/url"

	"sluice.io/sluice/api"
)

// Status returns the version, the start time and the readiness of the gateway.
func (c *Client) Status(ctx context.Context) (status api.ServerStatus, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/status", true, &status)
	return status, err
}

// Config returns the configuration in effect, with defaults and without secrets: every
// setting by name, in the form of a configuration file.
func (c *Client) Config(ctx context.Context) (config map[string]any, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/config", true, &config)
	return config, err
}

// Models returns every version of every model that the gateway knows.
func (c *Client) Models(ctx context.Context) (models []api.ModelStatus, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/models", true, &models)
	return models, err
}

// Model returns the versions of one model. For an unknown model it returns an Error with
// status 404.
func (c *Client) Model(ctx context.Context, name string) (versions []api.ModelStatus, err error) {
	err = c.call(ctx, http.MethodGet, c.modelURL(name), true, &versions)
	return versions, err
}

// Load loads a model, or its newer files, and returns its versions when they serve. The
// gateway allows it only under explicit model control.
func (c *Client) Load(ctx context.Context, name string) (versions []api.ModelStatus, err error) {
	err = c.call(ctx, http.MethodPost, c.modelURL(name)+"/load", true, &versions)
	return versions, err
}

// Unload unloads a model and returns its versions. The gateway allows it only under explicit
// model control.
func (c *Client) Unload(ctx context.Context, name string) (versions []api.ModelStatus, err error) {
	err = c.call(ctx, http.MethodPost, c.modelURL(name)+"/unload", true, &versions)
	return versions, err
}

// Reload makes the gateway read its configuration again and returns what changed.
func (c *Client) Reload(ctx context.Context) (result api.ReloadResult, err error) {
	err = c.call(ctx, http.MethodPost, c.admin+"/-/reload", true, &result)
	return result, err
}

// AdminReady asks the admin port. It returns nil if the gateway is ready, and otherwise an
// error with the reason.
func (c *Client) AdminReady(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, c.admin+"/-/ready", false, nil)
}

func (c *Client) modelURL(name string) string {
	return c.admin + "/api/v1/models/" + url.PathEscape(name)
}
