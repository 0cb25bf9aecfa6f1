package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
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
}

// startGateway starts a gateway.
func startGateway(ctx context.Context, program, dir, repository string, secure bool) (*server, error) {
	s, name, section := &server{tls: secure}, "plain", ""
	var err error
	if secure {
		name = "tls"
		section, err = certificate(dir)
	}
	folder := filepath.Join(dir, name)
	admin := ""
	for _, address := range []*string{&s.http, &s.grpc, &admin} {
		var err2 error
		*address, err2 = process.FreeAddress()
		err = errors.Join(err, err2)
	}
	file := filepath.Join(folder, "sluice.yaml")
	config := fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: %q%s}, grpc: {address: %q%s}, access_log: {sample_every: 1000}}\nadmin: {address: %q}\n",
		repository, s.http, section, s.grpc, section, admin)
	if err := errors.Join(err, os.Mkdir(folder, 0o700)); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	s.process, err = process.Launch(ctx, process.Spec{Command: []string{program, "serve", "-c", file}, Ready: "http://" + admin + "/-/ready"})
	return s, err
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
	var err, err2 error
	s.grpc, err = process.FreeAddress()
	s.http, err2 = process.FreeAddress()
	program, err3 := os.Executable()
	if err := errors.Join(err, err2, err3); err != nil {
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
