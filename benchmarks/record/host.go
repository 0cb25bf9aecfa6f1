package record

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

// Host is the machine and the versions with which something was measured.
type Host struct {
	Date     string `json:"date"` // day, UTC
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	Kernel   string `json:"kernel,omitempty"`
	MemoryMB int    `json:"memory_mb,omitempty"`
	Go       string `json:"go"`
	ORT      string `json:"onnxruntime,omitempty"`
	Revision string `json:"revision"` // of the repository, with "+" if files differ from it
}

// ThisHost describes this machine. What cannot be found out stays empty.
func ThisHost() *Host {
	h := &Host{
		Date: time.Now().UTC().Format(time.DateOnly), CPU: runtime.GOARCH, Cores: runtime.NumCPU(),
		Go: runtime.Version(), Revision: RevisionOf(":/"),
	}
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	h.Kernel = strings.TrimSpace(string(text))
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return h
	}
	if cpus, err := fs.CPUInfo(); err == nil && len(cpus) > 0 && cpus[0].ModelName != "" {
		h.CPU = cpus[0].ModelName
	}
	if memory, err := fs.Meminfo(); err == nil && memory.MemTotal != nil {
		h.MemoryMB = int(*memory.MemTotal >> 10) //nolint:gosec // kB
	}
	return h
}

// LibraryVersion is in the name of the file that a library's links end at.
func LibraryVersion(library string) string {
	file, err := filepath.EvalSymlinks(library)
	if err != nil {
		return ""
	}
	_, version, _ := strings.Cut(filepath.Base(file), ".so.")
	return version
}

// RevisionOf is the last that changed a path, with a "+" if files
// differ from it.
func RevisionOf(path string) string {
	rev := git("log", "-1", "--format=%h", "--", path)
	if rev != "" && git("status", "--porcelain", "--untracked-files=no", "--", path) != "" {
		rev += "+"
	}
	return rev
}

func git(args ...string) string {
	out, _ := exec.Command("git", args...).Output() //nolint:gosec // fixed words
	return strings.TrimSpace(string(out))
}
