package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// recordFormat is the format of a RecordFile. MaxRecordBytes is its max size.
const (
	recordFormat   = 1
	MaxRecordBytes = 256 << 10
)

// DecodeRecord reads a RecordFile. The error is Invalid.
func DecodeRecord(text []byte) (*api.VersionRecord, error) {
	var rec api.VersionRecord
	if err := json.Unmarshal(text, &rec); err != nil {
		return nil, &infer.Error{Code: infer.Invalid, Msg: RecordFile + " is not valid: expected the record of a version as JSON", Err: err}
	}
	if rec.Format != recordFormat {
		return nil, infer.Errorf(infer.Invalid, "%s has the format %d, expected %d", RecordFile, rec.Format, recordFormat)
	}
	return &rec, nil
}

// encodeRecord writes a RecordFile.
func encodeRecord(rec api.VersionRecord) ([]byte, error) {
	rec.Format = recordFormat
	text, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return nil, err
	}
	if len(text) > MaxRecordBytes {
		return nil, infer.Errorf(infer.TooLarge, "what is known of the version takes more than %d bytes: use fewer tags and metrics, or a shorter card", MaxRecordBytes)
	}
	return append(text, '\n'), nil
}

// readRecord reads the record in a version's folder, nil if there is none.
func readRecord(root *os.Root, dir string) (*api.VersionRecord, error) {
	name := path.Join(dir, RecordFile)
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no record is not an error
	}
	if err != nil || !info.Mode().IsRegular() {
		return nil, infer.Errorf(infer.Invalid, "%s is not a regular file", RecordFile)
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, hidePath(err)
	}
	defer file.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(file, MaxRecordBytes+1))
	if err != nil {
		return nil, hidePath(err)
	}
	if len(text) > MaxRecordBytes {
		return nil, infer.Errorf(infer.Invalid, "%s has more than %d bytes", RecordFile, MaxRecordBytes)
	}
	return DecodeRecord(text)
}

// Recorded fails with Invalid if a version was pushed with another digest than the files have
// now.
func (f *Files) Recorded(digest string) error {
	rec, err := readRecord(f.Root, ".")
	if err != nil || rec == nil {
		return err
	}
	if rec.Digest != digest {
		return infer.Errorf(infer.Invalid, "the files are not those that were pushed: their digest is %s, expected %s", digest, rec.Digest)
	}
	return nil
}

// Record writes the record of a version that is being written.
func (s *Staging) Record(rec api.VersionRecord) error {
	text, err := encodeRecord(rec)
	if err != nil {
		return err
	}
	return s.Write(RecordFile, bytes.NewReader(text), int64(len(text)))
}

// Stored is a version folder of the repository, archived or not.
type Stored struct {
	infer.Version

	Archived bool
	Record   *api.VersionRecord // nil if the version was not pushed
	Err      error              // why there is no record if there should be one
}

// Stored lists the version folders of a model, ascending, archived ones too. An empty model
// means all.
func (r *Repository) Stored(model string) ([]Stored, error) {
	r.moving.RLock() // so that no version is between two places
	defer r.moving.RUnlock()
	if err := r.follow(); err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := r.storedIn(".", model)
	for _, s := range r.storedIn(archiveFolder, model) {
		s.Archived = true
		list = append(list, s)
	}
	sortStored(list)
	return list, nil
}

func (r *Repository) storedIn(dir, model string) (list []Stored) {
	models := []string{model}
	if model == "" {
		entries, _ := fs.ReadDir(r.root.FS(), dir) // the folder of archived versions may not exist
		models = make([]string, len(entries))
		for i, e := range entries {
			models[i] = e.Name()
		}
	}
	for _, m := range models {
		if !infer.ValidName(m) || m == ownFolder {
			continue
		}
		before := len(list)
		entries, _ := fs.ReadDir(r.root.FS(), path.Join(dir, m)) // a file, or no model
		for _, e := range entries {
			if n, ok := infer.ParseVersion(e.Name()); ok {
				s := Stored{Version: infer.Version{Model: m, Number: n}}
				s.Record, s.Err = readRecord(r.root, path.Join(dir, m, e.Name()))
				list = append(list, s)
			}
		}
		if len(entries) > 0 && dir == "." && len(list) == before && r.flat(m) {
			list = append(list, Stored{Version: infer.Version{Model: m, Number: 1}})
		}
	}
	return list
}
