package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/internal/testing/onnxgen"
)

// The addresses of a gateway, as its configuration names them before it is started.
const (
	HTTPAddress  = "http.invalid:1"
	AdminAddress = "admin.invalid:1"
)

// Gateway is one that runs in a process of its own.
type Gateway struct {
	*Server
	HTTP, Admin string // addresses
	File        string // its configuration
}

// GatewaySpec is a gateway to be started.
type GatewaySpec struct {
	Program string
	File    string // its configuration is written to it
	Config  string // its text, with HTTPAddress and AdminAddress in place of its addresses
	Ready   string // the path that answers 200 once it is ready; empty: /v2/health/ready
	CPUs    []int
	Timeout time.Duration
}

// StartGateway starts one and waits until it is ready.
func StartGateway(ctx context.Context, s GatewaySpec) (*Gateway, error) {
	free, err := FreeAddresses(2)
	if err != nil {
		return nil, err
	}
	text := strings.NewReplacer(HTTPAddress, free[0], AdminAddress, free[1]).Replace(s.Config)
	if err := os.WriteFile(s.File, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if s.Ready == "" {
		s.Ready = "/v2/health/ready"
	}
	server, err := Launch(ctx, Spec{
		Command: []string{s.Program, "serve", "-c", s.File}, Ready: "http://" + free[0] + s.Ready, CPUs: s.CPUs, Timeout: s.Timeout,
	})
	if err != nil {
		return nil, err
	}
	return &Gateway{server, free[0], free[1], s.File}, nil
}

// URL is where its models are asked.
func (g *Gateway) URL() string { return "http://" + g.HTTP }

// AdminURL is where it is controlled.
func (g *Gateway) AdminURL() string { return "http://" + g.Admin }

// Metrics asks the gateway for its metrics.
func (g *Gateway) Metrics(ctx context.Context) (Metrics, error) {
	text, _, err := Ask(ctx, http.MethodGet, g.AdminURL()+"/metrics", "", nil)
	if err != nil {
		return nil, err
	}
	return ParseMetrics(text)
}

// Ask makes a call and returns the answer's body and headers; another status than 200
// is an error.
func Ask(ctx context.Context, method, url, body string, header http.Header) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(req.Header, header)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s %.500s", method, url, resp.Status, text)
	}
	return text, resp.Header, err
}

// Metrics are series with their values, as "name" or `name{label="value"}`.
type Metrics map[string]float64

// ParseMetrics reads what a gateway says.
func ParseMetrics(text []byte) (Metrics, error) {
	m := Metrics{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || at < 0 {
			continue
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metrics: %q: %w", line, err)
		}
		m[line[:at]] = v
	}
	return m, lines.Err()
}

// Sum adds up the series of a name; only those with a label, as `model="lin"`, unless it
// is empty.
func (m Metrics) Sum(name, label string) (sum float64) {
	for series, v := range m {
		of, labels, _ := strings.Cut(series, "{")
		if of == name && strings.Contains(labels, label) {
			sum += v
		}
	}
	return sum
}

// Version is a model in a repository.
type Version struct {
	*onnxgen.Graph
	Number int64
}

// Repository makes a folder below dir with models in it.
func Repository(dir string, list ...Version) (string, error) {
	own, err := os.MkdirTemp(dir, "gateway-")
	for _, v := range list {
		err = errors.Join(err, v.Write(own, v.Number))
	}
	return own, err
}
