package jwt

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The times after which keys are fetched again, as the header Cache-Control says, and without it.
const (
	minFresh     = time.Minute
	maxFresh     = time.Hour
	defaultFresh = 10 * time.Minute
)

const (
	maxRedirects   = 3
	maxHeaderBytes = 64 << 10
)

// remote is a key set at a URL.
type remote struct {
	url    string
	client *http.Client

	digest         [sha256.Size]byte // of the last key set
	etag, modified string            // of the last answer with one
}

func newRemote(at string, transport http.RoundTripper) *remote {
	return &remote{url: at, client: &http.Client{Transport: transport, CheckRedirect: checkRedirect}}
}

// newTransport returns what fetches. Fetches are rare, so each has its own connection.
func newTransport() *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeaderBytes, Protocols: new(http.Protocols)}
	t.Protocols.SetHTTP1(true)
	return t
}

// checkRedirect lets a server move its keys, but not to where others could change them, nor to
// services of this machine.
func checkRedirect(to *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if !allowed(to.URL) || to.URL.Scheme == "http" && via[0].URL.Scheme == "https" {
		return errors.New("a redirect to a URL that is not https")
	}
	return nil
}

func (r *remote) load(ctx context.Context) (*keySet, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, http.NoBody)
	if err != nil {
		return nil, 0, plain(err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	if r.etag != "" {
		req.Header.Set("If-None-Match", r.etag)
	}
	if r.modified != "" {
		req.Header.Set("If-Modified-Since", r.modified)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, 0, plain(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	fresh := freshness(resp.Header.Get("Cache-Control"))
	switch resp.StatusCode {
	case http.StatusNotModified:
		if r.etag == "" && r.modified == "" {
			return nil, 0, errors.New("the server answered 304 to a request without a condition")
		}
		return nil, fresh, nil
	case http.StatusOK:
	default:
		return nil, 0, fmt.Errorf("the server answered %d, expected 200", resp.StatusCode)
	}
	text, err := readAll(resp.Body)
	if err != nil {
		return nil, 0, plain(err)
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, 0, err
	}
	r.etag, r.modified = resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")
	return changed(&r.digest, text, keys), fresh, nil
}

// readAll reads a key set.
func readAll(from io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxKeysBytes+1))
	if err == nil && len(text) > maxKeysBytes {
		return nil, fmt.Errorf("the key set has more than %d bytes", maxKeysBytes)
	}
	return text, err
}

// changed returns the keys, or nil if their text has the digest of the last one.
func changed(last *[sha256.Size]byte, text []byte, keys *keySet) *keySet {
	digest := sha256.Sum256(text)
	if digest == *last {
		return nil
	}
	*last = digest
	return keys
}

// plain returns the cause of an error of net/http without the URL.
func plain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the server did not answer within %s", fetchTimeout)
	}
	return err
}

// freshness returns the time for which an answer may be used, within bounds.
func freshness(cacheControl string) time.Duration {
	fresh := defaultFresh
	for directive := range strings.SplitSeq(cacheControl, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return minFresh
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31) // the largest if it is larger
			if errors.Is(err, strconv.ErrSyntax) {
				continue
			}
			fresh = min(max(time.Duration(seconds)*time.Second, minFresh), maxFresh)
		}
	}
	return fresh
}
