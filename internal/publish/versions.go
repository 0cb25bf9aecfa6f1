package publish

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// Versions returns the versions of a model, ascending, archived ones too. It fails with
// NotFound if there are none.
func (p *Publisher) Versions(model string) ([]api.VersionInfo, error) {
	if !infer.ValidName(model) {
		return nil, infer.Errorf(infer.NotFound, "there is no model '%s'", model)
	}
	stored, err := p.opts.Repository.Stored(model)
	if err != nil {
		return nil, err
	}
	states, names := p.opts.Serving.States(model), p.opts.Serving.Names(model)
	list := make([]api.VersionInfo, 0, len(stored))
	for i := range stored {
		s := &stored[i]
		info := api.VersionInfo{Model: model, Version: s.Number, State: api.StateRegistered, Record: s.Record, NamedBy: names[s.Number]}
		if s.Err != nil {
			info.Reason = infer.Message(s.Err)
		}
		if status, ok := states[s.Number]; ok {
			info.State, info.Reason = status.State, status.Reason
			if status.Detail != nil {
				info.Validation = status.Detail.Validation
			}
		} else if s.Archived {
			info.State = api.StateArchived
		}
		list = append(list, info)
	}
	if len(list) == 0 {
		return nil, infer.Errorf(infer.NotFound, "there is no model '%s'", model)
	}
	return list, nil
}

// Version returns a version. It fails with NotFound.
func (p *Publisher) Version(v infer.Version) (api.VersionInfo, error) {
	list, err := p.Versions(v.Model)
	for i := range list {
		if list[i].Version == v.Number {
			return list[i], nil
		}
	}
	if err != nil && infer.CodeOf(err) != infer.NotFound {
		return api.VersionInfo{}, err
	}
	return api.VersionInfo{}, infer.Errorf(infer.NotFound, "there is no version %d of model '%s'", v.Number, v.Model)
}

// stored returns the record of a version that was pushed. Errors: NotFound, Conflict if it was
// not pushed or the repository is not writable.
func (p *Publisher) stored(v infer.Version) (*registry.Stored, error) {
	if p.writer == nil {
		return nil, infer.Errorf(infer.Conflict, "the model repository is not writable: set registry.writable")
	}
	list, err := p.opts.Repository.Stored(v.Model)
	if err != nil {
		return nil, err
	}
	for i := range list {
		switch s := &list[i]; {
		case s.Number != v.Number:
		case s.Err != nil:
			return nil, s.Err
		case s.Record == nil:
			return nil, infer.Errorf(infer.Conflict, "version %d of model '%s' was not pushed: its files belong to those who copied them", v.Number, v.Model)
		default:
			return s, nil
		}
	}
	return nil, infer.Errorf(infer.NotFound, "there is no version %d of model '%s'", v.Number, v.Model)
}

// Archive keeps the files of a version, which cannot be loaded any more. Errors: NotFound,
// Conflict if something names it or it is loaded or archived.
func (p *Publisher) Archive(ctx context.Context, v infer.Version, by api.Actor) (api.VersionInfo, error) {
	err := p.change(v, func(s *registry.Stored) error {
		if s.Archived {
			return infer.Errorf(infer.Conflict, "version %d of model '%s' is archived", v.Number, v.Model)
		}
		return p.opts.Serving.Leave(ctx, v, func() error {
			if err := p.writer.Archive(v); err != nil {
				return err
			}
			if err := p.write(api.EventVersionArchived, api.OriginAPI, v, by, moveOf(s)); err != nil {
				return errors.Join(err, p.writer.Restore(v))
			}
			return nil
		})
	})
	if err != nil {
		return api.VersionInfo{}, err
	}
	return p.Version(v)
}

// Restore undoes Archive. Errors: NotFound, Conflict if the version is not archived.
func (p *Publisher) Restore(ctx context.Context, v infer.Version, by api.Actor) (api.VersionInfo, error) {
	err := p.change(v, func(s *registry.Stored) error {
		if !s.Archived {
			return infer.Errorf(infer.Conflict, "version %d of model '%s' is not archived", v.Number, v.Model)
		}
		if err := p.writer.Restore(v); err != nil {
			return err
		}
		if err := p.write(api.EventVersionRestored, api.OriginAPI, v, by, moveOf(s)); err != nil {
			return errors.Join(err, p.writer.Archive(v))
		}
		return p.opts.Serving.Look(ctx, v)
	})
	if err != nil {
		return api.VersionInfo{}, err
	}
	return p.Version(v)
}

