package api

import "time"

// The reasons why a request of the sample was not captured.
const (
	CaptureFull      = "buffer_full"
	CaptureTooLarge  = "too_large" // more than max_request
	CaptureUnwritten = "unwritten" // no file could be made of it
	CaptureNoID      = "no_id"     // it has no request id
	CaptureFailed    = "failed"    // of events: the receiver did not take it
)

// The formats of an export of captured requests.
const (
	CaptureJSONL   = "jsonl"
	CaptureCSV     = "csv"
	CaptureParquet = "parquet"
	CaptureTar     = "tar" // the files of the bucket as they are, also with what is outside of the range
)

// CaptureFormats returns the formats of an export.
func CaptureFormats() []string {
	return []string{CaptureJSONL, CaptureCSV, CaptureParquet, CaptureTar}
}

// The trailers of an export: the fields of a CaptureExport. The paths of skipped files are separated by
// commas.
const (
	CaptureRowsHeader         = "Sluice-Capture-Rows"
	CaptureReadHeader         = "Sluice-Capture-Files"
	CaptureSkippedHeader      = "Sluice-Capture-Skipped"
	CaptureSkippedFilesHeader = "Sluice-Capture-Skipped-Files"
)

// Captured says what is captured of a model.
type Captured struct {
	Model  string `json:"model"`
	Sample int    `json:"sample"` // in basis points; 0: nothing is captured now
	// The counts of what the manifests of the bucket list.
	Files int       `json:"files"`
	Rows  int64     `json:"rows"`
	Bytes int64     `json:"bytes"`
	First time.Time `json:"first,omitzero"` // the time of the first request
	Last  time.Time `json:"last,omitzero"`
	// Requests of this gateway since its start.
	Captured uint64            `json:"captured"`
	Dropped  map[string]uint64 `json:"dropped"`  // by reason
	Failures uint64            `json:"failures"` // of writes, which are repeated
	Damaged  uint64            `json:"damaged"`  // files that could not be read, and were skipped
	Waiting  int64             `json:"waiting"`  // bytes in memory that are not in a file yet
	Problem  string            `json:"problem,omitempty"`

	Labels         int64             `json:"labels"`          // rows of files of labels
	LabelsCaptured uint64            `json:"labels_captured"` // by this gateway since its start
	LabelsDropped  map[string]uint64 `json:"labels_dropped"`  // by reason

	EventsSent    uint64            `json:"events_sent,omitempty"`    // if capture.events has a URL
	EventsDropped map[string]uint64 `json:"events_dropped,omitempty"` // by reason
}

// CaptureFile is a file of captured requests.
type CaptureFile struct {
	Path    string    `json:"path"` // in the bucket
	Kind    string    `json:"kind"` // requests or labels
	Version int64     `json:"version,omitempty"`
	Day     string    `json:"day"` // when the requests arrived, or the labels
	Rows    int64     `json:"rows"`
	Bytes   int64     `json:"bytes"`
	SHA256  string    `json:"sha256"`
	First   time.Time `json:"first,omitzero"` // the time of the first request; also of labels that of their requests
	Last    time.Time `json:"last,omitzero"`
	Schema  string    `json:"schema"` // a digest: files with the same one have the same columns and settings
}

// CaptureRange selects captured requests. The zero value selects all.
type CaptureRange struct {
	Since   time.Time `json:"since,omitzero"` // of the request's arrival
	Until   time.Time `json:"until,omitzero"` // exclusive
	Version int64     `json:"version,omitempty"`
}

// Selects reports whether a file may have something of the range.
func (r *CaptureRange) Selects(f *CaptureFile) bool {
	return (r.Version == 0 || f.Version == r.Version || f.Version == 0) && (r.Since.IsZero() || !f.Last.Before(r.Since)) && (r.Until.IsZero() || f.First.Before(r.Until))
}

// CaptureManifest lists the files of a model that a gateway has written. It is a file in the bucket.
type CaptureManifest struct {
	Format  int           `json:"format"`
	Model   string        `json:"model"`
	Gateway string        `json:"gateway"`
	Updated time.Time     `json:"updated"`
	Files   []CaptureFile `json:"files"`
}

// CaptureRead is what an export is asked for. The journal has it.
type CaptureRead struct {
	CaptureRange

	Format string `json:"format"`
	Labels bool   `json:"labels,omitempty"` // whether rows are joined with their labels
}

// CaptureDeleted is what the journal says of a deletion, when it began.
type CaptureDeleted struct {
	RequestID string `json:"request_id"`
}

// CaptureExport says what an export has written.
type CaptureExport struct {
	Rows         int64    `json:"rows"`
	Files        int      `json:"files"`                   // that were read
	Skipped      int      `json:"skipped"`                 // files that are missing, cut off or damaged
	SkippedFiles []string `json:"skipped_files,omitempty"` // the first hundred of them, by path
}

// CaptureDeletion says what a deletion has removed.
type CaptureDeletion struct {
	Model     string `json:"model"`
	RequestID string `json:"request_id"`
	Rows      int64  `json:"rows"`    // of the request, in files and in memory
	Labels    int64  `json:"labels"`  // of the request, likewise
	Files     int    `json:"files"`   // that were written again or deleted
	Skipped   int    `json:"skipped"` // files that cannot be read; they may have the request
}
