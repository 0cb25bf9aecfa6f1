package api

import "time"

// The types of events about registered versions. The field after is a VersionRecord for
// version.registered and version.described, and a VersionMove for the others. The subject
// names the version: "models/iris/3".
const (
	EventVersionRegistered = "version.registered" // the version is in the repository. It does not serve because of that
	EventVersionDescribed  = "version.described"  // its card or its tags changed
	EventVersionArchived   = "version.archived"   // its files are kept, and it cannot be loaded
	EventVersionRestored   = "version.restored"   // it is not archived any more
	EventVersionDeleted    = "version.deleted"    // its files are gone. No other version gets its number
)

// The states of a version that is not loaded, in the list of versions. They have no name in
// Triton's repository index.
const (
	StateRegistered = "REGISTERED" // in the repository; no route and no alias names it
	StateArchived   = "ARCHIVED"
)

// VersionRecord describes a registered version: what was pushed, by whom, and where it comes
// from. It is the file sluice.json in the version's folder, which is not part of the digest.
type VersionRecord struct {
	Format    int              `json:"format"` // 1
	Model     string           `json:"model"`
	Version   int64            `json:"version"`
	Digest    string           `json:"digest"` // of model file, external data and labels, "sha256:…"
	Size      int64            `json:"size"`   // bytes of all files
	Inputs    []Tensor         `json:"inputs"`
	Outputs   []Tensor         `json:"outputs"`
	Opsets    map[string]int64 `json:"opsets"` // by domain; "ai.onnx" is the standard's
	IRVersion int64            `json:"ir_version,omitempty"`
	Producer  string           `json:"producer,omitempty"` // the program that wrote the file
	VersionMetadata
	// Revision counts the changes of card and tags. If-Match names the revision to change.
	Revision int64     `json:"revision"`
	PushedAt time.Time `json:"pushed_at"`
	PushedBy Actor     `json:"pushed_by"`
}

// VersionMetadata is what the one that pushes a version says about it.
type VersionMetadata struct {
	Lineage Lineage           `json:"lineage,omitzero"`
	Card    map[string]any    `json:"card,omitempty"` // the model card; registry.card_required names the fields that it must have
	Tags    map[string]string `json:"tags,omitempty"`
}

// VersionPatch changes entries of the card and the tags of a version, as a JSON merge patch: a nil
// entry is removed, and entries that are not named stay as they are.
type VersionPatch struct {
	Card map[string]any     `json:"card,omitempty"`
	Tags map[string]*string `json:"tags,omitempty"`
}

// Lineage says where a version comes from. All of it is optional.
type Lineage struct {
	Parent       int64              `json:"parent,omitempty"`        // the version that this one was made from
	DataSnapshot string             `json:"data_snapshot,omitempty"` // the training data
	CodeRevision string             `json:"code_revision,omitempty"`
	Run          string             `json:"run,omitempty"`        // the training run
	Metrics      map[string]float64 `json:"metrics,omitempty"`    // such as accuracy
	Parameters   map[string]string  `json:"parameters,omitempty"` // of the training
	Source       string             `json:"source,omitempty"`     // the registry that it was imported from
	// Retrain is the id of the retraining that the version was trained for.
	Retrain string `json:"retrain,omitempty"`
	// Trials are what the trainer has tried before it chose this version.
	Trials []Trial `json:"trials,omitempty"`
}

// Trial is one attempt of a search over parameters.
type Trial struct {
	Parameters map[string]any     `json:"parameters"`
	Metrics    map[string]float64 `json:"metrics"`
	Chosen     bool               `json:"chosen,omitempty"`
}

// VersionInfo is a version in the repository, registered or not. It answers
// GET /api/v1/models/{name}/versions/{version}.
type VersionInfo struct {
	Model   string `json:"model"`
	Version int64  `json:"version"`
	// State is READY, LOADING, UNLOADING or UNAVAILABLE for a version that should serve, and
	// else REGISTERED or ARCHIVED.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Record is absent for a version whose files were copied into the repository, and not
	// pushed.
	Record *VersionRecord `json:"record,omitempty"`
	// Validation is what the load has shown. Only while the version is loaded.
	Validation *Validation `json:"validation,omitempty"`
	// NamedBy lists what names the version: routes and aliases.
	NamedBy []string `json:"named_by,omitempty"`
}

// VersionMove is the field after of an event about the files of a version.
type VersionMove struct {
	Model   string `json:"model"`
	Version int64  `json:"version"`
	Digest  string `json:"digest"`
}

// The outcomes of golden rows.
const (
	GoldenPassed  = "passed"
	GoldenSkipped = "skipped" // the version has none
)

// Validation is what the load of a version has shown. If golden rows differ, the load fails.
type Validation struct {
	Golden        string  `json:"golden"` // passed or skipped
	Examples      int     `json:"examples,omitempty"`
	MaxDifference float64 `json:"max_difference,omitempty"` // of an element of the answers
	// Latency and MaxLatency are the median and the largest time of an example, each alone.
	Latency    Duration `json:"latency,omitzero"`
	MaxLatency Duration `json:"max_latency,omitzero"`
	// InstanceBytes are the bytes that the instances held outside Go's heap after the load.
	InstanceBytes int64 `json:"instance_bytes"`
}
