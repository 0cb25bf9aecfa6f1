package serving

import (
	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
)

// Runtime loads models. ortRuntime is the real one; tests have their own.
type Runtime interface {
	// Load loads a model file. Errors are *infer.Error and their Msg has no path of the host.
	Load(f *File, v infer.Version, m config.Model) (Session, error)
	// Describe returns name and version, "ONNX Runtime 1.24.1".
	Describe() string
	// Memory returns the bytes outside Go's heap, by purpose.
	Memory() map[string]int64
	// Close frees the runtime. All sessions must be closed.
	Close() error
}

// Session is a loaded model. Its instances must be closed before it is.
type Session interface {
	Model() *infer.Model
	Providers() []api.Provider
	NewInstance() (batch.Instance, error)
	Traits() onnxfile.Traits // properties of the file's operators
	MemoryInUse() int64      // bytes that its instances hold outside Go's heap
	Close() error
}
