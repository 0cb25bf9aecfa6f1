//go:build !linux

package main

import (
	"errors"
	"time"
)

func processTime(int) (time.Duration, error) {
	return 0, errors.New("the processor time of another process is asked for on Linux only")
}

func pin(core string) error {
	if core == "" {
		return nil
	}
	return errors.New("cores are chosen on Linux only; give -server-cpus= and -client-cpus=")
}
