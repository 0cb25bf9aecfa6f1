package mlflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"sluice.io/sluice/internal/infer"
)

// The max sizes of what is read of an answer, in bytes.
const (
	maxAnswer = 8 << 20
	maxReason = 16 << 10
	maxQuoted = 200
)

// version is a version of a registered model, as the server describes it. Only what is used is listed.
type version struct {
	Name        string   `json:"name"`
	Version     string   `json:"version"`
	Description string   `json:"description"`
	RunID       string   `json:"run_id"`
	Status      string   `json:"status"`
	Tags        []pair   `json:"tags"`
	Metrics     []metric `json:"metrics"`
	Params      []pair   `json:"params"`
}

// run is a training run.
type run struct {
	Data struct {
		Metrics []metric `json:"metrics"`
		Params  []pair   `json:"params"`
		Tags    []pair   `json:"tags"`
	} `json:"data"`
	Inputs struct {
		Datasets []struct {
			Dataset struct {
				Name   string `json:"name"`
				Digest string `json:"digest"`
			} `json:"dataset"`
		} `json:"dataset_inputs"`
	} `json:"inputs"`
}

type pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type metric struct {
	Key   string `json:"key"`
	Value number `json:"value"`
}

// number is a number, which the server writes as a text if it is not finite.
type number float64

// UnmarshalJSON implements json.Unmarshaler. What is not a number becomes NaN.
func (n *number) UnmarshalJSON(text []byte) error {
	x, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 64)
	if err != nil {
		x = math.NaN()
	}
	*n = number(x)
	return nil
}

// version asks for the version that a reference names.
func (c *Client) version(ctx context.Context, ref Reference) (*version, error) {
	var answer struct {
		Version *version `json:"model_version"`
	}
	path, query := "model-versions/get", url.Values{"name": {ref.Name}}
	if ref.Alias != "" {
		path = "registered-models/alias"
		query.Set("alias", ref.Alias)
	} else {
		query.Set("version", strconv.FormatInt(ref.Version, 10))
	}
	if err := c.ask(ctx, "/api/2.0/mlflow/"+path, query, &answer); err != nil {
		return nil, err
	}
	if answer.Version == nil {
		return nil, strange("it answered without a version")
	}
	return answer.Version, nil
}

// runOf asks for a run. It is empty if id is, or if the run is gone.
func (c *Client) runOf(ctx context.Context, id string) (*run, error) {
	var answer struct {
		Run run `json:"run"`
	}
	if id == "" {
		return &answer.Run, nil
	}
	err := c.ask(ctx, "/api/2.0/mlflow/runs/get", url.Values{"run_id": {id}}, &answer)
	if infer.CodeOf(err) == infer.NotFound {
		err = nil
	}
	return &answer.Run, err
}

// place asks where the artifacts of a version are.
func (c *Client) place(ctx context.Context, ref Reference) (string, error) {
	var answer struct {
		URI string `json:"artifact_uri"`
	}
	query := url.Values{"name": {ref.Name}, "version": {strconv.FormatInt(ref.Version, 10)}}
	err := c.ask(ctx, "/api/2.0/mlflow/model-versions/get-download-uri", query, &answer)
	return answer.URI, err
}

// ask sends a question to the tracking server, and decodes the answer.
func (c *Client) ask(ctx context.Context, path string, query url.Values, into any) error {
	at := *c.base
	at.Path += path
	at.RawQuery = query.Encode()
	return c.decode(ctx, &at, into)
}

// decode gets a JSON document within the timeout.
func (c *Client) decode(ctx context.Context, at *url.URL, into any) error {
	body, _, err := c.get(ctx, at)
	if err != nil {
		return err
	}
	defer body.Close() //nolint:errcheck // only read
	body.timer.Stop()  // the whole answer must arrive in time
	end := time.AfterFunc(c.opts.Timeout, body.cancel)
	defer end.Stop()
	body.timer = nil
	text, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	switch {
	case err != nil:
		return err
	case len(text) > maxAnswer:
		return strange("its answer to %s has more than %d bytes", at.Path, maxAnswer)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return strange("its answer to %s is not the expected JSON; is registry.mlflow.url the address of a tracking server?", at.Path)
	}
	return nil
}

