package serving

import (
	"cmp"
	"runtime"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/runtime/ort"
)

// keepBytes is the size up to which a worker keeps its input block, and its output block,
// between runs, in bytes. Larger blocks are freed, so that one large request does not keep its
// memory as long as the version is loaded.
const keepBytes = 64 << 20

// ortRuntime is ONNX Runtime as a Runtime.
type ortRuntime struct {
	env       *ort.Environment
	customOps []string
	maxOutput int64
}

// OpenORT opens ONNX Runtime with the settings of the configuration.
func OpenORT(cfg *config.Config, log *zap.Logger) (Runtime, error) {
	env, err := ort.Open(ort.Options{
		Library: cfg.Runtime.Library, Logger: log.Named("ort"),
		GlobalThreads: cmp.Or(cfg.Runtime.GlobalThreads, runtime.GOMAXPROCS(0)), // 0: one per core
	})
	if err != nil {
		return nil, err
	}
	return &ortRuntime{env: env, customOps: cfg.Runtime.CustomOps, maxOutput: int64(cfg.Server.Limits.MaxResponse)}, nil
}

// Load implements Runtime.
func (r *ortRuntime) Load(f *File, v infer.Version, m config.Model) (Session, error) {
	o := ort.LoadOptions{
		Name: v.Model, Version: v.Number, Model: f.changed, Producer: f.head.Producer, Fallback: m.Fallback,
		IntraThreads: m.IntraThreads, CPUArena: m.Arena, OptimizationLevel: m.Optimization,
		ConfigEntries: m.SessionConfig, CustomOps: r.customOps,
		PreparedShapes: m.PreparedShapes, KeepBytes: keepBytes, MaxOutputBytes: r.maxOutput,
	}
	if o.OptimizationLevel == "none" {
		o.OptimizationLevel = "disable"
	}
	for _, p := range m.Providers {
		o.Providers = append(o.Providers, ort.Provider{Name: p.Name, Options: p.Options})
	}
	s, err := r.env.Load(f.path, o)
	if err != nil {
		return nil, err
	}
	s.Model().NoEmpty = f.traits.NoEmpty
	return ortSession{s, f.traits}, nil
}

// Describe implements Runtime.
func (r *ortRuntime) Describe() string { return "ONNX Runtime " + r.env.Version() }

// Memory implements Runtime.
func (r *ortRuntime) Memory() map[string]int64 {
	m := r.env.Memory()
	return map[string]int64{"inputs": m.Inputs(), "outputs": m.Outputs()}
}

// Close implements Runtime.
func (r *ortRuntime) Close() error { return r.env.Close() }

// ortSession makes *ort.Session a Session: its instances have the interface of the batcher.
type ortSession struct {
	*ort.Session
	traits onnxfile.Traits
}

// NewInstance implements Session.
func (s ortSession) NewInstance() (batch.Instance, error) { return s.Session.NewInstance() }

// Traits implements Session.
func (s ortSession) Traits() onnxfile.Traits { return s.traits }

// MemoryInUse implements Session.
func (s ortSession) MemoryInUse() int64 { return s.Session.Memory().InUse() }
