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
	"path/filepath"
	"strconv"
	"strings"

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

// StartGateway starts one with a configuration, with HTTPAddress and AdminAddress in place
// of its addresses, which is written into dir, and waits until ready, a path, answers 200.
func StartGateway(ctx context.Context, program, dir, config, ready string, cpus []int) (*Gateway, error) {
	http, err := FreeAddress()
	admin, err2 := FreeAddress()
	file := filepath.Join(dir, "sluice.yaml")
	text := strings.NewReplacer(HTTPAddress, http, AdminAddress, admin).Replace(config)
	if err := errors.Join(err, err2, os.WriteFile(file, []byte(text), 0o600)); err != nil {
		return nil, err
	}
	server, err := Launch(ctx, Spec{Command: []string{program, "serve", "-c", file}, Ready: "http://" + http + ready, CPUs: cpus})
	return &Gateway{server, http, admin, file}, err
}

// Ready is the path that answers 200 when all models can be asked.
const Ready = "/v2/health/ready"

// URL is where its models are asked.
func (g *Gateway) URL() string { return "http://" + g.HTTP }

// AdminURL is where it is controlled.
func (g *Gateway) AdminURL() string { return "http://" + g.Admin }

// Ask makes a call and returns the answer's body and headers; another status than 200 is an
// error.
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

// Metrics asks the gateway for its metrics.
func (g *Gateway) Metrics(ctx context.Context) (Metrics, error) {
	text, _, err := Ask(ctx, http.MethodGet, g.AdminURL()+"/metrics", "", nil)
	m := Metrics{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); err == nil && lines.Scan(); {
		if line := lines.Text(); !strings.HasPrefix(line, "#") {
			at := strings.LastIndexByte(line, ' ')
			m[line[:at]], err = strconv.ParseFloat(line[at+1:], 64)
		}
	}
	return m, err
}

// Sum adds up the series of a name; only those with a label, as `model="lin"`, unless it is
// empty.
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
