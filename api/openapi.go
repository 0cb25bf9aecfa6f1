package api

import _ "embed"

// OpenAPI is the OpenAPI 3.1 document, in JSON, of the data plane and the control API.
//
//go:embed openapi.json
var OpenAPI string
