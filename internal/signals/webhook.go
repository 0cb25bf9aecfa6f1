package signals

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// The max sizes of the parts of an answer that are read.
const (
	maxAnswerBytes = 64 << 10
	maxHeaderBytes = 64 << 10
	maxQuotedBytes = 200 // of a receiver's text in an error
)

// WebhookOptions configure a Webhook.
type WebhookOptions struct {
	URL     string      // http or https
	Secret  []byte      // the key of the signature
	Source  string      // the CloudEvents' source, a URI reference
	Version string      // the gateway's version, for the header User-Agent; may be empty
	Logger  *zap.Logger // may be nil
	// Token returns the token for the trainer that a request for retraining is sent to, "" for none. It is not called if others on the
	// network could read it. It may be nil.
	Token func(s *api.SignalData) (string, error)
}

// Webhook is a Sink that posts CloudEvents to a URL.
type Webhook struct {
	url    string
	secret atomic.Pointer[[]byte]
	source string
	agent  string
	client *http.Client
	token  func(s *api.SignalData) (string, error) // nil: none is sent
}

// NewWebhook checks the options. It does not connect. It fails with Invalid.
func NewWebhook(o WebhookOptions) (*Webhook, error) {
	to, err := url.Parse(o.URL)
	switch {
	case err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https":
		return nil, infer.Errorf(infer.Invalid, "webhook: expected a URL that begins with https:// or http:// and a host")
	case len(o.Secret) == 0:
		return nil, infer.Errorf(infer.Invalid, "webhook: the secret for the signature is missing")
	}
	if _, err := url.Parse(o.Source); err != nil || o.Source == "" {
		return nil, infer.Errorf(infer.Invalid, "webhook: the source: expected a URI reference, got %.100q", o.Source)
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if to.Scheme == "http" && !loopback(to.Hostname()) {
		o.Logger.Warn("the webhook's URL is plain http: others on the network can read signals, but cannot forge them; use https", zap.String("host", to.Host))
	}
	agent := "sluice"
	if o.Version != "" {
		agent += "/" + o.Version
	}
	// Deliveries are rare, so each has its own connection. On a kept connection, the client
	// might send a request twice by itself.
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, DisableCompression: true,
		MaxResponseHeaderBytes: maxHeaderBytes, Protocols: new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(true)
	if to.Scheme == "http" && !loopback(to.Hostname()) {
		o.Token = nil
	}
	w := &Webhook{
		token: o.Token, url: o.URL, source: o.Source, agent: agent,
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	w.SetSecret(o.Secret)
	return w, nil
}

// SetSecret changes the key of the signature. It must not be empty.
func (w *Webhook) SetSecret(secret []byte) {
	secret = bytes.Clone(secret)
	w.secret.Store(&secret)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Deliver posts a signal once. Only a 2xx is a success. The rest of the answer after the
// status does not matter. wait is the time in the header Retry-After, or 0.
func (w *Webhook) Deliver(ctx context.Context, s api.SignalData) (wait time.Duration, err error) {
	token := ""
	if w.token != nil && s.Type == api.TypeRetrainRequested {
		if token, err = w.token(&s); err != nil {
			return 0, fmt.Errorf("no token for the trainer: %w", err)
		}
	}
	body, err := encode(s, w.source, token)
	if err != nil {
		return 0, err
	}
	return w.post(ctx, body, token)
}

// DeliverEvent implements EventSink, as Deliver does for signals.
func (w *Webhook) DeliverEvent(ctx context.Context, e api.Event) (wait time.Duration, err error) {
	body, err := encodeEvent(e, w.source)
	if err != nil {
		return 0, err
	}
	return w.post(ctx, body, "")
}

// post posts a body. An error does not quote secret.
func (w *Webhook) post(ctx context.Context, body []byte, secret string) (wait time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return 0, plain(err)
	}
	now := time.Now()
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", w.agent)
	req.Header.Set(SignatureHeader, Sign(*w.secret.Load(), now, body))
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, plain(err)
	}
	defer resp.Body.Close() //nolint:errcheck // the rest is not needed
	switch status := resp.StatusCode; {
	case status < 200: // its body is the connection itself, which has no end
		return 0, fmt.Errorf("the receiver answered %d", status)
	case status < 300:
		return 0, nil // without reading the body, so that the delivery is in the journal soon
	case status < 400:
		return 0, fmt.Errorf("the receiver answered %d, a redirect to %s; redirects are not followed, so configure the final URL",
			status, quote(hide(resp.Header.Get("Location"), secret)))
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes)) // a part of it is enough
	return retryAfter(resp.Header.Get("Retry-After"), now), fmt.Errorf("the receiver answered %d: %s", resp.StatusCode, quote(hide(string(text), secret)))
}

// hide returns a text without a secret.
func hide(text, secret string) string {
	if secret == "" {
		return text
	}
	return strings.ReplaceAll(text, secret, "…")
}

// plain returns the cause of an error of net/http, without the URL, which may have a token.
func plain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("the receiver did not answer in time")
	}
	return err
}

// quote returns the beginning of a receiver's text in quotes, without control characters.
func quote(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s[:min(len(s), maxQuotedBytes)], " "))
	return strconv.Quote(strings.TrimSpace(s))
}

// retryAfter returns the time in a header Retry-After, which has seconds or a date. It
// returns 0 if there is none, and at most a day.
func retryAfter(text string, now time.Time) time.Duration {
	const most = 24 * time.Hour
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, most)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), most)
	}
	return 0
}
