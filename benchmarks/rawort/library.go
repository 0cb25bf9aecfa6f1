package main

import (
	"os"
	"path/filepath"
	"runtime"
)

// libraryVariable names the shared library, as it does for the gateway.
const libraryVariable = "SLUICE_ORT_LIBRARY"

// findLibrary returns the library that the variable names, else that beside the
// program, else the one that set-up installed in a folder above the program or
// above the one it was started in, else a bare name for the system's loader.
func findLibrary() string {
	if path := os.Getenv(libraryVariable); path != "" {
		return path
	}
	name := "libonnxruntime.so"
	if runtime.GOOS == "darwin" {
		name = "libonnxruntime.dylib"
	}
	var dirs []string
	if exe, err := os.Executable(); err == nil {
		dirs = append(append(dirs, filepath.Dir(exe)), above(filepath.Dir(exe))...)
	}
	if dir, err := os.Getwd(); err == nil {
		dirs = append(dirs, above(dir)...)
	}
	for _, dir := range dirs {
		if path := filepath.Join(dir, name); isFile(path) {
			return path
		}
	}
	return name
}

// above lists where set-up may have put it, from dir up to the root.
func above(dir string) (list []string) {
	for {
		list = append(list, filepath.Join(dir, ".deps", "onnxruntime", "lib"))
		parent := filepath.Dir(dir)
		if parent == dir {
			return list
		}
		dir = parent
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
