package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"sluice.io/sluice/api"
)

// Aliases returns the aliases of a model, sorted by name.
func (c *Client) Aliases(ctx context.Context, model string) (list []api.Alias, err error) {
	err = c.call(ctx, http.MethodGet, c.modelURL(model)+"/aliases", true, &list)
	return list, err
}

// Alias returns an alias with its history. For an unknown alias it returns an Error with status
// 404.
func (c *Client) Alias(ctx context.Context, model, alias string) (a api.Alias, err error) {
	err = c.call(ctx, http.MethodGet, c.aliasURL(model, alias), true, &a)
	return a, err
}

// SetAlias gives an alias a version, and returns when the routes that name it serve that
// version.
func (c *Client) SetAlias(ctx context.Context, model, alias string, version int64, o EditOptions) (result api.AliasResult, err error) {
	body, err := json.Marshal(map[string]int64{"version": version})
	if err != nil {
		return result, err
	}
	err = c.change(ctx, http.MethodPut, c.aliasURL(model, alias), body, o, &result)
	return result, err
}

// DeleteAlias deletes an alias. If a route names it, it returns an Error with status 409.
func (c *Client) DeleteAlias(ctx context.Context, model, alias string, o EditOptions) (result api.AliasResult, err error) {
	err = c.change(ctx, http.MethodDelete, c.aliasURL(model, alias), nil, o, &result)
	return result, err
}

func (c *Client) aliasURL(model, alias string) string {
	return c.modelURL(model) + "/aliases/" + url.PathEscape(alias)
}

// change changes a document with a revision.
func (c *Client) change(ctx context.Context, method, target string, body []byte, o EditOptions, out any) error {
	if o.DryRun {
		target += "?dry_run=true"
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	c.conditions(req, o)
	return c.decode(req, out)
}
