// Package admin is the side port: metrics, health, profiles and the control API,
// on net/http and apart from the data plane, so that a full or slow data plane
// can still be looked at.
//
// Who may: with tokens every route asks for one but /metrics, /-/healthy and
// /-/ready. Without tokens a loopback address serves everything to programs on
// this machine, and any other address only those three.
package admin
