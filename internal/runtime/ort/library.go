package ort

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// LibraryVariable is the environment variable that names the shared library.
const LibraryVariable = "SLUICE_ORT_LIBRARY"

// FindLibrary returns the path of the ONNX Runtime library: the one that SLUICE_ORT_LIBRARY
// names, else one installed beside the executable, else, for the binaries of go test, the one
// that set-up installed into the source tree, else a bare name for the system's loader.
func FindLibrary() string {
	if path := os.Getenv(LibraryVariable); path != "" {
		return path
	}
	name := "libonnxruntime.so"
	if runtime.GOOS == "darwin" {
		name = "libonnxruntime.dylib"
	}
	for _, dir := range libraryDirs() {
		// The exact name first; installed packages often have only numbered ones.
		found, _ := filepath.Glob(filepath.Join(dir, name+"*")) // the pattern is well-formed
		if len(found) > 0 {
			return found[0]
		}
	}
	return name
}

func libraryDirs() []string {
	deps := filepath.Join(".deps", "onnxruntime", "lib")
	var dirs []string
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	if err == nil {
		dir := filepath.Dir(exe)
		dirs = append(dirs, dir, filepath.Join(dir, "..", "lib"), filepath.Join(dir, "..", deps))
	}
	// Tests only: a server must not load code from the directory that it is started in.
	if err != nil || !strings.HasSuffix(exe, ".test") {
		return dirs
	}
	dir, err := os.Getwd()
	for err == nil {
		dirs = append(dirs, filepath.Join(dir, deps))
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		break
	}
	return dirs
}