// Delete removes the files of a version, archived or not. Errors: NotFound, Conflict if
// something names it or it is loaded.
func (p *Publisher) Delete(ctx context.Context, v infer.Version, by api.Actor) error {
	return p.change(v, func(s *registry.Stored) error {
		return p.opts.Serving.Leave(ctx, v, func() error {
			// The event comes first. If the files are still there at the next start, the version is
			// registered again.
			if err := p.write(api.EventVersionDeleted, api.OriginAPI, v, by, moveOf(s)); err != nil {
				return err
			}
			return p.writer.Delete(v, s.Archived)
		})
	})
}

// change makes a change of a version that was pushed, one at a time.
func (p *Publisher) change(v infer.Version, do func(*registry.Stored) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, err := p.stored(v)
	if err != nil {
		return err
	}
	return do(s)
}

func moveOf(s *registry.Stored) api.VersionMove {
	return api.VersionMove{Model: s.Model, Version: s.Number, Digest: s.Record.Digest}
}

// Describe changes the card and the tags of a version. Errors: NotFound, Precondition for
// another revision, Invalid.
func (p *Publisher) Describe(v infer.Version, revision int64, change func(*api.VersionMetadata), by api.Actor) (api.VersionInfo, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, err := p.stored(v)
	if err != nil {
		return api.VersionInfo{}, err
	}
	rec := *s.Record
	if revision >= 0 && revision != rec.Revision {
		return api.VersionInfo{}, infer.Errorf(infer.Precondition, "the version has revision %d now, expected %d: read it again and repeat the change", rec.Revision, revision)
	}
	change(&rec.VersionMetadata)
	rec.Revision++
	if err := checkMetadata(&rec.VersionMetadata); err != nil {
		return api.VersionInfo{}, err
	}
	if err := p.cardComplete(rec.Card); err != nil {
		return api.VersionInfo{}, err
	}
	if err := p.writer.Describe(rec, s.Archived); err != nil {
		return api.VersionInfo{}, err
	}
	if err := p.write(api.EventVersionDescribed, api.OriginAPI, v, by, rec); err != nil {
		return api.VersionInfo{}, errors.Join(err, p.writer.Describe(*s.Record, s.Archived))
	}
	return p.Version(v)
}

// copyFrom copies a model file, or a version's folder, of the host.
func (p *Publisher) copyFrom(ctx context.Context, s *registry.Staging, from string) (record []byte, err error) {
	for _, dir := range p.opts.ImportRoots {
		rel, err := filepath.Rel(dir, from)
		if err != nil || !filepath.IsAbs(from) || !filepath.IsLocal(rel) || rel == "." {
			continue
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, infer.Errorf(infer.Unavailable, "a folder of registry.import_roots cannot be opened")
		}
		defer root.Close() //nolint:errcheck // only read
		return copyTree(ctx, s, root, filepath.ToSlash(rel))
	}
	return nil, infer.Errorf(infer.Invalid, "from: '%.200s' is not below a folder of registry.import_roots; expected an absolute path", from)
}

func copyTree(ctx context.Context, s *registry.Staging, root *os.Root, from string) (record []byte, err error) {
	info, err := root.Stat(from)
	if err != nil {
		return nil, infer.Errorf(infer.Invalid, "from: the path cannot be read, or leads out of the folder of registry.import_roots")
	}
	if !info.IsDir() {
		return nil, copyFile(s, root, from, registry.ModelFile)
	}
	err = fs.WalkDir(root.FS(), from, func(at string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(strings.TrimPrefix(at, from), "/")
		switch {
		case err != nil:
			return infer.Errorf(infer.Invalid, "from: '%.200s' cannot be read", name)
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return infer.Errorf(infer.Invalid, "from: '%.200s' is not a plain file", name)
		case name == registry.RecordFile:
			record, err = readSmall(root, at)
			return err
		default:
			return copyFile(s, root, at, name)
		}
	})
	return record, err
}

func copyFile(s *registry.Staging, root *os.Root, from, name string) error {
	file, err := root.Open(from)
	if err != nil {
		return infer.Errorf(infer.Invalid, "from: '%.200s' cannot be read", path.Base(from))
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return infer.Errorf(infer.Invalid, "from: '%.200s' is not a plain file", path.Base(from))
	}
	return s.Write(name, file, info.Size())
}

func readSmall(root *os.Root, at string) ([]byte, error) {
	file, err := root.Open(at)
	if err != nil {
		return nil, infer.Errorf(infer.Invalid, "from: %s cannot be read", registry.RecordFile)
	}
	defer file.Close() //nolint:errcheck // only read
	return io.ReadAll(io.LimitReader(file, registry.MaxRecordBytes))
}
