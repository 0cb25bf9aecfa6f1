package api

import (
	"encoding/json"
	"time"
)

// The types of events about retrainings. The subject is "retrain/ID", and the field after is a RetrainChange. That a
// version was pushed for a retraining is an EventVersionRegistered whose lineage names it.
const (
	EventRetrainAccepted = "retrain.accepted" // a trainer has the request
	EventRetrainRunning  = "retrain.running"  // the trainer works, or reports its progress
	EventRetrainJudged   = "retrain.judged"   // the candidate was compared with its parent
	EventRetrainFinished = "retrain.finished"
	EventRetrainFailed   = "retrain.failed"
	EventRetrainExpired  = "retrain.expired"
	EventRetrainRejected = "retrain.rejected"
	EventRetrainToken    = "retrain.token" // the trainer gets a token; the journal has only its digest
)

// TrainerTokenPrefix begins the tokens that trainers get for one retraining. TrainerTokenBytes is the length of one.
const (
	TrainerTokenPrefix = "sluice_retrain_"
	TrainerTokenBytes  = len(TrainerTokenPrefix) + 43
)

// Causes of a request for retraining besides drift and performance.
const (
	CauseManual   = "manual"   // a person asked for it
	CauseSchedule = "schedule" // the model's schedule
)

// The states of a retraining. The last four are final.
const (
	RetrainRequested  = "requested"  // no trainer has it yet
	RetrainAccepted   = "accepted"   // a trainer has it
	RetrainRunning    = "running"    // the trainer has reported that it works
	RetrainRegistered = "registered" // a version was pushed for it
	RetrainJudged     = "judged"     // the version was compared with its parent
	RetrainFinished   = "finished"   // the rollout policy of the model was applied to the version
	RetrainFailed     = "failed"     // the trainer reported so, or ended without a version
	RetrainExpired    = "expired"    // the trainer did not push a version in time
	RetrainRejected   = "rejected"   // a person canceled it, or closed its signal
)

// The kinds of trainers.
const (
	TrainerNone    = "none"    // requests wait for a person or a program that reads the list of signals
	TrainerWebhook = "webhook" // the receiver of signals
	TrainerExec    = "exec"    // a program of this machine
	TrainerNATS    = "nats"    // whoever reads a subject of NATS JetStream
)

// The rollout policies: what the gateway does with a trained version that is not worse than its parent.
const (
	AfterManual     = "manual"      // nothing: a person decides
	AfterShadow     = "shadow-only" // it becomes a shadow of its model's route
	AfterCanaryAuto = "canary-auto" // a rollout starts
)

// The verdicts on a candidate. A margin separates "not worse" from "worse".
const (
	VerdictBetter   = "better"    // its loss is lower: the whole interval of the difference is below 0
	VerdictNotWorse = "not_worse" // the whole interval is below the margin
	VerdictWorse    = "worse"     // the whole interval is above 0
	VerdictUnknown  = "unknown"   // the rows are too few to tell, or have no labels
)

// Retraining is the life of one request for retraining. Its id is that of the signal. GET /api/v1/signals/{id}/retraining answers
// with it.
type Retraining struct {
	ID          string    `json:"id"`
	Model       string    `json:"model"`
	Parent      int64     `json:"parent"` // the version whose problem caused the request
	Cause       string    `json:"cause"`
	State       string    `json:"state"`
	RequestedAt time.Time `json:"requested_at"`
	ChangedAt   time.Time `json:"changed_at"` // when the state changed last
	// Trainer is the kind of trainer that has the request. Absent until one has it.
	Trainer    string     `json:"trainer,omitempty"`
	AcceptedAt *time.Time `json:"accepted_at,omitempty"`
	Deadline   *time.Time `json:"deadline,omitempty"` // until which a version must be pushed
	// Document is the digest of the document for the trainer, "sha256:…".
	Document string   `json:"document,omitempty"`
	Attempts int      `json:"attempts,omitempty"` // how often a program was started
	Progress *float64 `json:"progress,omitempty"` // from 0 to 1, as the trainer says
	Message  string   `json:"message,omitempty"`  // the trainer's last one
	Log      string   `json:"log,omitempty"`      // a link to the trainer's log

	Candidate int64      `json:"candidate,omitempty"` // the version that was pushed
	Digest    string     `json:"digest,omitempty"`    // of its files
	Judgement *Judgement `json:"judgement,omitempty"`
	Rollout   string     `json:"rollout,omitempty"` // the id of the rollout that was started
	Why       string     `json:"why,omitempty"`     // why it is in its state
}

