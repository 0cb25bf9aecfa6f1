// Package api holds the documents of the control plane, as JSON carries them
// under /api/v1/ on the admin port: snake_case names, RFC 3339 times, durations
// as strings. It imports the standard library only, so that clients can use it.
package api

import "time"

// The states of a version, named as Triton's repository index names them.
const (
	StateReady       = "READY"
	StateLoading     = "LOADING"
	StateUnloading   = "UNLOADING"
	StateUnavailable = "UNAVAILABLE"
)

// ModelStatus is one version of one model as the registry sees it. A folder
// without a version in it is no model.
type ModelStatus struct {
	Name    string `json:"name"`
	Version int64  `json:"version"`
	State   string `json:"state"`
	// Reason says why a version is not ready, or what about it is worth knowing.
	// It never holds a path of the host.
	Reason string `json:"reason,omitempty"`
	// Digest is the SHA-256 over the sorted relative paths and contents of the version's model
	// file, external data and labels, "sha256:…". Empty until the version was first read.
	Digest   string       `json:"digest,omitempty"`
	LoadedAt *time.Time   `json:"loaded_at,omitempty"`
	Detail   *ModelDetail `json:"detail,omitempty"` // only while loaded
	Memory   *ModelMemory `json:"memory,omitempty"` // only while loaded
}

// ModelDetail is what a loaded version found out about itself.
type ModelDetail struct {
	Inputs    []Tensor       `json:"inputs"`
	Outputs   []Tensor       `json:"outputs"`
	Instances int            `json:"instances"` // workers, each with buffers of its own
	Providers []Provider     `json:"providers"` // the effective execution providers, in order
	Batching  BatchingStatus `json:"batching"`
	Warmup    string         `json:"warmup"`            // "ok", or why it was not warmed
	Ignored   []string       `json:"ignored,omitempty"` // files that are not used, "config.pbtxt"
	// ZipMaps are the outputs that were maps in the model file; a ZipMap was cut off each,
	// and they are tensors of probabilities.
	ZipMaps []string `json:"zipmaps,omitempty"`
	// LabelsFrom says where the labels of outputs come from: "labels.txt", "ZipMap", or
	// "metadata 'names'" for an entry of the model file's metadata.
	LabelsFrom []string `json:"labels_from,omitempty"`
	// Profile is what the version is compared with; absent if with nothing.
	Profile *ModelProfile `json:"profile,omitempty"`
}

// ModelProfile says which profile a version is compared with.
type ModelProfile struct {
	From   string `json:"from"`             // configuration, or version folder
	Digest string `json:"digest,omitempty"` // of the profile, which is no part of the version
	Reason string `json:"reason,omitempty"` // why nothing can be compared with it
}

// ModelMemory counts the bytes that a version's instances hold outside Go's heap.
type ModelMemory struct {
	InstanceBytes int64 `json:"instance_bytes"`
	// SlotBytes is the old name of InstanceBytes.
	//
	// Deprecated: use InstanceBytes. The next release does not write this one.
	SlotBytes int64 `json:"slot_bytes"`
}

// Tensor describes an input or output; -1 is a dimension that varies.
type Tensor struct {
	Name     string   `json:"name"`
	Datatype string   `json:"datatype"`
	Shape    []int64  `json:"shape"`
	Symbols  []string `json:"symbols,omitempty"`
	Optional bool     `json:"optional,omitempty"`
	Labels   []string `json:"labels,omitempty"` // of the classes of an output, along its last dimension
}

// Provider is an execution provider of ONNX Runtime and the options it was given.
type Provider struct {
	Name    string            `json:"name"`
	Options map[string]string `json:"options,omitempty"`
}

// BatchingStatus says whether requests for a version are joined into one run.
type BatchingStatus struct {
	Enabled bool   `json:"enabled"`
	Summary string `json:"summary,omitempty"` // two words or so: "yes, probed", "no, rows mix", "on trial"
	Reason  string `json:"reason"`            // one plain sentence: what was found, and in which tensor
	Advice  string `json:"advice,omitempty"`  // what to do about it; absent where nothing needs to be done
	MaxSize int    `json:"max_size,omitempty"`
	// RunTimes are what was learnt of the shapes that ran most, the most used first.
	RunTimes []RunTime `json:"run_times,omitempty"`
}

// RunTime is the time of a shape's runs as far as it is known: fixed + per_row · rows,
// fitted to the runs as they come. It describes runs of min_rows to max_rows; where
// these are equal, fixed is the mean and per_row 0.
type RunTime struct {
	Shape   string   `json:"shape"` // "x[-1,3]": the inputs given; -1 stands for the rows that are joined
	Runs    uint64   `json:"runs"`
	MinRows int      `json:"min_rows"`
	MaxRows int      `json:"max_rows"`
	Fixed   Duration `json:"fixed"`
	PerRow  Duration `json:"per_row"`
	// RunRows is what a run grows to where as many rows wait: at most max_size, and
	// less where more would save nothing. A few requests may always run together, of
	// more rows than these. Absent where requests are never joined.
	RunRows int `json:"run_rows,omitempty"`
	// Gain is how many times as many rows a second runs of run_rows would do as runs
	// of one row; absent where that is not known.
	Gain float64 `json:"gain,omitempty"`
	// Joined says that requests that wait are joined. Those whose runs would gain next
	// to nothing run one by one.
	Joined bool `json:"joined"`
}

// ServerStatus answers GET /api/v1/status.
type ServerStatus struct {
	Version       string    `json:"version"`
	Revision      string    `json:"revision,omitempty"` // of the source code
	GoVersion     string    `json:"go_version"`
	Runtime       string    `json:"runtime"` // "ONNX Runtime 1.24.1"
	StartedAt     time.Time `json:"started_at"`
	Ready         bool      `json:"ready"`
	ModelControl  string    `json:"model_control"` // none, explicit or poll
	TableRevision int64     `json:"table_revision"`
	// RepositoryWarnings name what lies in the repository, seems to be meant to be
	// served, and is not.
	RepositoryWarnings []RepositoryWarning `json:"repository_warnings,omitempty"`
}

// RepositoryWarning is an entry of the model repository that is not used.
type RepositoryWarning struct {
	Path    string `json:"path"` // in the repository; "." is the repository itself
	Problem string `json:"problem"`
	Advice  string `json:"advice"` // what to do
}

// String returns path, problem and advice on one line.
func (w RepositoryWarning) String() string {
	at := w.Path
	if at == "." {
		at = "model repository"
	}
	return at + ": " + w.Problem + "; " + w.Advice
}

// ReloadResult answers POST /-/reload.
type ReloadResult struct {
	Changed []string `json:"changed"` // what was applied, one line each; empty when nothing differed
	// Differing lists the routes that are not as the file says because of edits
	// through the control API, which a reload leaves alone; one line each.
	Differing []string `json:"differing,omitempty"`
}

// Error is the body of every answer that is not 2xx, on both planes.
type Error struct {
	Error string `json:"error"`
}
