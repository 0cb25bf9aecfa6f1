package offline

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sluice.io/sluice/internal/capture"
)

// The limits of files of requests.
const (
	maxRecordingBytes = 1 << 30  // of a Parquet file, which is read into memory
	maxRequestBytes   = 64 << 20 // of a line
)

// Recording is where requests to repeat come from: a file, a folder or a bucket of captured traffic, or a
// tar of its files.
type Recording struct {
	Path         string // also the URL of a bucket
	Model        string // the only one whose requests are read
	Version      int64  // the only one that answered; 0 for any
	Since, Until time.Time
}

// RecordingCounts says what was not read.
type RecordingCounts struct {
	Files   int      `json:"files"`
	Hidden  int      `json:"hidden_requests"` // an input of them was redacted or hashed
	Damaged []string `json:"damaged_files"`   // the first ones, with their errors
}

// Read calls yield with each request, file by file in the order of their names, which begin with
// their times. Damaged files of a folder are counted.
func (r *Recording) Read(ctx context.Context, counts *RecordingCounts, yield func(*Recorded) error) error {
	counts.Damaged = []string{}
	switch {
	case strings.Contains(r.Path, "://"):
		return r.bucket(ctx, counts, yield)
	case strings.HasSuffix(r.Path, ".tar"):
		return r.tar(counts, yield)
	}
	info, err := os.Stat(r.Path)
	if err != nil {
		return fileError(err)
	}
	if !info.IsDir() {
		return r.file(r.Path, counts, yield)
	}
	files, err := parquetFiles(r.Path)
	if err != nil {
		return err
	}
	for _, path := range files {
		if err := counts.damaged(path, r.file(path, counts, yield)); err != nil {
			return err
		}
	}
	return nil
}

// damaged counts a file that is damaged, and returns other errors.
func (c *RecordingCounts) damaged(path string, err error) error {
	broken, ok := errors.AsType[fileDamageError](err)
	if !ok {
		return err
	}
	const most = 10
	if len(c.Damaged) < most {
		c.Damaged = append(c.Damaged, filepath.Base(path)+": "+broken.Error())
	}
	return nil
}

// bucket reads the files of a bucket.
func (r *Recording) bucket(ctx context.Context, counts *RecordingCounts, yield func(*Recorded) error) (err error) {
	if err := capture.CheckURL(r.Path); err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	b, err := capture.OpenBucket(ctx, r.Path, "")
	if err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	files, err := b.RequestFiles(ctx, r.Model)
	if err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	for _, path := range files {
		data, err := b.Read(ctx, path, maxRecordingBytes)
		if err != nil {
			return fmt.Errorf("--from: %w", err)
		}
		if err := counts.damaged(path, r.captured(data, counts, yield)); err != nil {
			return err
		}
	}
	return nil
}

// tar reads the files of a tar, as an export writes it.
func (r *Recording) tar(counts *RecordingCounts, yield func(*Recorded) error) (err error) {
	f, err := os.Open(r.Path)
	if err != nil {
		return fileError(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for files := tar.NewReader(f); ; {
		head, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("--from: the tar cannot be read: %w", err)
		}
		if head.Typeflag != tar.TypeReg || !strings.HasSuffix(head.Name, ".parquet") {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(files, maxRecordingBytes+1))
		switch {
		case err != nil:
			return fmt.Errorf("--from: the tar cannot be read: %w", err)
		case len(data) > maxRecordingBytes:
			err = fileDamageError{fmt.Errorf("the file has more than %d bytes", maxRecordingBytes)}
		default:
			err = r.captured(data, counts, yield)
		}
		if err := counts.damaged(head.Name, err); err != nil {
			return err
		}
	}
}

// fileDamageError is an error of a file, and not of the code that gets its requests.
type fileDamageError struct{ error }

func (e fileDamageError) Unwrap() error { return e.error }

// fileError is an error without the path, which the user has given.
func fileError(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("--from: %w", p.Err)
	}
	return err
}

