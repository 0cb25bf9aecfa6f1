package client

import (
	"context"
	"net/http"
	"net/url"

	"sluice.io/sluice/api"
)

// Callers returns who may send requests, and what each may do. Callers that only their tokens (JWT)
// name are not listed.
func (c *Client) Callers(ctx context.Context) (list []api.Caller, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/callers", true, &list)
	return list, err
}

// Caller returns one caller. For an unknown name it returns an Error with status 404.
func (c *Client) Caller(ctx context.Context, name string) (caller api.Caller, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/callers/"+url.PathEscape(name), true, &caller)
	return caller, err
}

// Session returns who the caller of this client is, and what it may do on the admin port.
func (c *Client) Session(ctx context.Context) (s api.Session, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/session", true, &s)
	return s, err
}
