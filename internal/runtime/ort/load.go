package ort

import (
	"cmp"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	binding "github.com/yalue/onnxruntime_go"

	"sluice.io/sluice/internal/infer"
)

// LoadOptions configure one version of a model. OptimizationLevel and the last three limits
// have no default.
type LoadOptions struct {
	Name    string
	Version int64

	// Producer is the library that wrote the file, as the file says ("skl2onnx"). The advice in
	// errors depends on it. It may be empty.
	Producer string

	// Model is loaded in place of the file's content if it is not nil. Its external tensors are
	// read from the file's folder. Load does not keep it.
	Model []byte

	// Providers are in order of preference; the CPU is always added last. A provider that the
	// library lacks is an error. With Fallback it is logged and left out.
	Providers []Provider
	Fallback  bool

	// IntraThreads above 1 runs the model on the environment's global threads; with 0 and 1 it
	// runs on the caller's thread only.
	IntraThreads int
	// CPUArena lets ONNX Runtime keep freed memory. The arena's lock costs small models up to a
	// quarter of their speed.
	CPUArena bool
	// OptimizationLevel is disable, basic, extended or all.
	OptimizationLevel string
	// ConfigEntries are session config entries of ONNX Runtime, by their key.
	ConfigEntries map[string]string
	// CustomOps are paths of libraries with operators. They run in the process: take them only
	// from the operator's configuration.
	CustomOps []string

	PreparedShapes int   // how many shapes' tensors an instance keeps ready; at least 1
	KeepBytes      int64 // larger blocks of an instance are freed after each run, in bytes; at least 1
	MaxOutputBytes int64 // the most bytes of all outputs of one run; at least 1
}

// check returns an error that names the first limit below 1.
func (o *LoadOptions) check() error {
	for _, limit := range []struct {
		option string
		value  int64
	}{
		{"PreparedShapes", int64(o.PreparedShapes)}, {"KeepBytes", o.KeepBytes}, {"MaxOutputBytes", o.MaxOutputBytes},
	} {
		if limit.value < 1 {
			return infer.Errorf(infer.Invalid, "ort: %s is %d; expected at least 1", limit.option, limit.value)
		}
	}
	return nil
}

// Load makes a session of the model file at path. Errors are *infer.Error, with code Invalid if
// the model or the options are wrong. No message has a path of the host.
func (e *Environment) Load(path string, o LoadOptions) (*Session, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	// Before ONNX Runtime opens the file, since its own message has the path.
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil, &infer.Error{Code: infer.Invalid, Op: "ort: load", Msg: "the model file cannot be read", Err: cmp.Or(err, errors.New("it is not a regular file"))}
	}
	options, err := binding.NewSessionOptions()
	if err != nil {
		return nil, internal("load", "the session options cannot be made", err)
	}
	defer options.Destroy() //nolint:errcheck // it fails only when destroyed twice
	if err := configure(options, &o, filepath.Dir(path)); err != nil {
		return nil, err
	}
	providers, err := e.appendProviders(options, &o)
	if err != nil {
		return nil, err
	}
	session, err := createFrom(e.env, path, o.Model, handle(options))
	if err != nil {
		e.trim()
		if sentence, ok := explain(err.Error(), e.Version(), len(o.CustomOps) > 0); ok {
			return nil, &infer.Error{Code: infer.Invalid, Op: "ort: load", Msg: "the model cannot be loaded: " + sentence, Err: err}
		}
		return nil, loadError("the model cannot be loaded", err, append([]string{path}, o.CustomOps...)...)
	}
	model, err := signature(session, &o)
	if err != nil {
		releaseSession(session)
		e.trim()
		return nil, err
	}
	e.sessions.Add(1)
	o.Model = nil
	return newSession(e, session, model, providers, &o), nil
}

// createFrom makes a session from the file at path, or from model if that is not nil.
func createFrom(env cEnv, path string, model []byte, options cOptions) (cSession, error) {
	if model == nil {
		return createSession(env, path, options)
	}
	return createSessionFrom(env, model, options)
}

// configure sets all options except for the providers. folder is that of a model's external
// data.
func configure(options *binding.SessionOptions, o *LoadOptions, folder string) error {
	levels := map[string]binding.GraphOptimizationLevel{
		"all": binding.GraphOptimizationLevelEnableAll, "extended": binding.GraphOptimizationLevelEnableExtended,
		"basic": binding.GraphOptimizationLevelEnableBasic, "disable": binding.GraphOptimizationLevelDisableAll,
	}
	level, ok := levels[o.OptimizationLevel]
	if !ok {
		return infer.Errorf(infer.Invalid, "ort: OptimizationLevel is '%s'; expected disable, basic, extended or all", o.OptimizationLevel)
	}
	entries := map[string]string{"session.intra_op.allow_spinning": "0", "session.inter_op.allow_spinning": "0"}
	maps.Copy(entries, o.ConfigEntries)
	if o.Model != nil {
		entries["session.model_external_initializers_file_folder_path"] = folder
	}
	errs := []error{
		options.SetGraphOptimizationLevel(level),
		options.SetExecutionMode(binding.ExecutionModeSequential),
		options.SetIntraOpNumThreads(1),
		options.SetInterOpNumThreads(1),
		options.SetCpuMemArena(o.CPUArena),
		options.SetMemPattern(false),                           // it would keep every shape it ever gets, without limit
		options.SetLogSeverityLevel(binding.LoggingLevelFatal), // errors are returned as statuses
	}
	if o.IntraThreads > 1 {
		errs = append(errs, useGlobalThreads(handle(options)))
	}
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		errs = append(errs, options.AddSessionConfigEntry(key, entries[key]))
	}
	if err := errors.Join(errs...); err != nil {
		return loadError("the session options are not valid", err)
	}
	for _, library := range o.CustomOps {
		if err := registerCustomOps(handle(options), library); err != nil {
			return loadError("a library of custom operators cannot be loaded", err, library)
		}
	}
	return nil
}
