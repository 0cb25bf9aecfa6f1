package front

import (
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// AccessLog configures which requests are logged.
type AccessLog struct {
	Enabled bool
	// SampleEvery logs every n-th successful request, and every n-th that is answered with
	// NotFound. 1 logs all. At least 1 if Enabled.
	SampleEvery int
	// MaxErrors is the max number of failed requests that are logged in a second. At least 1 if
	// Enabled.
	MaxErrors int
}

// maxLogged is the max length of a caller's text in a log line, in bytes.
const maxLogged = 256

// accessLog selects requests and logs them.
type accessLog struct {
	log       *zap.Logger
	opts      atomic.Pointer[AccessLog]
	successes atomic.Uint64
	unknown   atomic.Uint64 // requests answered with NotFound

	mu      sync.Mutex // the fields below
	second  int64      // in which errors are counted
	errors  int
	dropped uint64 // since the last line that reports them
}

func newAccessLog(opts AccessLog, log *zap.Logger) *accessLog {
	l := &accessLog{log: log}
	l.opts.Store(&opts)
	return l
}

// wants reports whether a finished request must be logged.
func (l *accessLog) wants(code infer.Code, arrived time.Time) bool {
	opts := l.opts.Load()
	if !opts.Enabled {
		return false
	}
	every := uint64(opts.SampleEvery) //nolint:gosec // New has checked it
	switch code {
	case infer.OK:
		return l.successes.Add(1)%every == 0
	case infer.NotFound: // scanners cause many of these; the first is logged, since it may be a mistake
		return (l.unknown.Add(1)-1)%every == 0
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if second := arrived.Unix(); second > l.second {
		l.second, l.errors = second, 0
	}
	if l.errors >= opts.MaxErrors {
		l.dropped++
		return false
	}
	l.errors++
	return true
}

// Access is the data about a finished request for the access log.
type Access struct {
	Protocol    string      // "http" or "grpc"
	Fields      []zap.Field // of the protocol, first in the line; text from the caller must be Printable
	Level       zapcore.Level
	Arrived     time.Time
	Received    int // bytes of the request's body
	Answered    int // bytes of the answer's body
	RequestID   []byte
	Traceparent []byte // as received
	Trace       *Trace // nil if the request is not traced
	Remote      fmt.Stringer
	Served      infer.Served
	Caller      *callers.Caller // nil if the request was not identified, or needed not to be
}

// write logs a request. Text from the caller is made safe for any encoder, and copied.
func (l *accessLog) write(a *Access) {
	entry := l.log.Check(a.Level, "request")
	if entry == nil {
		return
	}
	fields := a.Fields
	fields = append(fields,
		zap.String("protocol", a.Protocol),
		zap.Duration("duration_seconds", time.Since(a.Arrived)),
		zap.Int("request_bytes", a.Received),
		zap.Int("response_bytes", a.Answered),
		zap.String("request_id", string(a.RequestID)),
		zap.Stringer("remote", a.Remote))
	if a.Caller != nil {
		fields = append(fields, zap.String("caller", a.Caller.Name()))
	}
	if a.Served.Reason != "" {
		fields = append(fields, zap.String("route", a.Served.Route), zap.Int64("version", a.Served.Version.Number),
			zap.String("reason", string(a.Served.Reason)))
	}
	fields = append(fields, a.trace()...)
	if dropped := l.takeDropped(); dropped > 0 {
		fields = append(fields, zap.Uint64("errors_not_logged", dropped))
	}
	entry.Write(fields...)
}

// trace returns the fields that say which trace the request belongs to.
func (a *Access) trace() (fields []zap.Field) {
	span, _ := parseTraceparent(a.Traceparent)
	if span.Valid() {
		fields = append(fields, zap.String("traceparent", Printable(string(a.Traceparent))))
	}
	if a.Trace != nil {
		span = a.Trace.Span
	}
	if span.Valid() {
		fields = append(fields, zap.String("trace_id", hex.EncodeToString(span.Trace[:])))
	}
	return fields
}

func (l *accessLog) takeDropped() (n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, l.dropped = l.dropped, 0
	return n
}

// Printable copies text from a caller for a log: printable ASCII is unchanged, other bytes become
// \x and two digits. At most maxLogged bytes are copied.
func Printable(s string) string {
	cut := ""
	if len(s) > maxLogged {
		s, cut = s[:maxLogged], "..."
	}
	var b strings.Builder
	b.Grow(len(s) + len(cut))
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '\\' {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteString(cut)
	return b.String()
}