// Final reports whether a retraining has ended.
func (r *Retraining) Final() bool {
	switch r.State {
	case RetrainFinished, RetrainFailed, RetrainExpired, RetrainRejected:
		return true
	}
	return false
}

// RetrainChange is the field after of an event about a retraining. Fields that do not change are absent.
type RetrainChange struct {
	Model     string     `json:"model"`
	Trainer   string     `json:"trainer,omitempty"`
	Deadline  *time.Time `json:"deadline,omitempty"`
	Document  string     `json:"document,omitempty"`
	Attempt   int        `json:"attempt,omitempty"`
	Progress  *float64   `json:"progress,omitempty"`
	Message   string     `json:"message,omitempty"`
	Log       string     `json:"log,omitempty"`
	Judgement *Judgement `json:"judgement,omitempty"`
	Rollout   string     `json:"rollout,omitempty"`
	Why       string     `json:"why,omitempty"`
	Token     string     `json:"token,omitempty"` // the digest of a token, "sha256:…"
}

// Judgement compares a candidate with its parent on the same rows.
type Judgement struct {
	Verdict string `json:"verdict"`
	Why     string `json:"why"`
	Window  Span   `json:"window"` // of the rows
	Rows    int64  `json:"rows"`   // on which both versions have answered
	// Labelled counts the rows with labels. The fields about losses are about these.
	Labelled  int64   `json:"labelled"`
	Loss      string  `json:"loss,omitempty"`      // the name of the loss: error, brier or absolute_error
	Parent    float64 `json:"parent,omitempty"`    // its mean loss
	Candidate float64 `json:"candidate,omitempty"` // its mean loss
	// Difference is the mean of the candidate's loss less the parent's, row by row. Low and High bound it with the
	// given confidence.
	Difference float64 `json:"difference,omitempty"`
	Low        float64 `json:"low,omitempty"`
	High       float64 `json:"high,omitempty"`
	Confidence float64 `json:"confidence,omitempty"`
	Margin     float64 `json:"margin,omitempty"` // the growth of the mean loss that counts as not worse
	// Agreement is the share of rows with the same prediction: the same class, or a number that differs by less than a
	// thousandth.
	Agreement float64 `json:"agreement"`
	Files     int     `json:"files"`             // of captured requests that were read
	Skipped   int     `json:"skipped,omitempty"` // files that are missing or damaged
}

// RetrainProgress is the body of POST /api/v1/signals/{id}/progress.
type RetrainProgress struct {
	Progress *float64 `json:"progress,omitempty"` // from 0 to 1
	Message  string   `json:"message,omitempty"`
	Log      string   `json:"log,omitempty"` // the URL of the trainer's log
}

// RetrainFailure is the body of POST /api/v1/signals/{id}/fail.
type RetrainFailure struct {
	Reason string `json:"reason"`
}

// RetrainAsk is the body of POST /api/v1/models/{name}/retrain.
type RetrainAsk struct {
	Reason string `json:"reason"`
}

