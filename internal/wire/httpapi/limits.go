package httpapi

import (
	"fmt"
	"math"
	"time"

	"sluice.io/sluice/internal/wire/oip"
)

// Limits bound a connection and a request. Only MaxRequestsPerConn may be 0.
type Limits struct {
	MaxBodyBytes       int           // of a body as received
	MaxInflatedBytes   int           // of a decompressed body
	MaxResponseBytes   int           // of the outputs of an answer, in memory and encoded
	MaxRows            int           // of a data frame
	MaxColumns         int           // of a data frame
	MaxControlBytes    int           // of a document other than an inference, as received and decompressed
	MaxHeaderBytes     int           // of the request line and all headers
	MaxConnections     int           // open at the same time; more are answered 503
	MaxRequestsPerConn int           // then the connection is closed; 0: no limit
	ReadTimeout        time.Duration // for reading a request
	WriteTimeout       time.Duration // for writing an answer
	IdleTimeout        time.Duration // between two requests
	HandshakeTimeout   time.Duration // for a TLS handshake
	Tensors            oip.Limits    // of the content of a request; MaxStickyKeyBytes is also for the header
}

// answerFrame is the max size of an answer without the data of its outputs, in bytes: names and
// shapes.
const answerFrame = 1 << 20

// maxEncoded returns the max size of an answer's body in bytes.
func (l Limits) maxEncoded() int { return l.MaxResponseBytes + answerFrame }

func (l Limits) validate() error {
	for _, f := range []struct {
		name     string
		value    int
		min, max int
	}{
		{"max_body", l.MaxBodyBytes, 1, math.MaxInt32},
		{"max_inflated", l.MaxInflatedBytes, 1, math.MaxInt32},
		{"max_response", l.MaxResponseBytes, 1, math.MaxInt32},
		{"max_rows", l.MaxRows, 1, math.MaxInt32},
		{"max_columns", l.MaxColumns, 1, math.MaxInt32},
		{"max_control_body", l.MaxControlBytes, 1, math.MaxInt32},
		{"max_header", l.MaxHeaderBytes, 256, 16 << 20},
		{"max_connections", l.MaxConnections, 1, math.MaxInt32 / 4},
		{"max_requests_per_connection", l.MaxRequestsPerConn, 0, math.MaxInt32},
	} {
		if f.value < f.min || f.value > f.max {
			return fmt.Errorf("httpapi: %s is %d, expected %d to %d", f.name, f.value, f.min, f.max)
		}
	}
	for name, d := range map[string]time.Duration{
		"read_timeout": l.ReadTimeout, "write_timeout": l.WriteTimeout, "idle_timeout": l.IdleTimeout,
		"handshake_timeout": l.HandshakeTimeout,
	} {
		if d <= 0 {
			return fmt.Errorf("httpapi: %s is %v, expected more than 0", name, d)
		}
	}
	return l.Tensors.Validate()
}
