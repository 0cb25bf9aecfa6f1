// Package process starts the servers that are measured, on cores of their own if asked to,
// reads what they use, and stops them and all that they started. Linux only.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Spec is a server to be started.
type Spec struct {
	Command []string // the program and its arguments
	Env     []string // beside that of this process
	Dir     string
	Ready   string        // an address that answers 200 once the server is ready
	CPUs    []int         // the cores that it may use; none: those of this process
	Timeout time.Duration // until it is ready; 0: a minute
}

// Server is a process that was started and answers.
type Server struct {
	Ready time.Duration // from the start to the first answer
	cmd   *exec.Cmd
	said  *tail
	ended chan struct{} // closed when the process has ended
}

// Launch starts a server and waits until it is ready. It ends with this process.
func Launch(ctx context.Context, spec Spec) (*Server, error) {
	cmd := exec.Command(spec.Command[0], spec.Command[1:]...) //nolint:gosec // the caller's own program
	s := &Server{cmd: cmd, said: new(tail), ended: make(chan struct{})}
	cmd.Dir, cmd.Env = spec.Dir, append(os.Environ(), spec.Env...)
	cmd.Stdout, cmd.Stderr = s.said, s.said
	cmd.WaitDelay = time.Second // for workers that keep the pipe open
	// A session of its own shows who belongs to it. A signal that can be handled when this
	// process dies: workers would outlive a server that is killed outright.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	begun := time.Now()
	started := make(chan error, 1)
	go func() { // ends with the process
		runtime.LockOSThread() // whose end is what Pdeathsig looks at
		defer close(s.ended)
		err := StartOn(cmd, spec.CPUs...)
		started <- err
		if err == nil {
			_ = cmd.Wait() // ProcessState tells
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s: %w", cmd.Path, err)
	}
	if spec.Timeout == 0 {
		spec.Timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, spec.Timeout)
	defer cancel()
	for !isOK(ctx, spec.Ready) {
		select {
		case <-s.ended:
			return nil, fmt.Errorf("%s ended before it was ready: %v%s", cmd.Path, cmd.ProcessState, s.said)
		case <-ctx.Done():
			_ = syscall.Kill(-s.Pid(), syscall.SIGKILL)
			return nil, fmt.Errorf("%s was not ready at %s: %w%s", cmd.Path, spec.Ready, ctx.Err(), s.said)
		case <-time.After(5 * time.Millisecond):
		}
	}
	s.Ready = time.Since(begun)
	return s, nil
}

func isOK(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // it may take the connection and not be ready
	defer cancel()
	_, _, err := Ask(ctx, http.MethodGet, url, "", http.Header{"Connection": {"close"}}) // not to count among its connections
	return err == nil
}

// Pid returns the number of the process.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Stop asks the server to stop, waits, and kills what is left of it and its workers. It is
// an error if the server had ended before, failed, or had to be killed.
func (s *Server) Stop() error {
	select {
	case <-s.ended:
		return fmt.Errorf("%s had ended before it was stopped: %v%s", s.cmd.Path, s.cmd.ProcessState, s.said)
	default:
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(30*time.Second, func() { _ = syscall.Kill(-s.Pid(), syscall.SIGKILL) })
	defer timer.Stop()
	<-s.ended
	_ = syscall.Kill(-s.Pid(), syscall.SIGKILL) // its workers
	status, _ := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !s.cmd.ProcessState.Success() && status.Signal() != syscall.SIGTERM {
		return fmt.Errorf("%s: %v%s", s.cmd.Path, s.cmd.ProcessState, s.said)
	}
	return nil
}

// tail keeps the last that a process wrote.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	const most = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-most):]
	return len(p), nil
}

// String returns it as the end of an error's text.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return "; it wrote last:\n" + string(bytes.TrimSpace(t.text))
}

// StartOn starts a process that may run on the given cores only, on those of this process
// if none are given. It inherits them from the thread that starts it.
func StartOn(cmd *exec.Cmd, cpus ...int) error {
	if len(cpus) == 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var mine unix.CPUSet
	its := cpuSet(cpus)
	if err := errors.Join(unix.SchedGetaffinity(0, &mine), unix.SchedSetaffinity(0, &its)); err != nil {
		return fmt.Errorf("cores %v: %w", cpus, err)
	}
	return errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &mine))
}

func cpuSet(cpus []int) (set unix.CPUSet) {
	for _, c := range cpus {
		set.Set(c)
	}
	return set
}

// Pin lets this process, with all its threads, run on the given cores only.
func Pin(cpus ...int) error {
	set := cpuSet(cpus)
	for range 2 { // those that another thread started meanwhile
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range tasks {
			id, _ := strconv.Atoi(t.Name()) // a number
			if err := unix.SchedSetaffinity(id, &set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("cores %v: %w", cpus, err)
			}
		}
	}
	return nil
}

// FreeAddress returns an address of the loopback that nobody listened on just now.
func FreeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}