// parquetFiles returns the Parquet files of a folder, sorted by name. Those below a name that begins
// with _ are being written.
func parquetFiles(dir string) (files []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fileError(err)
		case d.IsDir() && strings.HasPrefix(d.Name(), "_"):
			return fs.SkipDir
		case d.Type().IsRegular() && strings.HasSuffix(path, ".parquet"):
			files = append(files, path)
		}
		return nil
	})
	slices.SortFunc(files, func(a, b string) int {
		return cmp.Or(cmp.Compare(filepath.Base(a), filepath.Base(b)), cmp.Compare(a, b))
	})
	return files, err
}

// file reads a Parquet file, or one of JSON lines.
func (r *Recording) file(path string, counts *RecordingCounts, yield func(*Recorded) error) (err error) {
	f, err := os.Open(path) //nolint:gosec // the user has named it
	if err != nil {
		return fileError(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	const magic = "PAR1"
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(f, head); string(head) != magic && !strings.HasSuffix(path, ".parquet") {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fileError(err)
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return fileError(err)
		}
		return r.lines(f, yield)
	}
	info, err := f.Stat()
	if err != nil {
		return fileError(err)
	}
	if info.Size() > maxRecordingBytes {
		return fileDamageError{fmt.Errorf("the file has more than %d bytes", maxRecordingBytes)}
	}
	data := make([]byte, info.Size())
	if _, err := f.ReadAt(data, 0); err != nil {
		return fileError(err)
	}
	return r.captured(data, counts, yield)
}

// captured reads a file of captured requests. Files of other models and of labels have none.
func (r *Recording) captured(data []byte, counts *RecordingCounts, yield func(*Recorded) error) error {
	f, err := capture.OpenFile(data)
	if errors.Is(err, capture.ErrNoRequests) {
		return nil
	}
	if err != nil {
		return fileDamageError{err}
	}
	if f.Model.Name != r.Model || r.Version != 0 && f.Model.Version != r.Version {
		return nil
	}
	counts.Files++
	isHidden := func(field string) bool { return strings.HasPrefix(field, "input:") }
	hidden := slices.ContainsFunc(f.Redact, isHidden) || slices.ContainsFunc(f.Hash, isHidden)
	classes := map[string]bool{}
	for i := range f.Model.Outputs {
		classes[f.Model.Outputs[i].Name] = len(f.Model.Outputs[i].Labels) > 0
	}
	var stopped error
	err = f.Requests(func(q *capture.Request) error {
		switch {
		case !r.Since.IsZero() && q.Time.Before(r.Since), !r.Until.IsZero() && !q.Time.Before(r.Until):
			return nil
		case hidden:
			counts.Hidden++
			return nil
		}
		outputs := q.Outputs[:0]
		for _, t := range q.Outputs {
			if !slices.Contains(f.Hash, "output:"+t.Name) {
				outputs = append(outputs, t)
			}
		}
		stopped = yield(&Recorded{ID: q.ID, Time: q.Time, Took: q.Duration, Inputs: q.Inputs, Outputs: outputs, Classes: classes})
		return stopped
	})
	if err != nil && stopped == nil {
		return fileDamageError{err}
	}
	return err
}

// lines reads V2 requests as JSON, one a line.
func (r *Recording) lines(in io.Reader, yield func(*Recorded) error) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxRequestBytes)
	for n := 1; lines.Scan(); n++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		var head struct {
			ID     string            `json:"id"`
			Inputs []json.RawMessage `json:"inputs"`
		}
		if err := json.Unmarshal(text, &head); err != nil || len(head.Inputs) == 0 {
			return fileDamageError{fmt.Errorf("line %d is not a V2 request: expected a JSON object with inputs", n)}
		}
		id := head.ID
		if id == "" {
			id = fmt.Sprintf("line %d", n)
		}
		if err := yield(&Recorded{ID: id, Body: bytes.Clone(text)}); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fileDamageError{fmt.Errorf("the file cannot be read as JSON lines of at most %d bytes: %w", maxRequestBytes, err)}
	}
	return nil
}
