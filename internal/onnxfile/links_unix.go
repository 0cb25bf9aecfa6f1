//go:build unix

package onnxfile

import (
	"io/fs"
	"syscall"
)

// links returns the number of hard links of a file.
func links(info fs.FileInfo) uint64 {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		panic("BUG: no link count of a file from os.Root")
	}
	return uint64(stat.Nlink) //nolint:unconvert // narrower on other systems
}
