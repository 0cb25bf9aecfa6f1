package admin

import (
	"bytes"
	"strings"
	"sync/atomic"

	"go.uber.org/zap"
)

// errorLog receives the lines that net/http logs about connections. It counts failed TLS
// handshakes and logs them by one message, so that a scanner does not fill the log.
type errorLog struct {
	log, sampled *zap.Logger
	handshakes   atomic.Int64
}

// Write logs a line. It implements io.Writer.
func (l *errorLog) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	if failure, ok := strings.CutPrefix(text, "http: TLS handshake error from "); ok {
		l.handshakes.Add(1)
		l.sampled.Info("TLS handshake failed", zap.String("error", failure))
	} else {
		l.log.Error("connection", zap.String("error", text))
	}
	return len(line), nil
}