// get sends a request. The caller closes the body, of which each part must arrive in time. size is negative if it is not known.
func (c *Client) get(ctx context.Context, at *url.URL) (_ *body, size int64, err error) {
	within, cancel := context.WithCancel(ctx)
	b := &body{timer: time.AfterFunc(c.opts.Timeout, cancel), patience: c.opts.Timeout, cancel: cancel, caller: ctx}
	defer func() {
		if err != nil {
			b.timer.Stop()
			cancel()
		}
	}()
	req, err := http.NewRequestWithContext(within, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, 0, strange("it named an address that is not valid")
	}
	req.Header.Set("Accept", "*/*")
	if at.Host == c.base.Host && at.Scheme == c.base.Scheme {
		c.authorize(req)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, 0, b.failed(err)
	}
	if resp.StatusCode == http.StatusOK {
		b.from = resp.Body
		return b, resp.ContentLength, nil
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	return nil, 0, refused(resp)
}

func (c *Client) authorize(req *http.Request) {
	switch {
	case c.opts.Token != "":
		req.Header.Set("Authorization", "Bearer "+c.opts.Token)
	case c.opts.User != "":
		req.SetBasicAuth(c.opts.User, c.opts.Password)
	}
}

// refused returns the error for an answer other than 200.
func refused(resp *http.Response) error {
	var reason struct {
		Code    string `json:"error_code"`
		Message string `json:"message"`
	}
	if resp.StatusCode >= http.StatusBadRequest { // of others, the body may be the connection itself
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxReason)) // a part is enough, if there is one
		_ = json.Unmarshal(text, &reason)
	}
	message := ""
	if reason.Message != "" {
		message = ": " + quote(reason.Message)
	}
	switch status := resp.StatusCode; {
	case status == http.StatusNotFound && reason.Code == "":
		return strange("it does not know the path %s; is registry.mlflow.url the address of a tracking server?", resp.Request.URL.Path)
	case status == http.StatusNotFound, reason.Code == "RESOURCE_DOES_NOT_EXIST":
		return infer.Errorf(infer.NotFound, "the MLflow server does not have it%s", message)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return infer.Errorf(infer.Unavailable, "the MLflow server refuses the gateway with %d%s: check token, user and password in registry.mlflow", status, message)
	case status == http.StatusBadRequest:
		return infer.Errorf(infer.Invalid, "the MLflow server refuses the request%s", message)
	case status >= http.StatusMultipleChoices && status < http.StatusBadRequest:
		return strange("it redirects to %s; redirects are not followed, so configure the final address in registry.mlflow.url", quote(resp.Header.Get("Location")))
	default:
		return infer.Errorf(infer.Unavailable, "the MLflow server answered %d%s", status, message)
	}
}

// strange returns the error for an answer that a tracking server does not give.
func strange(format string, args ...any) error {
	return infer.Errorf(infer.Unavailable, "the MLflow server cannot be used: %s", fmt.Sprintf(format, args...))
}

// quote returns the beginning of a server's text in quotes, without control characters.
func quote(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), maxQuoted)], " "))
	return strconv.Quote(strings.TrimSpace(text))
}

// body is the body of an answer.
type body struct {
	from     io.ReadCloser
	timer    *time.Timer // calls cancel; nil if something else does
	patience time.Duration
	cancel   context.CancelFunc
	caller   context.Context //nolint:containedctx // tells whose time is over
}

// Read implements io.Reader. Each call must get something in time. Errors are *infer.Error.
func (b *body) Read(p []byte) (int, error) {
	if b.timer != nil {
		b.timer.Reset(b.patience)
		defer b.timer.Stop() // what is done with the bytes may take any time
	}
	n, err := b.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.failed(err)
	}
	return n, err
}

// Close ends the request.
func (b *body) Close() error {
	if b.timer != nil {
		b.timer.Stop()
	}
	b.cancel()
	return b.from.Close()
}

// failed returns the error for a request that failed.
func (b *body) failed(err error) error {
	msg := "the MLflow server cannot be reached, or ended the connection"
	switch {
	case b.caller.Err() != nil:
		return &infer.Error{Code: infer.CodeOf(b.caller.Err()), Msg: "the import was ended before it was done", Err: b.caller.Err()}
	case errors.Is(err, context.Canceled):
		msg = fmt.Sprintf("the MLflow server did not answer within %v, or sent nothing for so long (registry.mlflow.timeout)", b.patience)
	case errors.Is(err, io.ErrUnexpectedEOF):
		msg = "the MLflow server's answer is cut off"
	}
	return &infer.Error{Code: infer.Unavailable, Op: "mlflow: get", Msg: msg, Err: err}
}
