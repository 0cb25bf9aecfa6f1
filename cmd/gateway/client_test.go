package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// served starts a gateway with the models in dir and more of a configuration file, and returns its
// addresses. The gateway ends with the test.
func served(t *testing.T, dir, more string) (data, admin string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	text := fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: '127.0.0.1:0'}, grpc: {address: none}}\nadmin: {address: '127.0.0.1:0'}\n%s", dir, more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out, outWriter := io.Pipe()
	ended := make(chan int, 1)
	var log bytes.Buffer
	go func() { // the test receives the result
		code := run(ctx, []string{"serve", "-c", file}, nil, outWriter, &log, watched)
		_ = outWriter.Close()
		ended <- code
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != exitOK {
			t.Errorf("the gateway ends with %d: %s", code, &log)
		}
	})
	return welcomed(t, out)
}

// The client and a gateway agree on every datatype.
func TestClientInfers(t *testing.T) {
	dir := t.TempDir()
	for dtype := infer.Bool; dtype <= infer.Bytes; dtype++ {
		if err := onnxgen.Identity(dtype, "N").Write(dir, 1); err != nil {
			t.Fatal(err)
		}
	}
	data, _ := served(t, dir, "defaults: {instances: 1}\n")
	c, err := client.New(client.Options{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	echo(t, c, true, false)
	echo[uint8](t, c, 0, 255)
	echo[uint16](t, c, 0, 65535)
	echo[uint32](t, c, 0, 1<<32-1)
	echo[uint64](t, c, 0, 1<<64-1)
	echo[int8](t, c, -128, 127)
	echo[int16](t, c, -32768, 32767)
	echo[int32](t, c, -1<<31, 1<<31-1)
	echo[int64](t, c, -1<<63, 1<<63-1)
	echo[float32](t, c, 0.1, -1e-30)
	echo(t, c, 0.1, -1e-300)
	echo(t, c, "", "漢字", "a\x00b")
	echo(t, c, []byte("bytes"), []byte{})
	echo[float32](t, c)
	for _, datatype := range []string{"FP16", "BF16"} {
		in := client.RawTensor("input", datatype, []int64{2}, []byte{1, 60, 0, 188})
		r, err := c.Infer(t.Context(), "id_"+datatype, client.InferRequest{Inputs: []client.Tensor{in}})
		if err != nil {
			t.Errorf("%s: %v", datatype, err)
			continue
		}
		in.Name = "output"
		if diff := cmp.Diff([]client.Tensor{in}, r.Outputs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", datatype, diff)
		}
	}
}

// echo sends elements to a model that returns its input, in binary and as JSON.
func echo[T client.Element](t *testing.T, c *client.Client, elements ...T) {
	t.Helper()
	in := client.NewTensor("input", []int64{int64(len(elements))}, elements)
	for _, asJSON := range []bool{false, true} {
		r, err := c.Infer(t.Context(), "id_"+in.Datatype, client.InferRequest{Inputs: []client.Tensor{in}, JSON: asJSON})
		if err != nil {
			t.Errorf("%s, JSON %v: %v", in.Datatype, asJSON, err)
			continue
		}
		got, err := client.Output[T](r, "output")
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(append([]T{}, elements...), got); diff != "" {
			t.Errorf("%s, JSON %v (-want +got):\n%s", in.Datatype, asJSON, diff)
		}
	}
}

// The client's routing data reaches the router, and the client gets what served the request.
func TestClientIsRouted(t *testing.T) {
	models, err := filepath.Abs(filepath.Join("..", "..", "models"))
	if err != nil {
		t.Fatal(err)
	}
	data, admin := served(t, models, `routes:
  iris:
    variants: [{version: 1, weight: 50%}, {version: 2, weight: 50%, role: canary}]
    sticky: {header: X-User-Id}
    override: {token: let-me-choose-the-version}
  flowers:
    model: iris
    seed: iris
    variants: [{version: 1, weight: 50%}, {version: 2, weight: 50%, role: canary}]
    sticky: {parameter: user}
`)
	connect := func(sticky api.Sticky) *client.Client {
		c, err := client.New(client.Options{Data: data, Admin: admin, Sticky: sticky})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	byHeader, byParameter := connect(api.Sticky{Header: "X-User-Id"}), connect(api.Sticky{Parameter: "user"})
	if err := errors.Join(byHeader.Live(t.Context()), byHeader.Ready(t.Context()), byHeader.AdminReady(t.Context()), byHeader.ModelReady(t.Context(), "iris", 2)); err != nil {
		t.Error(err)
	}
	input := []client.Tensor{client.NewTensor("input", []int64{1, 4}, []float32{6.4, 3.2, 4.5, 1.5})}
	f := func(c *client.Client, model string, r client.InferRequest, version int64, reason string) {
		t.Helper()
		r.Inputs, r.RequestID, r.Timeout, r.Priority = input, "r-1", time.Minute, 1
		got, err := c.Infer(t.Context(), model, r)
		if err != nil {
			t.Error(err)
			return
		}
		if got.Version != version || got.Reason != reason || got.Route != model+"@1" || got.RequestID != "r-1" || len(got.Outputs) == 0 {
			t.Errorf("%+v is served by %+v, want version %d, %s", r, got, version, reason)
		}
	}
	// With the seed "iris", u1 belongs to the canary and u3 does not.
	f(byHeader, "iris", client.InferRequest{StickyKey: "u1"}, 2, "sticky")
	f(byHeader, "iris", client.InferRequest{StickyKey: "u3"}, 1, "sticky")
	f(byParameter, "flowers", client.InferRequest{StickyKey: "u1"}, 2, "sticky")
	f(byParameter, "flowers", client.InferRequest{StickyKey: "u1", JSON: true}, 2, "sticky")
	f(byHeader, "iris", client.InferRequest{Version: 1, StickyKey: "u1"}, 1, "pinned")
	f(byHeader, "iris", client.InferRequest{Override: 1, OverrideToken: "let-me-choose-the-version", StickyKey: "u1"}, 1, "override")

	r, err := byHeader.Infer(t.Context(), "iris", client.InferRequest{Inputs: input, Outputs: []string{"probabilities"}})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := client.Output[float32](r, "probabilities"); len(r.Outputs) != 1 || len(p) != 3 || err != nil {
		t.Errorf("asked for probabilities: %+v, %v", r.Outputs, err)
	}
	_, err = byHeader.Infer(t.Context(), "iris", client.InferRequest{Inputs: input, Override: 1, OverrideToken: "wrong", RequestID: "r-2"})
	if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != 401 || e.RequestID != "r-2" {
		t.Errorf("a wrong token gives %v", err)
	}
	meta, err := byHeader.ModelMetadata(t.Context(), "iris", 2)
	if err != nil || len(meta.Inputs) != 1 || len(meta.Outputs) != 2 {
		t.Errorf("%+v, %v", meta, err)
	}
	index, err := byHeader.Index(t.Context())
	if err != nil || len(index) < 4 {
		t.Errorf("%+v, %v", index, err)
	}
}
