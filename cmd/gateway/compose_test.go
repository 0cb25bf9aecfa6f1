package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const composeFolder = "../../configs/compose"

// The files that the compose file mounts exist, and each service drops the capabilities that it
// does not need.
func TestComposeFile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(composeFolder, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Services map[string]struct {
			Volumes []string
			CapDrop []string `yaml:"cap_drop"`
		}
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for name, s := range doc.Services {
		for _, volume := range s.Volumes {
			from, _, _ := strings.Cut(volume, ":")
			if !strings.HasPrefix(from, ".") {
				continue
			}
			if _, err := os.Stat(filepath.Join(composeFolder, from)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(s.CapDrop) == 0 {
			t.Errorf("%s keeps its capabilities", name)
		}
	}
}

// The demo's configuration fits its models, and the gateway answers its traffic.
func TestComposeDemo(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(composeFolder, "gateway", "gateway.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SLUICE_TOKEN", "0123456789abcdef")
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	for at, here := range map[string]string{
		"path: /models": "path: ../../models", "/profiles/": "../../configs/profiles/", "data_dir: /data": "data_dir: " + t.TempDir(), `":8002"`: `"127.0.0.1:0"`,
	} {
		if !strings.Contains(string(text), at) {
			t.Fatalf("the file has no %s", at)
		}
		text = []byte(strings.ReplaceAll(string(text), at, here))
	}
	place(t, file, string(text)+"server: {http: {address: '127.0.0.1:0'}, grpc: {address: none}}\n")
	expect(t, result{exitOK, file + ": ok\n", ""}, command(t, "", []string{"check", "-c", file}, "SLUICE_TOKEN", "0123456789abcdef"))

	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed")
	}
	data, _ := served(t, "../../models", "")
	traffic := filepath.Join(composeFolder, "traffic", "traffic.py")
	out, err := exec.CommandContext(t.Context(), "python3", traffic, "--url", data, "--rows", "../../testdata/drift/diabetes.csv", "--rate", "500", "--seconds", "1").CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"200": `) || strings.Contains(string(out), `"0": `) || strings.Contains(string(out), `"404": `) {
		t.Errorf("%s, %v", out, err)
	}
}
