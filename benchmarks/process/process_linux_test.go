package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice.io/sluice/benchmarks/process"
)

// The test binary is also the server that the tests start. These variables tell it
// what to be and where to listen.
const (
	roleVariable    = "PROCESS_TEST_ROLE"
	addressVariable = "PROCESS_TEST_ADDRESS"
)

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(roleVariable) {
	case "":
		os.Exit(m.Run())
	case "worker":
		time.Sleep(time.Minute) // it is killed before
	case "server":
		err = serve(false)
	case "parent": // of a worker
		err = serve(true)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		err = serve(true)
	case "late": // ready, but never says so
		err = http.ListenAndServe(os.Getenv(addressVariable), http.NotFoundHandler())
	case "broken":
		for i := range 1000 {
			fmt.Fprintln(os.Stderr, "line", i)
		}
		err = errors.New("no such model")
	case "badly": // stops with an error
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		go func() { _ = serve(false) }()
		<-asked
		err = errors.New("it burns")
	case "runner":
		err = runner()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve answers what it was asked to tell about itself.
func serve(withWorker bool) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/burn", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, burn(200*time.Millisecond)) })
	mux.HandleFunc("/cpus", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, allowed("self"))
	})
	if withWorker {
		worker := exec.Command(os.Args[0])
		worker.Env = append(os.Environ(), roleVariable+"=worker")
		if err := worker.Start(); err != nil {
			return err
		}
		mux.HandleFunc("/worker", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, worker.Process.Pid) })
	}
	return http.ListenAndServe(os.Getenv(addressVariable), mux)
}

// burn uses a core for a time.
func burn(cpu time.Duration) time.Duration {
	var t unix.Timespec
	used := func() time.Duration {
		_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
		return time.Duration(t.Nano())
	}
	for begin := used(); ; {
		if d := used() - begin; d >= cpu {
			return d
		}
	}
}

// allowed returns which cores the threads of a process may use, each once.
func allowed(pid string) string {
	tasks, _ := os.ReadDir("/proc/" + pid + "/task")
	var list []string
	for _, t := range tasks {
		status, _ := os.ReadFile("/proc/" + pid + "/task/" + t.Name() + "/status")
		for line := range strings.Lines(string(status)) {
			if cpus, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
				list = append(list, strings.TrimSpace(cpus))
			}
		}
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), " ")
}

// runner launches a server, tells its pid and waits to be killed.
func runner() error {
	s, err := process.Launch(context.Background(), spec("server", os.Getenv(addressVariable)))
	if err != nil {
		return err
	}
	fmt.Println(s.Pid())
	time.Sleep(time.Minute)
	return nil
}

func spec(role, address string) process.Spec {
	return process.Spec{
		Command: []string{os.Args[0]}, Env: []string{roleVariable + "=" + role, addressVariable + "=" + address},
		Ready: "http://" + address + "/ready",
	}
}

// address returns one for a server. A socket that is bound to it and does not listen
// keeps it from all others until the test ends.
func address(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint("127.0.0.1:", name.(*unix.SockaddrInet4).Port) //nolint:forcetypeassert // bound to one
}

func TestFreeAddresses(t *testing.T) {
	list, err := process.FreeAddresses(3)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	if list = slices.Compact(list); len(list) != 3 || !strings.HasPrefix(list[0], "127.0.0.1:") {
		t.Errorf("%q", list)
	}
}

// cores returns those that this process may use.
func cores(t *testing.T) (list []int) {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			list = append(list, i)
		}
	}
	return list
}

func launch(t *testing.T, s process.Spec) *process.Server {
	t.Helper()
	server, err := process.Launch(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func stop(t *testing.T, s *process.Server) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

func ask(t *testing.T, s process.Spec, path string) string {
	t.Helper()
	resp, err := http.Get(strings.TrimSuffix(s.Ready, "/ready") + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return body.String()
}

// lives reports whether a process is there and no zombie.
func lives(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(text), ") Z ")
}

// gone waits for the end of a process that was killed.
func gone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); lives(pid); {
		if time.Now().After(deadline) {
			t.Errorf("process %d lives on", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
			return
		}
		runtime.Gosched()
	}
}

func TestLaunchTellsWhatAServerUses(t *testing.T) {
	want := spec("parent", address(t))
	s := launch(t, want)
	if s.ReadyAfter() <= 0 || s.ReadyAfter() > 30*time.Second {
		t.Errorf("ready after %v", s.ReadyAfter())
	}
	before, err := s.Usage()
	if err != nil {
		t.Fatal(err)
	}
	burnt, err := time.ParseDuration(ask(t, want, "/burn"))
	if err != nil {
		t.Fatal(err)
	}
	after, err := s.Usage()
	if err != nil {
		t.Fatal(err)
	}
	if used := after.CPU - before.CPU; used < burnt || used > burnt+time.Second {
		t.Errorf("used %v of CPU time, burnt %v", used, burnt)
	}
	const few, many = 1 << 20, 1 << 30
	if after.RSS < few || after.RSS > many {
		t.Errorf("RSS %d bytes", after.RSS)
	}
	worker, err := strconv.Atoi(ask(t, want, "/worker"))
	if err != nil {
		t.Fatal(err)
	}
	own, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.Pid()))
	its, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", worker))
	if least := len(own) + len(its) - 2; after.Threads < least { // a thread may have come or gone
		t.Errorf("%d threads; server and worker have %d and %d", after.Threads, len(own), len(its))
	}
	stop(t, s)
	gone(t, s.Pid())
	gone(t, worker)
	if _, err := s.Usage(); err == nil {
		t.Error("a server that was stopped tells what it uses")
	}
}

