package grpcclient_test

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/client/grpcclient"
	"sluice.io/sluice/internal/testing/pki"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

func TestOptions(t *testing.T) {
	f := func(o grpcclient.Options, want string) {
		t.Helper()
		c, err := grpcclient.New(o)
		if want == "" {
			if err != nil {
				t.Errorf("%+v: %v", o, err)
			} else if err := c.Close(); err != nil {
				t.Error(err)
			}
			return
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v gives %v, want %q", o, err, want)
		}
	}
	for _, address := range []string{"", ":8001", "gpu-1:8001", "[::1]:8001", "http://h:1", "https://h:1/"} {
		f(grpcclient.Options{Address: address}, "")
	}
	for _, address := range []string{"host", "ftp://h:1", "https://", "https://h", "http://h:1/path", "host:"} {
		f(grpcclient.Options{Address: address}, "is not a valid address")
	}
	f(grpcclient.Options{Address: "h:1", TLS: &tls.Config{}}, "")
	f(grpcclient.Options{Address: "http://h:1", TLS: &tls.Config{}}, "https://")
	f(grpcclient.Options{Token: "from-a-file\n"}, "token: ")
	f(grpcclient.Options{Actor: "Zoë"}, "actor: ")
	f(grpcclient.Options{Sticky: api.Sticky{Header: "a", Parameter: "b"}}, "got both")
	f(grpcclient.Options{Keepalive: -1}, "negative")
}

func TestHealth(t *testing.T) {
	g := &gateway{}
	c := g.connect(t, grpcclient.Options{Token: "key", Actor: "carol"})
	if err := errors.Join(c.Live(t.Context()), c.ModelReady(t.Context(), "iris", 2), c.Load(t.Context(), "iris"), c.Unload(t.Context(), "iris")); err != nil {
		t.Error(err)
	}
	for _, err := range []error{c.Ready(t.Context()), c.ModelReady(t.Context(), "absent", 0)} {
		if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != 503 || !strings.HasSuffix(e.Message, "is not ready") {
			t.Errorf("got %v", err)
		}
	}
	calls := g.asked()
	if len(calls) != 6 || calls[1].message.(*pb.ModelReadyRequest).GetVersion() != "2" {
		t.Errorf("%v", calls)
	}
	for i, call := range calls {
		if call.metadata.Get("authorization")[0] != "Bearer key" {
			t.Errorf("call %d has no token", i)
		}
		if _, change := map[int]bool{2: true, 3: true}[i]; change != (len(call.metadata.Get("sluice-actor")) == 1) {
			t.Errorf("call %d: actor %v", i, call.metadata.Get("sluice-actor"))
		}
	}
}

func TestTLS(t *testing.T) {
	ca := pki.New(t)
	g := &gateway{ready: true}
	address := g.serve(t, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{ca.Valid(t, "server").TLS(t)},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.Client(t).RootCAs,
	})))
	ask := func(address string, config *tls.Config) error {
		t.Helper()
		return dial(t, grpcclient.Options{Address: address, TLS: config, Keepalive: time.Minute}).Ready(t.Context())
	}
	own := ca.Client(t, ca.Valid(t, "client"))
	if err := errors.Join(ask(address, own), ask("https://"+address, own)); err != nil {
		t.Error(err)
	}
	if err := ask("https://"+address, nil); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("without the root: %v", err)
	}
	for _, config := range []*tls.Config{ca.Client(t), nil} {
		if err := ask(address, config); err == nil || !strings.HasPrefix(err.Error(), "no answer from ") {
			t.Errorf("without a certificate: %v", err)
		}
	}
}
