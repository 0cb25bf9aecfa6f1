package httpapi

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/wire/front"
)

// goodbye is how long the close of a connection may take to tell the caller that it ends.
const goodbye = 250 * time.Millisecond

// plainAnswer is for a caller that sends HTTP without TLS.
const (
	plainBody   = `{"error":"this port takes only TLS: use https://"}`
	plainAnswer = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: " +
		"50\r\n\r\n" + plainBody
)

// handshakes are what all TLS connections share.
type handshakes struct {
	config  *tls.Config
	timeout time.Duration
	log     *zap.Logger
	failed  atomic.Int64

	said       atomic.Int64 // when a failure was logged, in seconds since 1970
	unreported atomic.Int64 // failures since then
}

// secureListener makes TLS connections of those that the listener accepts. It makes no
// handshake, so that a slow one does not keep others waiting.
type secureListener struct {
	*listener
	handshakes *handshakes
}

func (l *secureListener) Accept() (net.Conn, error) {
	c, err := l.listener.Accept()
	if err != nil {
		return nil, err
	}
	raw := connOf(c)
	return &secureConn{Conn: tls.Server(raw, l.handshakes.config), raw: raw, listener: l}, nil
}

// secureConn is a TLS connection. fasthttp calls Handshake in the connection's goroutine,
// before it reads.
type secureConn struct {
	*tls.Conn
	raw      *conn
	listener *secureListener
	failed   bool // of the goroutine that reads
}

// Handshake makes the handshake within its time. A connection whose handshake failed then
// reads as ended: there was no request, so that there is nothing to answer or to log as one.
func (c *secureConn) Handshake() error {
	h := c.listener.handshakes
	_ = c.raw.SetDeadline(time.Now().Add(h.timeout))
	c.listener.endSoon(c.raw)
	if err := c.Conn.Handshake(); err != nil { //nolint:noctx // the deadline of the connection bounds it
		c.failed = true
		c.listener.refusePlain(err)
		h.fail(c.raw, err)
		return err
	}
	if chains := c.ConnectionState().VerifiedChains; len(chains) > 0 {
		c.raw.names = callers.NamesOf(chains[0][0])
	}
	c.raw.opened()
	c.listener.endSoon(c.raw)
	return nil
}

// refusePlain answers a caller that has sent HTTP without TLS.
func (l *secureListener) refusePlain(err error) {
	plain, ok := errors.AsType[tls.RecordHeaderError](err)
	if !ok || plain.Conn == nil || !looksLikeHTTP(plain.RecordHeader) {
		return
	}
	c := connOf(plain.Conn)
	if _, err := io.WriteString(c, plainAnswer); err == nil {
		c.linger.Store(true)
	}
}

// looksLikeHTTP reports whether the first bytes are those of a method.
func looksLikeHTTP(first [5]byte) bool {
	switch string(first[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		return true
	default:
		return false
	}
}

// fail counts a failed handshake, and logs one of them each second.
func (h *handshakes) fail(c *conn, err error) {
	h.failed.Add(1)
	n := h.unreported.Add(1)
	now, said := time.Now().Unix(), h.said.Load()
	if now == said || !h.said.CompareAndSwap(said, now) {
		return
	}
	h.unreported.Add(-n)
	h.log.Info("TLS handshake failed", zap.Stringer("remote", c.RemoteAddr()), zap.String("error", front.Printable(err.Error())), zap.Int64("failed", n))
}

// Read reads what the caller sent.
func (c *secureConn) Read(p []byte) (int, error) {
	if c.failed {
		return 0, io.EOF
	}
	return c.Conn.Read(p)
}

// Close tells the caller that the connection ends, and closes it. A caller that reads
// nothing does not hold it up.
func (c *secureConn) Close() error {
	cut := time.AfterFunc(goodbye, func() { _ = c.raw.Conn.Close() })
	_ = c.CloseWrite()
	cut.Stop()
	return c.raw.Close()
}