// TrainingRequest is the document for a trainer: all that it needs to train a successor of a version, and all that someone
// else needs to train it again. docs/retraining.md explains each field.
type TrainingRequest struct {
	Format    int       `json:"format"` // 1
	ID        string    `json:"id"`     // of the signal
	Gateway   string    `json:"gateway"`
	Model     string    `json:"model"`
	Cause     string    `json:"cause"`
	Reason    string    `json:"reason,omitempty"` // why a person asked
	CreatedAt time.Time `json:"created_at"`       // when the document was made

	Signal SignalData     `json:"signal"` // what was detected, with its findings and the detector's settings
	Parent TrainingParent `json:"parent"`
	// Reference is the profile with which the window was compared, and Window the profile of the window. Each is absent if
	// there is none.
	Reference *TrainingProfile `json:"reference,omitempty"`
	Window    *TrainingProfile `json:"window,omitempty"`
	Data      TrainingData     `json:"data"`
	// Seed is for all random numbers: the first 4 bytes of the SHA-256 of the id, as a number without sign.
	Seed uint32         `json:"seed"`
	Grid map[string]any `json:"grid"` // lists of values by parameter, from the configuration
	// Trials and Budget bound the search over the grid.
	Trials   int              `json:"trials"`
	Budget   Duration         `json:"budget"`
	Metric   string           `json:"metric"` // by which the best trial is chosen
	Deadline time.Time        `json:"deadline"`
	Calls    TrainingCalls    `json:"calls"`
	Lineage  []TrainingParent `json:"lineage"` // the parent's ancestors, the nearest first
	// Token is the key for all calls, until the retraining ends, and a while longer for calls that are repeated. It is only in the document
	// that a trainer gets, and absent from the one that the API shows.
	Token string `json:"token,omitempty"`
}

// TrainingParent is a version that another one was made from.
type TrainingParent struct {
	Version int64             `json:"version"`
	Digest  string            `json:"digest"`
	Inputs  []Tensor          `json:"inputs,omitempty"`
	Outputs []Tensor          `json:"outputs,omitempty"`
	Opsets  map[string]int64  `json:"opsets,omitempty"`
	Lineage Lineage           `json:"lineage,omitzero"`
	Card    map[string]any    `json:"card,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
}

// The parts of a TrainingRequest that can be outside of it.
const (
	PartReference = "reference"
	PartWindow    = "window"
)

// TrainingProfile is a profile: in the document, or where it can be read.
type TrainingProfile struct {
	Digest  string          `json:"digest,omitempty"`
	Profile json.RawMessage `json:"profile,omitempty"` // up to 64 KiB
	URL     string          `json:"url,omitempty"`     // of a larger one
}

// TrainingData says which captured requests the candidate is trained on.
type TrainingData struct {
	Since time.Time `json:"since"` // inclusive
	Until time.Time `json:"until"` // exclusive
	// Changed is when the problem began, as far as it is known: rows from then on show the world as it is now.
	Changed time.Time `json:"changed"`
	// Holdout is the time from which on rows are for the comparison of the candidate with its parent. A trainer must neither
	// train on them nor choose its best trial by them.
	Holdout time.Time `json:"holdout"`
	Rows    int64     `json:"rows"`
	Labels  int64     `json:"labels"` // rows of files of labels
	// Files are those of the bucket that have rows of the range. FilesTotal counts them, also if Files is cut off. Manifest
	// is a digest over path and digest of each.
	Files      []CaptureFile `json:"files"`
	FilesTotal int           `json:"files_total"`
	Manifest   string        `json:"manifest"`
	Bucket     string        `json:"bucket,omitempty"`  // the configured URL; absent if it is a folder of the gateway
	Export     string        `json:"export"`            // GET: rows of the range with their labels, as Parquet
	Problem    string        `json:"problem,omitempty"` // why there is no captured data
	// Unwritten is what had arrived before until and was not in a file yet. Files, rows, labels and the manifest do not have it. Absent if
	// there is nothing.
	Unwritten *CaptureWaiting `json:"unwritten,omitempty"`
}

// CaptureWaiting are captured rows that could not be written into files.
type CaptureWaiting struct {
	Rows   int64  `json:"rows"`
	Labels int64  `json:"labels"`
	Why    string `json:"why"`
}

// TrainingCalls are the URLs that a trainer calls.
type TrainingCalls struct {
	Push     string `json:"push"`     // POST: the candidate, with lineage that names the id
	Progress string `json:"progress"` // POST: a RetrainProgress
	Fail     string `json:"fail"`     // POST: a RetrainFailure
	Document string `json:"document"` // GET: this document again
}
