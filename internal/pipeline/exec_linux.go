package pipeline

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// group puts a program into a process group of its own, which ends as a whole. The kernel ends the program if the gateway is killed.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}

// killGroup kills what is left of a process group.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) } // there is nothing left, mostly

// lower lowers the priority of a process group.
func lower(pid, nice int) { _ = syscall.Setpriority(syscall.PRIO_PGRP, pid, nice) } // it only costs time

// endLeftovers kills programs of an earlier run of the gateway that was killed: all processes with our variables.
func (p *Pipeline) endLeftovers() {
	if p.opts.Dir == "" {
		return
	}
	dirs, _ := filepath.Glob("/proc/[0-9]*") // none if there is no /proc
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() || !p.isOurs(dir) {
			continue
		}
		p.log.Warn("a program of an earlier run of the gateway is killed", zap.Int("pid", pid))
		_ = syscall.Kill(pid, syscall.SIGKILL) // it has ended
		for range 100 {                        // its memory and files are free when it is gone
			if syscall.Kill(pid, 0) != nil || !p.isOurs(dir) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// isOurs reports whether a process has the environment of a program of this pipeline.
func (p *Pipeline) isOurs(dir string) bool {
	env, err := os.ReadFile(filepath.Join(dir, "environ"))
	if err != nil {
		return false
	}
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if work, ok := bytes.CutPrefix(entry, []byte(envWork+"=")); ok {
			return strings.HasPrefix(string(work), p.opts.Dir+string(filepath.Separator))
		}
	}
	return false
}
