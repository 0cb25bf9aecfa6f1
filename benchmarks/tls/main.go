// Command tls measures what TLS costs a request: two gateways, one of them with TLS, are asked in
// turn over connections that are kept. It prints requests per second and the gateway's CPU time
// for each request, medians over the rounds, and their ratios.
//
//	cd benchmarks && go run ./tls -gateway ../bin/gateway -rounds 7
package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice.io/sluice/benchmarks/models"
	"sluice.io/sluice/benchmarks/process"
)

func main() {
	gateway := flag.String("gateway", "../bin/gateway", "the program")
	model := flag.String("model", "lin", "one of benchmarks/models")
	conns := flag.Int("c", 32, "connections, each with one request in flight")
	rounds := flag.Int("rounds", 7, "how often each gateway is measured")
	duration := flag.Duration("d", 2*time.Second, "the time of a round")
	flag.Parse()
	if err := run(context.Background(), *gateway, *model, *conns, *rounds, *duration); err != nil {
		fmt.Fprintln(os.Stderr, "tls:", err)
		os.Exit(1)
	}
}

// side is one of the two gateways.
type side struct {
	name    string
	gateway *process.Server
	conns   []net.Conn
	rates   []float64 // requests a second, by round
	cpu     []float64 // µs of a request, by round
}

func run(ctx context.Context, program, model string, conns, rounds int, duration time.Duration) error {
	dir, err := os.MkdirTemp("", "sluice-tls")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	m := models.ByName(model)
	repository, err := process.Repository(dir, process.Version{Graph: m.Graph(), Number: 1})
	if err != nil {
		return err
	}
	section, err := certificate(dir)
	if err != nil {
		return err
	}
	request := inference(m)
	plain, err := newSide(ctx, program, dir, repository, "plain", "", conns)
	if err != nil {
		return err
	}
	defer plain.gateway.Stop() //nolint:errcheck // nothing depends on it
	encrypted, err := newSide(ctx, program, dir, repository, "tls", section, conns)
	if err != nil {
		return err
	}
	defer encrypted.gateway.Stop() //nolint:errcheck // nothing depends on it
	for round := range rounds + 1 {
		for _, s := range []*side{plain, encrypted} {
			if err := s.measure(request, duration, round > 0); err != nil { // the first round warms up
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	for _, s := range []*side{plain, encrypted} {
		fmt.Printf("%-5s %8.0f requests/s %6.1f µs of CPU a request\n", s.name, median(s.rates), median(s.cpu))
	}
	fmt.Printf("ratio %8.2f %25.2f\n", median(encrypted.rates)/median(plain.rates), median(encrypted.cpu)/median(plain.cpu))
	return nil
}

// newSide starts a gateway and connects to it.
func newSide(ctx context.Context, program, dir, repository, name, section string, conns int) (*side, error) {
	folder := filepath.Join(dir, name)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, err
	}
	address, err := process.FreeAddress()
	admin, err2 := process.FreeAddress()
	config, file := fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: %q%s}, access_log: {sample_every: 1000}}\nadmin: {address: %q}\n",
		repository, address, section, admin), filepath.Join(folder, "sluice.yaml")
	if err := errors.Join(err, err2, os.WriteFile(file, []byte(config), 0o600)); err != nil {
		return nil, err
	}
	g, err := process.Launch(ctx, process.Spec{Command: []string{program, "serve", "-c", file}, Ready: "http://" + admin + "/-/ready"})
	if err != nil {
		return nil, err
	}
	s := &side{name: name, gateway: g}
	for range conns {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return nil, errors.Join(err, g.Stop())
		}
		if section != "" {
			c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // of this program
		}
		s.conns = append(s.conns, c)
	}
	return s, nil
}

// measure sends requests on all connections for a time.
func (s *side) measure(request string, d time.Duration, counted bool) error {
	before, err := s.gateway.OwnUsage()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	var n atomic.Int64
	failures := make(chan error, len(s.conns))
	begun := time.Now()
	for _, c := range s.conns {
		wg.Go(func() {
			r := bufio.NewReader(c)
			for time.Since(begun) < d {
				if err := once(c, r, request); err != nil {
					failures <- err
					return
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	took := time.Since(begun)
	after, err := s.gateway.OwnUsage()
	close(failures)
	if err := errors.Join(err, <-failures); err != nil || !counted {
		return err
	}
	s.rates = append(s.rates, float64(n.Load())/took.Seconds())
	s.cpu = append(s.cpu, float64((after.CPU-before.CPU).Microseconds())/float64(n.Load()))
	return nil
}

// once sends a request and reads its answer.
func once(c io.Writer, r *bufio.Reader, request string) error {
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	return err
}

// inference is a request of one row with a binary tensor.
func inference(m models.Model) string {
	n, dims := int64(4), make([]string, len(m.Shape))
	for i, d := range m.Shape {
		n *= d
		dims[i] = strconv.FormatInt(d, 10)
	}
	head := fmt.Sprintf(`{"inputs":[{"name":%q,"shape":[%s],"datatype":"FP32","parameters":{"binary_data_size":%d}}],"parameters":{"binary_data_output":true}}`,
		models.Input, strings.Join(dims, ","), n)
	return fmt.Sprintf("POST /v2/models/%s/infer HTTP/1.1\r\nHost: gateway\r\nInference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n%s%s",
		m.Name, len(head), int64(len(head))+n, head, make([]byte, n))
}

// certificate writes a certificate with its key, and returns the setting that names them.
func certificate(dir string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(60 * 24 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	keyDER, err2 := x509.MarshalECPrivateKey(key)
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	err = errors.Join(err, err2,
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
	return fmt.Sprintf(", tls: {cert: %q, key: %q}", certFile, keyFile), err
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}
