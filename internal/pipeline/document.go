package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// The files of a retraining, in a folder with its id.
const (
	documentFile = "request.json"
	logFile      = "log"
	workDir      = "work"

	ours   = 0o600
	folder = 0o700
)

// Document returns the document of a retraining, which never changes once it was made. It fails with NotFound.
func (p *Pipeline) Document(ctx context.Context, id string) ([]byte, error) {
	r, err := p.Get(id)
	if err != nil {
		return nil, err
	}
	text, _, err := p.prepare(ctx, r, p.deadline(&r))
	return text, err
}

// deadline returns until when a version must be pushed.
func (p *Pipeline) deadline(r *api.Retraining) time.Time {
	if r.Deadline != nil {
		return *r.Deadline
	}
	from := time.Now()
	if r.AcceptedAt != nil {
		from = *r.AcceptedAt
	}
	return from.Add(p.opts.Settings(r.Model).Timeout).UTC()
}

// Part returns a part of the document of a retraining that is too large to be in it. It fails with NotFound.
func (p *Pipeline) Part(ctx context.Context, id, name string) ([]byte, error) {
	if _, err := p.Document(ctx, id); err != nil {
		return nil, err
	}
	text, err := p.kept(id, name+".json")
	if err == nil && text == nil {
		err = infer.Errorf(infer.NotFound, "the document of retraining %s has no part '%.40s' outside of it", id, name)
	}
	return text, err
}

// prepare returns the document of a retraining and its digest. It makes the document at the first call.
func (p *Pipeline) prepare(ctx context.Context, r api.Retraining, deadline time.Time) (text []byte, digest string, err error) {
	if text, err = p.kept(r.ID, documentFile); err == nil && text == nil {
		text, err = p.makeDocument(ctx, r, deadline)
	}
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(text)
	return text, "sha256:" + hex.EncodeToString(sum[:]), nil
}

// makeDocument makes the document of a retraining and keeps it, unless another caller has done so meanwhile.
func (p *Pipeline) makeDocument(ctx context.Context, r api.Retraining, deadline time.Time) (text []byte, err error) {
	p.preparing.Lock() // one document, whoever asks first
	defer p.preparing.Unlock()
	if text, err = p.kept(r.ID, documentFile); err != nil || text != nil {
		return text, err
	}
	doc, parts, err := p.opts.Gateway.Document(ctx, r, deadline)
	if err != nil {
		return nil, err
	}
	if text, err = encode(&doc); err != nil {
		return nil, err
	}
	for name, part := range parts { // before the document, which names them
		if err := p.keep(r.ID, name+".json", part); err != nil {
			return nil, err
		}
	}
	return text, p.keep(r.ID, documentFile, text)
}

// encode returns a document as text.
func encode(doc *api.TrainingRequest) ([]byte, error) {
	text, err := json.MarshalIndent(doc, "", " ")
	return append(text, '\n'), err
}

// withToken returns a document as a trainer gets it: with its token, if it has one.
func withToken(document []byte, token string) ([]byte, error) {
	if token == "" {
		return document, nil
	}
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber() // a number of the grid or of a card stays as it is written
	var doc api.TrainingRequest
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("the document that was kept cannot be read: %w", err)
	}
	doc.Token = token
	return encode(&doc)
}

// kept returns a file that was kept, nil if there is none.
func (p *Pipeline) kept(id, name string) ([]byte, error) {
	if p.opts.Dir == "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.document[id+"/"+name], nil
	}
	text, err := os.ReadFile(filepath.Join(p.opts.Dir, id, name)) //nolint:gosec // the id is one of the journal
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// keep keeps a file.
func (p *Pipeline) keep(id, name string, text []byte) error {
	if p.opts.Dir == "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.document[id+"/"+name] = text
		return nil
	}
	dir := filepath.Join(p.opts.Dir, id)
	if err := os.MkdirAll(dir, folder); err != nil {
		return err
	}
	return writeWhole(filepath.Join(dir, name), text)
}

// writeWhole writes a file that is there as a whole or not at all, also after a crash.
func writeWhole(path string, text []byte) error {
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, ours) //nolint:gosec // in our folder
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	err = cmp.Or(err, file.Sync())
	if err = cmp.Or(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return cmp.Or(dir.Sync(), dir.Close())
}
