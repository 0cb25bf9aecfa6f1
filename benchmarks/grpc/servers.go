package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"google.golang.org/grpc"

	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// server is a process that is asked.
type server struct {
	process    *process.Server
	http, grpc string // addresses
	tls        bool
	key        string // of a caller; empty: requests have none
}

// setup is how a gateway is started.
type setup struct {
	name    string // of its sides
	program string
	tls     bool
	key     string // that its requests have
	config  string // more of the configuration
}

const key = "sluice_the-key-of-a-benchmark"

// setups are the gateways that are measured. Each of the others has one thing that the first does not have.
func setups(o *options) []setup {
	caller := fmt.Sprintf("callers: {bench: {keys: [\"sha256:%x\"], allow: [{models: [\"*\"], actions: [infer, metadata]}]", sha256.Sum256([]byte(key)))
	list := []setup{
		{name: "gateway"},
		{name: "gateway again"}, // the difference is the noise
		{name: "gateway, TLS", tls: true},
		{name: "gateway, key", key: key, config: caller + "}}\n"},
		{
			name: "gateway, key and limits", key: key,
			config: caller + ", limits: [{models: [\"*\"], requests_per_second: 1e9, burst: 1000000000, rows_per_second: 1e9, bytes_in_flight: 512MiB}]}}\n",
		},
		{name: "gateway, idle tracing", config: "tracing: {exporter: otlp, endpoint: \"http://127.0.0.1:9\", sample: 0}\n"},
	}
	for i := range list {
		list[i].program = o.program
	}
	if o.before != "" {
		list = append(list, setup{name: "before", program: o.before})
	}
	return list
}

// start starts a gateway.
func (u *setup) start(ctx context.Context, dir, repository string) (*server, error) {
	folder, err := os.MkdirTemp(dir, "gateway")
	if err != nil {
		return nil, err
	}
	s, section, admin := &server{tls: u.tls, key: u.key}, "", ""
	if u.tls {
		section, err = certificate(folder)
	}
	if err := errors.Join(err, free(&s.http, &s.grpc, &admin)); err != nil {
		return nil, err
	}
	grpc := fmt.Sprintf(", grpc: {address: %q%s}", s.grpc, section)
	file := filepath.Join(folder, "sluice.yaml")
	config := fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: %q%s, read_timeout: 1h, idle_timeout: 1h}%s, access_log: {sample_every: 1000}}\nadmin: {address: %q}\n%s",
		repository, s.http, section, grpc, admin, u.config)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	s.process, err = process.Launch(ctx, process.Spec{Command: []string{u.program, "serve", "-c", file}, Ready: "http://" + admin + "/-/ready"})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u.name, err)
	}
	return s, nil
}

// free sets addresses that are free, each another one.
func free(addresses ...*string) error {
	for _, a := range addresses {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close() //nolint:errcheck // once all are taken
		*a = l.Addr().String()
	}
	return nil
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

// startEcho starts this program as the server that answers a constant.
func startEcho(ctx context.Context, size int) (*server, error) {
	s := &server{}
	program, err := os.Executable()
	if err := errors.Join(err, free(&s.grpc, &s.http)); err != nil {
		return nil, err
	}
	s.process, err = process.Launch(ctx, process.Spec{
		Command: []string{program, "-echo", s.grpc, "-ready", s.http, "-size", strconv.Itoa(size)}, Ready: "http://" + s.http + "/",
	})
	return s, err
}

// serveEcho is that server: grpc-go with its defaults, whose codec neither reads nor writes fields.
func serveEcho(address, ready string, size int) error {
	answer := make([]byte, size)
	desc := grpc.ServiceDesc{
		ServiceName: pb.GRPCInferenceService_ServiceDesc.ServiceName, HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "ModelInfer",
			Handler: func(_ any, _ context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				var request []byte
				return &answer, read(&request)
			},
		}},
		Streams: []grpc.StreamDesc{{
			StreamName: "ModelStreamInfer", ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, st grpc.ServerStream) error {
				var request []byte
				for {
					if err := st.RecvMsg(&request); err != nil {
						return nil //nolint:nilerr // the caller has ended the stream
					}
					if err := st.SendMsg(&answer); err != nil {
						return err
					}
				}
			},
		}},
	}
	s := grpc.NewServer(grpc.ForceServerCodecV2(raw{}))
	s.RegisterService(&desc, struct{}{})
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() { // it ends with the process
		_ = http.ListenAndServe(ready, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) //nolint:gosec // of this machine
	}()
	return s.Serve(l)
}
