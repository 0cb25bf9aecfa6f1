package mlflow

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Options configure a Client. URL and Timeout are required.
type Options struct {
	URL            string // of the tracking server, http or https, without /api
	Token          string // a bearer token; empty for none
	User, Password string // for basic authentication, if there is no token
	CA             string // a file of root certificates, PEM; empty for those of the system
	// Timeout is the max time of a call, and the max time without a byte of an artifact.
	Timeout time.Duration
	// Hosts are the hosts of artifact servers besides the tracking server, as HOST or HOST:PORT. They get no credentials.
	Hosts []string
	// Roots are folders of this machine that artifacts may be read from, if they are not on a server.
	Roots []string
}

// Client reads from one tracking server. Its methods may be called from any goroutine.
type Client struct {
	opts Options
	base *url.URL
	http *http.Client
}

// New returns a client. It asks nothing yet. It fails if the URL is not valid, or the file of certificates cannot be read.
func New(o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(o.URL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("mlflow: expected a URL that begins with http:// or https://")
	}
	const maxHeader = 64 << 10
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
		DisableKeepAlives: true, // imports are rare
	}
	if o.CA != "" {
		text, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("mlflow: the root certificates cannot be read: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("mlflow: %s has no certificate in PEM", o.CA)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &Client{opts: o, base: base, http: &http.Client{
		Transport: transport,
		// The server could send the gateway, and its credentials, anywhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Find returns the model that a reference names. Close must be called.
//
// Errors: Invalid for a text that is not a reference, a version without an ONNX model, and artifacts at a place that
// the gateway does not read; NotFound; Conflict for a version that is not ready; Unavailable if the server is down, slow,
// or answers what no MLflow server answers.
func (c *Client) Find(ctx context.Context, reference string) (*Model, error) {
	ref, err := ParseReference(reference)
	if err != nil {
		return nil, err
	}
	v, err := c.version(ctx, ref)
	if err != nil {
		return nil, err
	}
	if v.Status != "" && v.Status != "READY" {
		return nil, infer.Errorf(infer.Conflict, "MLflow says that %s is %s, expected READY", ref, quote(v.Status))
	}
	number, ok := infer.ParseVersion(v.Version)
	if !ok || v.Name != ref.Name || ref.Alias == "" && number != ref.Version {
		return nil, strange("it answered with version %s of model %s to a question about %s", quote(v.Version), quote(v.Name), ref)
	}
	ref = Reference{Name: ref.Name, Version: number}
	run, err := c.runOf(ctx, v.RunID)
	if err != nil {
		return nil, err
	}
	at, err := c.artifacts(ctx, ref)
	if err != nil {
		return nil, err
	}
	m := &Model{Reference: ref, Metadata: metadata(c.page(ref), v, run), files: at}
	if m.File, err = modelFile(ctx, at); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// page returns the address of a version's page.
func (c *Client) page(ref Reference) string {
	u := url.URL{Scheme: c.base.Scheme, Host: c.base.Host, Path: c.base.Path + "/"}
	return fmt.Sprintf("%s#/models/%s/versions/%d", u.String(), url.PathEscape(ref.Name), ref.Version)
}
