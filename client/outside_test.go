package client_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const outsideProgram = `package main

import (
	"context"
	"fmt"
	"os"

	"sluice.io/sluice/client"
)

func main() {
	c, err := client.New(client.Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	x := client.NewTensor("x", []int64{1}, []float32{1})
	fmt.Println(c.Infer(context.Background(), "m", client.InferRequest{Inputs: []client.Tensor{x}}))
}
`

const outsideGRPC = `package main

import (
	"context"
	"fmt"

	"sluice.io/sluice/client"
	"sluice.io/sluice/client/grpcclient"
)

func main() {
	c, err := grpcclient.New(grpcclient.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	x := client.NewTensor("x", []int64{1}, []float32{1})
	fmt.Println(c.Infer(context.Background(), "m", client.InferRequest{Inputs: []client.Tensor{x}}))
}
`

// Programs of other modules can use the clients without cgo, and that for HTTP with no other module
// than this one.
func TestBuildsInAnotherModule(t *testing.T) {
	own := "sluice.io/sluice/api sluice.io/sluice/client/internal/bare sluice.io/sluice/client/internal/retry sluice.io/sluice/client"
	if got, want := buildOutside(t, outsideProgram), own+" example.com/outside"; got != want {
		t.Errorf("the program is made of %v, want %s", got, want)
	}
	want := own + " google.golang.org/grpc google.golang.org/protobuf sluice.io/sluice/internal/wire/grpcapi/pb sluice.io/sluice/client/grpcclient"
	got := strings.Fields(buildOutside(t, outsideGRPC))
	for name := range strings.FieldsSeq(want) {
		if !slices.ContainsFunc(got, func(dependency string) bool { return strings.HasPrefix(dependency, name) }) {
			t.Errorf("%s is not in %v", name, got)
		}
	}
	for _, name := range got {
		if strings.HasPrefix(name, "sluice.io/") && !strings.Contains(want, name) {
			t.Errorf("the program needs %s", name)
		}
	}
}

// buildOutside builds a program in a module of its own, without cgo, and returns the packages that it is
// made of.
func buildOutside(t *testing.T, program string) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	version, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ = bytes.Cut(version, []byte("\ngo "))
	version, _, _ = bytes.Cut(version, []byte("\n"))
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/outside\n\ngo " + string(version) + "\n\nrequire sluice.io/sluice v0.0.0\n\n" +
			"replace sluice.io/sluice => " + root + "\n",
		"main.go": program,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	goTool := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOPROXY=off", "GOSUMDB=off", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	goTool("build", "-o", filepath.Join(dir, "outside"), ".")
	return strings.Join(strings.Fields(goTool("list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")), " ")
}
