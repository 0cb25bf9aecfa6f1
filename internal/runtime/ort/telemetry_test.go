package ort_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/runtime/ort"
)

const underTrace = "SLUICE_TEST_UNDER_TRACE"

// TestNoSocketIsOpened loads and runs a model under strace. The library opens no
// socket: nothing about models leaves the process.
func TestNoSocketIsOpened(t *testing.T) {
	if os.Getenv(underTrace) != "" {
		s := load(t, double("quiet"), complete(ort.LoadOptions{IntraThreads: 2}))
		mustPredict(t, newInstance(t, s), request(t, s, nil, floats("x", infer.Shape{1, 2}, 1, 2)))
		return
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("no strace here")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.CommandContext(t.Context(), strace, "-f", "-o", trace, "-e", "trace=socket,connect,sendto,execve", os.Args[0], "-test.run=^TestNoSocketIsOpened$")
	cmd.Env = append(os.Environ(), underTrace+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(out), "ptrace") {
		t.Skip("strace may not trace here: ", string(out))
	}
	if err != nil {
		t.Fatal(err, string(out))
	}
	calls, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(calls), "execve(") {
		t.Error("strace saw nothing")
	}
	for line := range strings.Lines(string(calls)) {
		if strings.Contains(line, "socket(") || strings.Contains(line, "connect(") || strings.Contains(line, "sendto(") {
			t.Error("the network was touched: ", line)
		}
	}
}
