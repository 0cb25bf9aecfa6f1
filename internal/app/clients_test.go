package app_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/client/grpcclient"
	"sluice.io/sluice/internal/testing/pki"
)

const overrideToken = "0123456789abcdef"

// bothClients returns the Go clients of a gateway with TLS that asks for certificates, which runs
// until the test ends.
func bothClients(t *testing.T) (overHTTP *client.Client, overGRPC *grpcclient.Client) {
	t.Helper()
	ca, dir := pki.New(t), t.TempDir()
	pair := ca.Valid(t, "server")
	tls := fmt.Sprintf("tls: {cert: %q, key: %q, client_ca: %q, client_auth: require}",
		pki.Write(t, dir, "cert.pem", pair.Cert), pki.Write(t, dir, "key.pem", pair.Key), pki.Write(t, dir, "ca.pem", ca.PEM))
	g := launch(t, zap.NewNop(), &fakes{}, doubles(t, 2), "http."+tls, "grpc."+tls, "repository.control: explicit", "repository.load: ['*']",
		"routes: {split: {model: double, seed: iris, variants: [{version: 1, weight: 50%}, {version: 2, weight: 50%, role: canary}],"+
			" sticky: {parameter: user}, override: {token: "+overrideToken+"}}}")
	own, sticky := ca.Client(t, ca.Valid(t, "client")), api.Sticky{Parameter: "user"}
	overHTTP, err := client.New(client.Options{Data: "https://" + g.http, TLS: own, Sticky: sticky})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(overHTTP.Close)
	overGRPC, err = grpcclient.New(grpcclient.Options{Address: "https://" + g.grpc, TLS: own, Sticky: sticky})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = overGRPC.Close() })
	for range 3000 {
		if overGRPC.Ready(t.Context()) == nil {
			return overHTTP, overGRPC
		}
	}
	t.Fatal("the gateway did not become ready")
	return nil, nil
}

// row is a request of one row for "double", and its answer.
func row(v float32) (r client.InferRequest, doubled []float32) {
	return client.InferRequest{Inputs: []client.Tensor{client.NewTensor("x", []int64{1, 3}, []float32{v, 2, 3})}}, []float32{2 * v, 4, 6}
}

// The clients of both protocols get the same from a gateway.
func TestClientsOfBothProtocols(t *testing.T) {
	overHTTP, overGRPC := bothClients(t)
	type caller interface {
		Infer(ctx context.Context, model string, r client.InferRequest) (*client.InferResult, error)
		Live(ctx context.Context) error
		Ready(ctx context.Context) error
		ModelReady(ctx context.Context, model string, version int64) error
		ModelMetadata(ctx context.Context, model string, version int64) (client.Metadata, error)
		Index(ctx context.Context) ([]client.IndexEntry, error)
		Statistics(ctx context.Context, model string, version int64) ([]client.Statistics, error)
		ModelConfig(ctx context.Context, model string, version int64) (client.ModelConfig, error)
	}
	same := func(what string, options []cmp.Option, call func(c caller) (any, error)) {
		t.Helper()
		want, errHTTP := call(overHTTP)
		got, errGRPC := call(overGRPC)
		if diff := cmp.Diff(want, got, options...); diff != "" || errHTTP != nil || errGRPC != nil {
			t.Errorf("%s: %v, %v (-HTTP +gRPC):\n%s", what, errHTTP, errGRPC, diff)
		}
	}
	fails := func(status int, call func(c caller) error) {
		t.Helper()
		errHTTP, errGRPC := call(overHTTP), call(overGRPC)
		h, okHTTP := errors.AsType[*client.Error](errHTTP)
		g, okGRPC := errors.AsType[*client.Error](errGRPC)
		if !okHTTP || !okGRPC || h.Status != status || g.Status != status || g.Message != h.Message || g.RequestID == "" {
			t.Errorf("HTTP: %v; gRPC: %v; want %d", errHTTP, errGRPC, status)
		}
	}
	ctx := t.Context()
	request, _ := row(1)
	infer := func(model string, change func(r *client.InferRequest)) func(caller) (any, error) {
		return func(c caller) (any, error) {
			r := request
			r.RequestID = "r1"
			change(&r)
			return c.Infer(ctx, model, r)
		}
	}
	for i := range 10 {
		same("sticky", nil, infer("split", func(r *client.InferRequest) { r.StickyKey = strconv.Itoa(i) }))
	}
	same("pinned", nil, infer("double", func(r *client.InferRequest) { r.Version, r.Outputs, r.Priority = 1, []string{"y"}, 2 }))
	same("override", nil, infer("split", func(r *client.InferRequest) { r.Override, r.OverrideToken = 2, overrideToken }))
	same("metadata", nil, func(c caller) (any, error) { return c.ModelMetadata(ctx, "double", 2) })
	same("index", nil, func(c caller) (any, error) { return c.Index(ctx) })
	same("statistics", []cmp.Option{cmpopts.EquateEmpty()}, func(c caller) (any, error) { return c.Statistics(ctx, "double", 1) })
	same("config", []cmp.Option{cmpopts.EquateEmpty()}, func(c caller) (any, error) { return c.ModelConfig(ctx, "double", 1) })
	same("health", nil, func(c caller) (any, error) {
		return nil, errors.Join(c.Live(ctx), c.Ready(ctx), c.ModelReady(ctx, "double", 0), c.ModelReady(ctx, "split", 0))
	})
	refused := func(model string, change func(r *client.InferRequest)) func(caller) error {
		return func(c caller) error {
			_, err := infer(model, change)(c)
			return err
		}
	}
	fails(404, refused("absent", func(*client.InferRequest) {}))
	fails(404, refused("double", func(r *client.InferRequest) { r.Version = 9 }))
	fails(400, refused("double", func(r *client.InferRequest) { r.Outputs = []string{"absent"} }))
	if e, ok := errors.AsType[*client.Error](overGRPC.ModelReady(ctx, "absent", 0)); !ok || e.Status != 503 {
		t.Errorf("an absent model: %v", e)
	}
}

