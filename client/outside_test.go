package client_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
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

// Programs of other modules can use the client without cgo and with no other module than this
// one.
func TestBuildsInAnotherModule(t *testing.T) {
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
		"main.go": outsideProgram,
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
	got := strings.Fields(goTool("list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "."))
	want := "sluice.io/sluice/api sluice.io/sluice/client example.com/outside"
	if strings.Join(got, " ") != want {
		t.Errorf("the program is made of %v, want %s", got, want)
	}
}
