package front

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice.io/sluice/internal/infer"
)

// AccessLog says which requests are logged.
type AccessLog struct {
	Enabled bool
	// SampleEvery logs every n-th request that succeeded, and every n-th for what is not
	// there; 1 logs all. At least 1 if Enabled.
	SampleEvery int
	// MaxErrors is how many failed requests are logged in a second at the most. At least
	// 1 if Enabled.
	MaxErrors int
}

// maxLogged is how much of a caller's own text a log line takes.
const maxLogged = 256

// accessLog picks requests and logs them.
type accessLog struct {
	log       *zap.Logger
	opts      atomic.Pointer[AccessLog]
	successes atomic.Uint64
	unknown   atomic.Uint64 // requests for what is not there

	mu      sync.Mutex // the fields below
	second  int64      // whose errors are counted
	errors  int
	dropped uint64 // since the last line that says so
}

func newAccessLog(opts AccessLog, log *zap.Logger) *accessLog {
	l := &accessLog{log: log}
	l.opts.Store(&opts)
	return l
}

// wants reports whether a request that has ended is to be logged.
func (l *accessLog) wants(code infer.Code, arrived time.Time) bool {
	opts := l.opts.Load()
	if !opts.Enabled {
		return false
	}
	every := uint64(opts.SampleEvery) //nolint:gosec // New has checked it
	switch code {
	case infer.OK:
		return l.successes.Add(1)%every == 0
	case infer.NotFound: // scanners ask for such at any rate; the first one is shown, it may be a mistake
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

// Access is what the access log says of a request that has ended.
type Access struct {
	Fields      []zap.Field // of the protocol, first in the line; text of the caller's is Printable
	Level       zapcore.Level
	Arrived     time.Time
	Received    int // bytes of the request's body
	Answered    int // bytes of the answer's
	RequestID   []byte
	Traceparent []byte // as the caller gave it
	Remote      fmt.Stringer
	Served      infer.Served
}

// write logs a request. What comes from the caller is made harmless whatever the
// encoder does with it, and copied.
func (l *accessLog) write(a *Access) {
	entry := l.log.Check(a.Level, "request")
	if entry == nil {
		return
	}
	fields := a.Fields
	fields = append(fields,
		zap.Duration("duration_seconds", time.Since(a.Arrived)),
		zap.Int("request_bytes", a.Received),
		zap.Int("response_bytes", a.Answered),
		zap.String("request_id", string(a.RequestID)),
		zap.Stringer("remote", a.Remote))
	if a.Served.Reason != "" {
		fields = append(fields, zap.String("route", a.Served.Route), zap.Int64("version", a.Served.Version.Number),
			zap.String("reason", string(a.Served.Reason)))
	}
	if id := traceID(a.Traceparent); id != nil {
		fields = append(fields, zap.String("trace_id", string(id)), zap.String("traceparent", Printable(string(a.Traceparent))))
	}
	if dropped := l.takeDropped(); dropped > 0 {
		fields = append(fields, zap.Uint64("errors_not_logged", dropped))
	}
	entry.Write(fields...)
}

func (l *accessLog) takeDropped() (n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, l.dropped = l.dropped, 0
	return n
}

// Printable copies text from a caller for a log: printable ASCII as it is, all
// other bytes as \x and two digits, and no more than maxLogged bytes of it.
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
