// Package process starts the servers that are measured, on cores of their own where
// asked to, reads what they use, and stops them and all that they started.
package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Spec is a server to be started.
type Spec struct {
	Command []string // the program and its arguments
	Env     []string // beside that of this process
	Dir     string
	Ready   string        // an address that answers 200 once the server is ready
	CPUs    []int         // the cores that it may use; none: those of this process
	Timeout time.Duration // until it is ready; 0: 30 s
	Grace   time.Duration // between being asked to stop and being killed; 0: 30 s
}

const (
	defaultTimeout = 30 * time.Second
	defaultGrace   = 30 * time.Second
)

// Server is a process that was started and answers.
type Server struct {
	cmd   *exec.Cmd
	said  *tail
	grace time.Duration
	ready time.Duration
	ended chan struct{} // closed when the process has ended
}

// Usage is what a process and all its descendants have used.
type Usage struct {
	CPU         time.Duration // user and system, since the start
	RSS         int64         // bytes now; a page that processes share counts in each
	Threads     int
	Descriptors int // open files
}

// Launch starts a server and waits until it is ready. Where it does not become so,
// the error quotes the last that it wrote. It ends with this process.
func Launch(ctx context.Context, s Spec) (*Server, error) {
	if len(s.Command) == 0 || s.Ready == "" {
		return nil, errors.New("no command, or no address to ask whether it is ready")
	}
	cmd := exec.Command(s.Command[0], s.Command[1:]...) //nolint:gosec // the caller's own program
	cmd.Dir, cmd.Env = s.Dir, append(os.Environ(), s.Env...)
	return launch(ctx, cmd, s)
}

func launch(ctx context.Context, cmd *exec.Cmd, spec Spec) (*Server, error) {
	if spec.Timeout == 0 {
		spec.Timeout = defaultTimeout
	}
	if spec.Grace == 0 {
		spec.Grace = defaultGrace
	}
	s := &Server{cmd: cmd, said: new(tail), grace: spec.Grace, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = s.said, s.said // one writer, so that exec makes one pipe
	cmd.WaitDelay = time.Second             // for descendants that keep the pipe open
	begun := time.Now()
	started := make(chan error, 1)
	go s.keep(spec.CPUs, started) // ends with the process
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s: %w", cmd.Path, err)
	}
	ctx, cancel := context.WithTimeout(ctx, spec.Timeout)
	defer cancel()
	if err := s.await(ctx, spec.Ready); err != nil {
		s.kill()
		return nil, fmt.Errorf("%s: %w%s", cmd.Path, err, s.said)
	}
	s.ready = time.Since(begun)
	return s, nil
}

// keep starts the process and waits for it, on one thread: were that to end, the
// process would be told to stop.
func (s *Server) keep(cpus []int, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.ended)
	if err := startTied(s.cmd, cpus); err != nil {
		started <- err
		return
	}
	started <- nil
	_ = s.cmd.Wait() // ProcessState tells
}

// await returns once url has answered 200.
func (s *Server) await(ctx context.Context, url string) error {
	const (
		between  = 5 * time.Millisecond
		patience = 5 * time.Second // with a server that takes the connection and is not ready
	)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(between)
	defer tick.Stop()
	for {
		if isOK(ctx, client, url) {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("it ended before it was ready: %v", s.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("it was not ready at %s: %w", url, ctx.Err())
		case <-tick.C:
		}
	}
}

func isOK(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Pid returns the number of the process.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// ReadyAfter returns how long it took from the start to the first answer.
func (s *Server) ReadyAfter() time.Duration { return s.ready }

// Usage returns what the server and all processes that it started have used.
func (s *Server) Usage() (Usage, error) {
	if s.hasEnded() {
		return Usage{}, fmt.Errorf("%s has ended: %v%s", s.cmd.Path, s.cmd.ProcessState, s.said)
	}
	return usage(s.Pid())
}

// OwnUsage is the same without the processes that it started, and takes less to find out.
func (s *Server) OwnUsage() (u Usage, err error) {
	err = u.add(s.Pid())
	return u, err
}

// Stop asks the server to stop, waits, and kills what is left of it and its
// descendants. It is an error if the server had ended before, failed while it
// stopped, or had to be killed.
func (s *Server) Stop() error {
	early := s.hasEnded()
	tree := descendants(s.Pid()) // later they would be orphans, if they lived
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(s.grace)
	defer timer.Stop()
	killed := false
	select {
	case <-s.ended:
	case <-timer.C:
		killed = true
		s.kill()
	}
	killAll(tree)
	switch state := s.cmd.ProcessState; {
	case early:
		return fmt.Errorf("%s had ended before it was stopped: %v%s", s.cmd.Path, state, s.said)
	case killed:
		return fmt.Errorf("%s did not stop within %v and was killed%s", s.cmd.Path, s.grace, s.said)
	case !stoppedWell(state):
		return fmt.Errorf("%s: %v%s", s.cmd.Path, state, s.said)
	}
	return nil
}

// stoppedWell reports whether a process ended as one does that is asked to stop.
func stoppedWell(state *os.ProcessState) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return state.Success() || ok && status.Signaled() && status.Signal() == syscall.SIGTERM
}

func (s *Server) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// kill ends the process and its descendants at once.
func (s *Server) kill() {
	tree := descendants(s.Pid())
	_ = s.cmd.Process.Kill() // it may have ended
	killAll(tree)
	<-s.ended
}

// Cores reads a list of cores, with commas between them.
func Cores(text string) (list []int, err error) {
	for name := range strings.SplitSeq(text, ",") {
		if name == "" {
			continue
		}
		n, err := strconv.Atoi(name)
		if err != nil || n < 0 || n >= runtime.NumCPU() {
			return nil, fmt.Errorf("no core %q here", name)
		}
		list = append(list, n)
	}
	return list, nil
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
