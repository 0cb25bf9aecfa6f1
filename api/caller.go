package api

import "time"

// Caller is someone who sends requests, and what they may do. GET /api/v1/callers answers with
// a list of them, without any credentials.
type Caller struct {
	Name        string            `json:"name"` // "anonymous" is the caller without credentials
	Groups      []string          `json:"groups"`
	Credentials CallerCredentials `json:"credentials"`
	Allow       []CallerRule      `json:"allow"`  // with the rules of the groups
	Limits      []CallerLimit     `json:"limits"` // with those of the groups
	// Requests is the number of answered requests by code, with metrics.callers.
	Requests map[string]int64 `json:"requests,omitempty"`
	// Limited is the number of requests that a limit of the caller has refused, with metrics.callers.
	Limited int64 `json:"limited,omitempty"`
}

// CallerCredentials is how many credentials of each kind a caller has.
type CallerCredentials struct {
	Keys         int `json:"keys"`
	Certificates int `json:"certificates"`
	Tokens       int `json:"tokens"` // subjects of tokens (JWT)
}

// CallerRule allows actions on models.
type CallerRule struct {
	Models  []string `json:"models"` // names, in which * stands for any characters
	Actions []string `json:"actions"`
}

// CallerLimit bounds the requests of a caller to some models, taken together. A field that is missing
// is not limited.
type CallerLimit struct {
	Models            []string `json:"models"`
	RequestsPerSecond float64  `json:"requests_per_second,omitempty"`
	Burst             int      `json:"burst,omitempty"`
	RowsPerSecond     float64  `json:"rows_per_second,omitempty"`
	RowsBurst         int      `json:"rows_burst,omitempty"`
	BytesInFlight     int64    `json:"bytes_in_flight,omitempty"`
}

// Session says who sends a request to the control API, and what it may do there.
type Session struct {
	Caller    string       `json:"caller"`
	Anonymous bool         `json:"anonymous"` // the request shows no credentials
	Groups    []string     `json:"groups"`
	May       []CallerRule `json:"may"` // with the rules of the groups
	// Until is when the session of the request's cookie ends; absent if it has none.
	Until *time.Time `json:"until,omitempty"`
}