func TestLaunchPins(t *testing.T) {
	here := allowed("self")
	usable := cores(t)
	for _, cpu := range usable[:min(2, len(usable))] {
		want := spec("server", address(t))
		want.CPUs = []int{cpu}
		s := launch(t, want)
		if got := ask(t, want, "/cpus"); got != strconv.Itoa(cpu) {
			t.Errorf("the server may use the cores %q, want %d", got, cpu)
		}
		stop(t, s)
	}
	if got := allowed("self"); got != here {
		t.Errorf("this process may use the cores %q, before it was %q", got, here)
	}
	want := spec("server", address(t))
	for _, cpus := range [][]int{{-1}, {1 << 20}, {1000}} {
		want.CPUs = cpus
		if s, err := process.Launch(t.Context(), want); err == nil {
			t.Errorf("cores %v: no error", cpus)
			stop(t, s)
		}
	}
}

func TestPin(t *testing.T) {
	cpus := cores(t)
	defer func() {
		if err := process.Pin(cpus...); err != nil {
			t.Error(err)
		}
	}()
	last := cpus[len(cpus)-1]
	if err := process.Pin(last); err != nil {
		t.Fatal(err)
	}
	if got := allowed("self"); got != strconv.Itoa(last) {
		t.Errorf("the threads may use the cores %q, want %d", got, last)
	}
	if err := process.Pin(1 << 20); err == nil {
		t.Error("a core that does not exist: no error")
	}
}

func TestLaunchFails(t *testing.T) {
	f := func(s process.Spec, want ...string) {
		t.Helper()
		server, err := process.Launch(t.Context(), s)
		if err == nil {
			stop(t, server)
			t.Errorf("%v: no error", s.Command)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("the error is %.1000q, want %q in it", err, w)
			}
		}
		if strings.Contains(err.Error(), "line 1\n") {
			t.Errorf("the error quotes all of the output")
		}
	}
	f(process.Spec{}, "no command")
	f(process.Spec{Command: []string{"/nowhere/server"}, Ready: "http://127.0.0.1:1/"}, "/nowhere/server")
	f(spec("broken", address(t)), "ended before it was ready: exit status 1", "line 999\nno such model")
	late := spec("late", address(t))
	late.Timeout = 300 * time.Millisecond
	f(late, "not ready at http://127.0.0.1:", "deadline exceeded")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := process.Launch(ctx, spec("late", address(t))); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v, want context.Canceled", err)
	}
}

func TestStopKillsWhatDoesNotStop(t *testing.T) {
	want := spec("stubborn", address(t))
	want.Grace = 100 * time.Millisecond
	s := launch(t, want)
	worker, err := strconv.Atoi(ask(t, want, "/worker"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("the error is %v", err)
	}
	gone(t, s.Pid())
	gone(t, worker)
}

func TestStopTellsOfFailures(t *testing.T) {
	s := launch(t, spec("badly", address(t)))
	if err := s.Stop(); err == nil || !strings.Contains(err.Error(), "exit status 1; it wrote last:\nit burns") {
		t.Errorf("the error is %v", err)
	}
	s = launch(t, spec("server", address(t)))
	if err := syscall.Kill(s.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone(t, s.Pid())
	if err := s.Stop(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the error is %v", err)
	}
}

func TestServersEndWithTheirRunner(t *testing.T) {
	at := address(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=runner", addressVariable+"="+at)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var server int
	_, scanned := fmt.Fscan(out, &server)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if scanned != nil {
		t.Fatal(scanned)
	}
	gone(t, server)
}
