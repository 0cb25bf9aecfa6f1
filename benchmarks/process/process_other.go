//go:build !linux

package process

import (
	"errors"
	"os/exec"
)

var errUnsupported = errors.New("only on Linux")

func startTied(cmd *exec.Cmd, cpus []int) error { return StartOn(cmd, cpus...) }

// StartOn starts a process. It cannot keep it to some cores here.
func StartOn(cmd *exec.Cmd, cpus ...int) error {
	if len(cpus) > 0 {
		return errUnsupported
	}
	return cmd.Start()
}

// Pin lets this process run on the given cores only. Here it cannot.
func Pin(...int) error { return errUnsupported }

func usage(int) (Usage, error) { return Usage{}, errUnsupported }

func descendants(int) map[int]Stat { return nil }

func killAll(map[int]Stat) {}
