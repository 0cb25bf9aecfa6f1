package httpapi

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"sluice.io/sluice/internal/wire/oip"
)

// Limits bounds what a connection and a request may take. A zero field means its
// default.
type Limits struct {
	MaxBodyBytes       int           // of a body as sent; 64 MiB
	MaxInflatedBytes   int           // of a body after gzip or deflate was undone; 64 MiB
	MaxResponseBytes   int           // of the outputs of one answer, in memory and as they are encoded; 256 MiB
	MaxControlBytes    int           // of a document other than an inference, as sent and inflated; 64 KiB
	MaxHeaderBytes     int           // of the request line and all headers; 16 KiB
	MaxStickyKeyBytes  int           // of the key that keeps a caller on a version; 1 KiB
	MaxConnections     int           // open at the same time, beyond it 503; 8192
	MaxRequestsPerConn int           // then the connection is closed; 0: without limit
	ReadTimeout        time.Duration // to read one request; 30 s
	WriteTimeout       time.Duration // to write one answer; 30 s
	IdleTimeout        time.Duration // between two requests; 2 min
	Tensors            oip.Limits    // of what is inside a request
}

func (l Limits) withDefaults() Limits {
	l.MaxBodyBytes = cmp.Or(l.MaxBodyBytes, 64<<20)
	l.MaxInflatedBytes = cmp.Or(l.MaxInflatedBytes, 64<<20)
	l.MaxResponseBytes = cmp.Or(l.MaxResponseBytes, 256<<20)
	l.MaxControlBytes = cmp.Or(l.MaxControlBytes, 64<<10)
	l.MaxHeaderBytes = cmp.Or(l.MaxHeaderBytes, 16<<10)
	l.MaxStickyKeyBytes = cmp.Or(l.MaxStickyKeyBytes, 1<<10)
	l.Tensors.MaxStickyKeyBytes = cmp.Or(l.Tensors.MaxStickyKeyBytes, l.MaxStickyKeyBytes)
	l.MaxConnections = cmp.Or(l.MaxConnections, 8192)
	l.ReadTimeout = cmp.Or(l.ReadTimeout, 30*time.Second)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, 30*time.Second)
	l.IdleTimeout = cmp.Or(l.IdleTimeout, 2*time.Minute)
	return l
}

// answerFrame is what an answer may take beside the data of its outputs: their names
// and shapes.
const answerFrame = 1 << 20

// maxEncoded is the most bytes of an answer's body.
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
		{"max_control_body", l.MaxControlBytes, 1, math.MaxInt32},
		{"max_header", l.MaxHeaderBytes, 256, 16 << 20},
		{"max_sticky_key", l.MaxStickyKeyBytes, 1, math.MaxInt32},
		{"max_connections", l.MaxConnections, 1, math.MaxInt32 / 4},
		{"max_requests_per_connection", l.MaxRequestsPerConn, 0, math.MaxInt32},
	} {
		if f.value < f.min || f.value > f.max {
			return fmt.Errorf("httpapi: %s is %d, expected %d to %d", f.name, f.value, f.min, f.max)
		}
	}
	for name, d := range map[string]time.Duration{
		"read_timeout": l.ReadTimeout, "write_timeout": l.WriteTimeout, "idle_timeout": l.IdleTimeout,
	} {
		if d < 0 {
			return fmt.Errorf("httpapi: %s is negative: %v", name, d)
		}
	}
	return nil
}
