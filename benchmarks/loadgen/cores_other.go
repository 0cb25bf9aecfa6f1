//go:build !linux

package loadgen

import (
	"context"
	"runtime"
	"time"
)

func cores() int { return runtime.NumCPU() }

func processTime() time.Duration { return 0 } // not known

func (r *run) senders(context.Context) ([]sender, error) { return []sender{newPool(r)}, nil }
