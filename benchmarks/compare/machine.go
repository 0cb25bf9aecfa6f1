package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/record"
)

// describe says on what machine the run is made, and with which versions. What
// cannot be found out stays empty.
func describe(settings record.Settings, library string) record.Machine {
	return record.Machine{
		Date: time.Now().UTC().Format(time.DateOnly), CPU: after("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(),
		Kernel: read("/proc/sys/kernel/osrelease"), MemoryMB: memory(), Go: runtime.Version(), ORT: libraryVersion(library),
		Revision: revision(), Settings: settings,
	}
}

func read(path string) string {
	text, _ := os.ReadFile(path)
	return strings.TrimSpace(string(text))
}

// after returns what stands after a name and a colon in a file of such lines.
func after(path, name string) string {
	for line := range strings.Lines(read(path)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func memory() int {
	kb, _ := strconv.Atoi(strings.TrimSuffix(after("/proc/meminfo", "MemTotal"), " kB"))
	return kb >> 10
}

// libraryVersion is in the name of the file that the library's links end at.
func libraryVersion(library string) string {
	file, err := filepath.EvalSymlinks(library)
	if err != nil {
		return ""
	}
	_, version, _ := strings.Cut(filepath.Base(file), ".so.")
	return version
}

// revision is the repository's, with a "+" where files differ from it.
func revision() string {
	git := func(args ...string) string {
		out, _ := exec.Command("git", args...).Output() //nolint:gosec // fixed words
		return strings.TrimSpace(string(out))
	}
	rev := git("rev-parse", "--short", "HEAD")
	if rev != "" && git("status", "--porcelain", "--untracked-files=no") != "" {
		rev += "+"
	}
	return rev
}
