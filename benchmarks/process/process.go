// Package process starts the servers that are measured.
package process

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Start starts a process and waits until url answers. The returned func asks it
// to stop and waits.
func Start(cmd *exec.Cmd, url string) (stop func() error, err error) {
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var said strings.Builder
	drained := make(chan struct{})
	go func() { // ends with the process
		defer close(drained)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			if said.Len() < 1<<16 {
				said.WriteString(s.Text() + "\n")
			}
		}
	}()
	stop = func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		if err := cmd.Wait(); err != nil && cmd.ProcessState.Exited() {
			return fmt.Errorf("%s: %w: %s", cmd.Path, err, said.String())
		}
		return nil
	}
	for range 600 {
		resp, err := http.Get(url)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return stop, nil
			}
		}
		select {
		case <-drained:
			return nil, errors.Join(fmt.Errorf("%s ended before it was ready", cmd.Path), stop())
		case <-time.After(50 * time.Millisecond):
		}
	}
	_ = cmd.Process.Kill()
	return nil, errors.Join(fmt.Errorf("%s did not become ready at %s", cmd.Path, url), stop())
}

// FreeAddresses returns addresses of the loopback that nobody listened on just now.
func FreeAddresses(n int) ([]string, error) {
	list := make([]string, n)
	for i := range list {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close() //nolint:errcheck // only to find a free port
		list[i] = ln.Addr().String()
	}
	return list, nil
}