func TestClientOverGRPC(t *testing.T) {
	_, c := bothClients(t)
	ctx := t.Context()
	config, err := c.ModelConfig(ctx, "double", 1)
	if err != nil || config.Name != "double" || config.Backend != "onnxruntime" || len(config.Inputs) != 1 || config.Inputs[0].DataType != "TYPE_FP32" {
		t.Errorf("%+v, %v", config, err)
	}

	stream, err := c.Stream(ctx, grpcclient.StreamOptions{RequestID: "s"})
	if err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	for i := range 64 {
		tasks.Go(func() {
			request, want := row(float32(i))
			request.StickyKey = strconv.Itoa(i)
			result, err := stream.Infer(ctx, "split", request)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := client.Output[float32](result, "y"); err != nil || !slices.Equal(got, want) || result.Reason != "sticky" {
				t.Errorf("%v, %v, want %v", got, err, want)
			}
		})
		tasks.Go(func() {
			request, _ := row(1)
			_, err := stream.Infer(ctx, "absent", request)
			if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != 404 || e.Code != "NOT_FOUND" {
				t.Error(err)
			}
		})
	}
	tasks.Wait()
	if err := stream.Close(); err != nil {
		t.Error(err)
	}

	if err := c.Load(ctx, "double"); err != nil {
		t.Error(err)
	}
	err = c.Unload(ctx, "double")
	if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != 409 || e.Code != "ABORTED" { // a route uses it
		t.Error(err)
	}
}

// The clients of both protocols send the key of their caller with what needs one.
func TestClientsSendKeys(t *testing.T) {
	const key = "k3y-of-the-caller-billing"
	g := startOn(t, &fakes{}, doubles(t, 1), "auth: {required: true}", fmt.Sprintf(
		"callers: {billing: {keys: ['sha256:%x'], allow: [{models: [double], actions: [infer, metadata]}]}}", sha256.Sum256([]byte(key))))
	ask := func(token string) []error {
		t.Helper()
		overHTTP, err := client.New(client.Options{Data: g.http, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		defer overHTTP.Close()
		overGRPC, err := grpcclient.New(grpcclient.Options{Address: g.grpc, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		defer overGRPC.Close() //nolint:errcheck // it only closes the connection
		if err := errors.Join(overHTTP.Ready(t.Context()), overGRPC.Ready(t.Context())); err != nil {
			t.Errorf("health needs a key: %v", err)
		}
		request, _ := row(1)
		_, inferHTTP := overHTTP.Infer(t.Context(), "double", request)
		_, inferGRPC := overGRPC.Infer(t.Context(), "double", request)
		_, metadataHTTP := overHTTP.ModelMetadata(t.Context(), "double", 1)
		_, metadataGRPC := overGRPC.ModelMetadata(t.Context(), "double", 1)
		stream, err := overGRPC.Stream(t.Context(), grpcclient.StreamOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, streamed := stream.Infer(t.Context(), "double", request)
		_ = stream.Close() // the error is that of the request
		_, forbidden := overGRPC.Statistics(t.Context(), "double", 1)
		if e, ok := errors.AsType[*client.Error](forbidden); !ok || e.Status != 401 && e.Status != 403 {
			t.Errorf("statistics: %v", forbidden)
		}
		return []error{inferHTTP, inferGRPC, metadataHTTP, metadataGRPC, streamed}
	}
	for i, err := range ask(key) {
		if err != nil {
			t.Errorf("call %d with the key: %v", i, err)
		}
	}
	for _, token := range []string{"", "another-key-of-some-length"} {
		for i, err := range ask(token) {
			if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != 401 {
				t.Errorf("call %d with the key %q: %v", i, token, err)
			}
		}
	}
}
