// Package admin is the admin port: metrics, health, profiles and the control API. It uses
// net/http and is independent of the data plane, so that people can inspect a full or slow
// data plane.
//
// Access: if tokens are configured, every endpoint needs one, except /metrics, /-/healthy,
// /-/ready, /openapi.json and /docs. Without tokens, a loopback address serves all endpoints
// to programs on this machine, and any other address only these.
package admin
