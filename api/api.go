// Package api holds the JSON documents of the control API, which is under /api/v1/ on
// the admin port: snake_case names, RFC 3339 times, durations as strings. It imports
// the standard library only, so that clients can use it.
package api

import "time"

// The states of a version, named as Triton's repository index names them.
const (
	StateReady       = "READY"
	StateLoading     = "LOADING"
	StateUnloading   = "UNLOADING"
	StateUnavailable = "UNAVAILABLE"
)

// ModelStatus is the state of one version of one model. A folder without a version is
// not a model.
type ModelStatus struct {
	Name    string `json:"name"`
	Version int64  `json:"version"`
	State   string `json:"state"`
	Role    string `json:"role,omitempty"` // live or shadow; one version may be loaded in both
	// Reason says why a version is not ready, or warns about a version that is. It
	// never contains a path of the host.
	Reason string `json:"reason,omitempty"`
	// Digest is the SHA-256 over the sorted relative paths and contents of the version's model
	// file, external data and labels, "sha256:…". It is empty until the gateway has read the
	// version.
	Digest   string       `json:"digest,omitempty"`
	LoadedAt *time.Time   `json:"loaded_at,omitempty"`
	Detail   *ModelDetail `json:"detail,omitempty"` // only while loaded
	Memory   *ModelMemory `json:"memory,omitempty"` // only while loaded
}

// ModelDetail describes a loaded version: its signature, and how it runs.
type ModelDetail struct {
	Inputs    []Tensor       `json:"inputs"`
	Outputs   []Tensor       `json:"outputs"`
	Instances int            `json:"instances"` // the number of workers, each with its own buffers
	Providers []Provider     `json:"providers"` // the effective execution providers, in order
	Batching  BatchingStatus `json:"batching"`
	Warmup    string         `json:"warmup"`            // "ok", or why there was no warm-up
	Ignored   []string       `json:"ignored,omitempty"` // files that the gateway does not use, such as "config.pbtxt"
	// ZipMaps are the outputs that are maps in the model file. The gateway removes the
	// ZipMap operator of each and answers a tensor of probabilities.
	ZipMaps []string `json:"zipmaps,omitempty"`
	// LabelsFrom lists the sources of the labels of outputs: "labels.txt", "ZipMap", or
	// "metadata 'names'" for an entry of the model file's metadata.
	LabelsFrom []string `json:"labels_from,omitempty"`
	// Validation is what golden rows, if there are any, have shown at the load.
	Validation *Validation `json:"validation,omitempty"`
	// Profile is the drift profile of the version. Absent if there is none.
	Profile *ModelProfile `json:"profile,omitempty"`
}

// ModelProfile describes the drift profile of a version.
type ModelProfile struct {
	From   string `json:"from"`             // configuration, or version folder
	Digest string `json:"digest,omitempty"` // of the profile, which is not part of the version
	Reason string `json:"reason,omitempty"` // why the profile cannot be used
}

// ModelMemory counts the bytes that a version's instances hold outside Go's heap.
type ModelMemory struct {
	InstanceBytes int64 `json:"instance_bytes"`
	// SlotBytes is the old name of InstanceBytes.
	//
	// Deprecated: use InstanceBytes. The next release does not write this one.
	SlotBytes int64 `json:"slot_bytes"`
}

// Tensor describes an input or output. A dimension of -1 varies.
type Tensor struct {
	Name     string   `json:"name"`
	Datatype string   `json:"datatype"`
	Shape    []int64  `json:"shape"`
	Symbols  []string `json:"symbols,omitempty"`
	Optional bool     `json:"optional,omitempty"`
	Labels   []string `json:"labels,omitempty"` // names of the classes, along the last dimension of an output
}

// Provider is an execution provider of ONNX Runtime with its options.
type Provider struct {
	Name    string            `json:"name"`
	Options map[string]string `json:"options,omitempty"`
}

// BatchingStatus says whether the gateway joins requests for a version into one run.
type BatchingStatus struct {
	Enabled bool   `json:"enabled"`
	Summary string `json:"summary,omitempty"` // a few words: "yes, probed", "no, rows mix", "on trial"
	Reason  string `json:"reason"`            // one sentence: what the probe found, and in which tensor
	Advice  string `json:"advice,omitempty"`  // what to do about it; absent if there is nothing to do
	MaxSize int    `json:"max_size,omitempty"`
	// RunTimes are the run times of the shapes with the most runs, the most used first.
	RunTimes []RunTime `json:"run_times,omitempty"`
}

// RunTime estimates how long a run of a shape takes: fixed + per_row · rows, fitted to
// the runs so far. It is for runs of min_rows to max_rows. If these are equal, fixed is
// the mean and per_row is 0.
type RunTime struct {
	Shape   string   `json:"shape"` // the inputs and their shapes, "x[-1,3]"; -1 is the number of rows
	Runs    uint64   `json:"runs"`
	MinRows int      `json:"min_rows"`
	MaxRows int      `json:"max_rows"`
	Fixed   Duration `json:"fixed"`
	PerRow  Duration `json:"per_row"`
	// RunRows is the number of rows that a run takes if so many wait: at most max_size,
	// and less if more rows would save no time. A run can have more rows, since a few
	// requests may always run together. Absent if requests are never joined.
	RunRows int `json:"run_rows,omitempty"`
	// Gain is the throughput in rows per second of runs of run_rows rows, divided by the
	// throughput of runs of one row. Absent if it is not known.
	Gain float64 `json:"gain,omitempty"`
	// Joined says whether waiting requests are joined. Requests run one by one if
	// joining them would gain almost nothing.
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
	// RepositoryWarnings list files and folders of the repository that look like models
	// but are not served.
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
	Changed []string `json:"changed"` // one line for each change that was made; empty if nothing differed
	// Differing has one line for each route that differs from the file because of an
	// edit through the control API. A reload does not change these routes.
	Differing []string `json:"differing,omitempty"`
}

// Error is the body of every answer with a status other than 2xx, on both ports.
type Error struct {
	Error string `json:"error"`
}
