package ort

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	binding "github.com/yalue/onnxruntime_go"
	"go.uber.org/zap"
)

// Options configure the one environment of a process.
type Options struct {
	Library       string      // path of the shared library; if empty, FindLibrary
	GlobalThreads int         // threads of the pool that models with IntraThreads > 1 share; at least 1
	Logger        *zap.Logger // nil: no log
}

// Environment is the loaded library with its thread pool. A process has at most one at a time.
type Environment struct {
	env       cEnv
	library   string
	providers []string
	log       *zap.Logger
	sessions  atomic.Int64
	memory    Memory
	trims     atomic.Int64 // sessions that were closed since the last trim began
}

// Open loads ONNX Runtime, with its telemetry off, and makes the environment. The shim must
// make it before the binding does: the first maker sets the global threads, and the binding
// cannot. The binding then uses the same environment.
func Open(o Options) (*Environment, error) {
	if o.GlobalThreads < 1 {
		return nil, fmt.Errorf("ort: GlobalThreads is %d; expected at least 1", o.GlobalThreads)
	}
	if err := checkHandles(); err != nil {
		return nil, fmt.Errorf("ort: %w", err)
	}
	if binding.IsInitialized() {
		return nil, errors.New("ort: the environment is already open")
	}
	// The library reads them when it is loaded. The name depends on its version.
	for _, name := range []string{"ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED"} {
		if err := os.Setenv(name, "1"); err != nil {
			return nil, fmt.Errorf("ort: cannot switch telemetry off: %w", err)
		}
	}
	path := o.Library
	if path == "" {
		path = FindLibrary()
	}
	if err := openLibrary(path); err != nil {
		return nil, fmt.Errorf("ort: cannot load ONNX Runtime (run 'make setup', or set %s to the path of the library): %w", LibraryVariable, err)
	}
	env, err := createEnv(o.GlobalThreads)
	if err != nil {
		return nil, fmt.Errorf("ort: cannot make the environment: %w", err)
	}
	e := &Environment{env: env, library: path, log: o.Logger}
	if e.log == nil {
		e.log = zap.NewNop()
	}
	if err := e.join(); err != nil {
		releaseEnv(env)
		return nil, fmt.Errorf("ort: %w", err)
	}
	return e, nil
}

// join makes the binding use the same library and environment.
func (e *Environment) join() (err error) {
	if e.providers, err = availableProviders(); err != nil {
		return err
	}
	binding.SetSharedLibraryPath(e.library)
	if err := binding.InitializeEnvironment(); err != nil {
		return err
	}
	if err := binding.DisableTelemetry(); err != nil {
		return errors.Join(err, binding.DestroyEnvironment())
	}
	return nil
}

// Version returns the library's version, "1.24.1".
func (e *Environment) Version() string { return libraryVersion() }

// AvailableProviders returns the execution providers that the library was built with, by its
// own names ("CPUExecutionProvider").
func (e *Environment) AvailableProviders() []string { return e.providers }

// Memory returns the counters of the memory that all instances hold outside Go's heap.
func (e *Environment) Memory() *Memory { return &e.memory }

// trim gives the memory of closed sessions back to the system; otherwise the allocator keeps
// the memory of their weights. It scans the whole heap, some milliseconds, so one of several
// concurrent callers does it for all.
func (e *Environment) trim() {
	if e.trims.Add(1) > 1 {
		return
	}
	for {
		closed := e.trims.Load()
		trimHeap()
		if e.trims.CompareAndSwap(closed, 0) {
			return
		}
	}
}

// Close frees the environment. All sessions must be closed.
func (e *Environment) Close() error {
	if n := e.sessions.Load(); n != 0 {
		return fmt.Errorf("ort: cannot close the environment: %d sessions are still open", n)
	}
	if e.env == nil {
		return closedTwice("environment")
	}
	err := binding.DestroyEnvironment()
	releaseEnv(e.env)
	e.env = nil
	return err
}
