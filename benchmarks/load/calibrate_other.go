//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

func calibrate(context.Context, *options, io.Writer) error {
	return errors.New("-calibrate works on Linux only: elsewhere a process cannot be given a core")
}
