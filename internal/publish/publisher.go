package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/mlflow"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/registry"
)

// Journal is where changes are written.
type Journal interface {
	Append(e api.Event) (api.Event, error)
}

// Serving is what serves, and should.
type Serving interface {
	// Look makes the reconciler look at the files of a version again.
	Look(ctx context.Context, v infer.Version) error
	// Leave calls move, which takes a version out of the repository. It fails with Conflict if
	// something names the version, or it is loaded. Nothing can name it meanwhile.
	Leave(ctx context.Context, v infer.Version, move func() error) error
	// States returns the states of the versions of a model that are loaded or should be.
	States(model string) map[int64]api.ModelStatus
	// Names returns what names the versions of a model: routes and aliases.
	Names(model string) map[int64][]string
}

// Retrainings are what versions are trained for.
type Retrainings interface {
	// Admits checks that a version of a model may be pushed for a retraining, and returns the version that it replaces. digest is that
	// of its files, "" if it is not known yet. If the same files were pushed before, it returns their version.
	Admits(id, model, digest string) (existing, parent int64, err error)
}

// Options configure a Publisher. All but CardRequired, ImportRoots and MLflow are required.
type Options struct {
	Repository   *registry.Repository
	Journal      Journal
	Serving      Serving
	Retrainings  Retrainings
	Writable     bool
	MaxUpload    int64 // bytes of one version
	Quota        int64 // bytes of the repository
	MaxUploads   int   // at the same time
	CardRequired []string
	ImportRoots  []string       // folders of the host that versions may be copied from
	MLflow       *mlflow.Client // a registry that versions may be copied from; nil for none
	Logger       *zap.Logger
}

// Publisher changes the versions of a repository. Its methods may be called from any goroutine.
type Publisher struct {
	opts    Options
	writer  *registry.Writer // nil if the repository is not writable
	uploads chan struct{}    // a token for each upload
	usage   usage

	mu   sync.Mutex // held while versions appear, move or go
	fold *Fold      // guarded by mu
}

// New returns a Publisher that goes on from a fold of the journal. It removes unfinished
// uploads of an earlier run.
func New(o Options, f *Fold) (*Publisher, error) {
	p := &Publisher{opts: o, fold: f, uploads: make(chan struct{}, o.MaxUploads)}
	if !o.Writable {
		return p, nil
	}
	var err error
	if p.writer, err = registry.NewWriter(o.Repository); err != nil {
		p.opts.Logger.Warn("the gateway does not take versions", zap.Error(err))
	}
	p.usage = usage{quota: o.Quota, measure: p.writer.Usage}
	return p, nil
}

// Close releases the repository.
func (p *Publisher) Close() error {
	if p.writer == nil {
		return nil
	}
	return p.writer.Close()
}

// Catchup writes the events that a crash, or a copy of another repository, has left out.
func (p *Publisher) Catchup() error {
	list, err := p.opts.Repository.Stored("")
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range list {
		s := &list[i]
		if s.Err != nil {
			p.opts.Logger.Warn("the record of a version cannot be read", zap.String("model", s.Model), zap.Int64("version", s.Number), zap.Error(s.Err))
		}
		if s.Record == nil {
			continue
		}
		if err := p.catchup(s); err != nil {
			return err
		}
	}
	return nil
}

// catchup writes the events that lead to the state of a version in the repository. mu must be
// held.
func (p *Publisher) catchup(s *registry.Stored) error {
	k, ok := p.fold.known[s.Version]
	var err error
	switch {
	case !ok, k.Digest != s.Record.Digest, k.Deleted:
		k.Archived = false
		err = p.write(api.EventVersionRegistered, api.OriginGateway, s.Version, s.Record.PushedBy, s.Record)
	case k.Revision < s.Record.Revision:
		err = p.write(api.EventVersionDescribed, api.OriginGateway, s.Version, api.Actor{}, s.Record)
	}
	switch {
	case err != nil, k.Archived == s.Archived:
		return err
	case s.Archived:
		return p.write(api.EventVersionArchived, api.OriginGateway, s.Version, api.Actor{}, moveOf(s))
	default:
		return p.write(api.EventVersionRestored, api.OriginGateway, s.Version, api.Actor{}, moveOf(s))
	}
}

// write writes an event. mu must be held.
func (p *Publisher) write(kind, origin string, v infer.Version, by api.Actor, after any) error {
	text, err := json.Marshal(after)
	if err != nil {
		return err
	}
	e, err := p.opts.Journal.Append(api.Event{Type: kind, Subject: fmt.Sprintf("models/%s/%d", v.Model, v.Number), Origin: origin, Actor: by, After: text})
	if err != nil {
		return err
	}
	return p.fold.Apply(e)
}

// Push is a version to push.
type Push struct {
	Model    string
	Number   int64     // 0 for the next one
	Body     io.Reader // a model file or an archive; nil to copy From
	Size     int64     // of the body; negative if it is not known
	From     string    // a path of the host below one of Options.ImportRoots, or a reference to an MLflow model
	Digest   string    // the expected digest; empty if there is none
	Metadata api.VersionMetadata
	By       api.Actor
}

// Push makes a new version. If the version exists with the same digest, it returns that one,
// and created is false. Errors: Conflict if it exists with another digest, or the repository is
// not writable or full; TooLarge, Invalid, Overloaded, Unavailable.
func (p *Publisher) Push(ctx context.Context, push Push) (info api.VersionInfo, created bool, err error) {
	if err := p.admits(&push); err != nil {
		return info, false, err
	}
	select {
	case p.uploads <- struct{}{}:
		defer func() { <-p.uploads }()
	default:
		return info, false, infer.Errorf(infer.Overloaded, "%d uploads are in progress, the max of registry.max_uploads; retry later", cap(p.uploads))
	}
	if err := p.usage.begin(); err != nil {
		return info, false, err
	}
	var taken int64
	kept := false
	defer func() { p.usage.end(taken, kept) }()
	staging, err := p.writer.Stage(func(n int64) error {
		if taken+n > p.opts.MaxUpload {
			return infer.Errorf(infer.TooLarge, "the version has more than %d bytes, the max of registry.max_upload", p.opts.MaxUpload)
		}
		if err := p.usage.take(n); err != nil {
			return err
		}
		taken += n
		return ctx.Err()
	})
	if err != nil {
		return info, false, err
	}
	defer func() {
		if derr := staging.Discard(); derr != nil {
			p.opts.Logger.Error("an upload could not be removed; the next start does", zap.Error(derr))
		}
	}()
	rec, err := p.receive(ctx, staging, &push)
	if err != nil {
		return info, false, err
	}
	if created, err = p.publish(staging, rec, push.Number); err != nil {
		return info, false, err
	}
	kept = created
	v := infer.Version{Model: rec.Model, Number: rec.Version}
	if created {
		p.opts.Logger.Info("version registered", zap.String("model", v.Model), zap.Int64("version", v.Number), zap.String("digest", rec.Digest), zap.String("actor", push.By.Actor))
		if err := p.opts.Serving.Look(ctx, v); err != nil { // the next look of anybody finds it
			p.opts.Logger.Warn("a new version was registered, but not looked at", zap.Error(err))
		}
	}
	info, err = p.Version(v)
	return info, created, err
}

// admits checks what can be checked before the upload is read.
func (p *Publisher) admits(push *Push) error {
	switch {
	case p.writer == nil:
		return infer.Errorf(infer.Conflict, "the model repository is not writable: set registry.writable, or push to the gateway that writes to it")
	case !infer.ValidName(push.Model) || push.Model[0] == '.':
		return infer.Errorf(infer.Invalid, "'%s' is not a valid name for a model", push.Model)
	case push.Size > p.opts.MaxUpload:
		return infer.Errorf(infer.TooLarge, "the upload has %d bytes, more than %d, the max of registry.max_upload", push.Size, p.opts.MaxUpload)
	}
	if err := checkMetadata(&push.Metadata); err != nil {
		return err
	}
	if id := push.Metadata.Lineage.Retrain; id != "" {
		if _, _, err := p.opts.Retrainings.Admits(id, push.Model, push.Digest); err != nil {
			return err
		}
	}
	if _, number := infer.ParseVersion(push.Model); number {
		return infer.Errorf(infer.Invalid, "'%s' is not a valid name for a model that is pushed: it looks like a version", push.Model)
	}
	return nil
}

// receive reads an upload, and checks it.
func (p *Publisher) receive(ctx context.Context, s *registry.Staging, push *Push) (*api.VersionRecord, error) {
	var sent []byte
	var err error
	switch {
	case push.Body != nil:
		sent, err = s.Unpack(push.Body)
	case mlflow.IsReference(push.From):
		sent, err = p.fetch(ctx, s, push.From)
	default:
		sent, err = p.copyFrom(ctx, s, push.From)
	}
	if err != nil {
		return nil, err
	}
	if !s.Has(registry.ModelFile) {
		return nil, infer.Errorf(infer.Invalid, "the archive has no %s at its top; expected the files of a version's folder, as of tar -C FOLDER -c .", registry.ModelFile)
	}
	files := s.Files()
	if err := onnxfile.VerifyExternalData(files.Root, registry.ModelFile); err != nil {
		return nil, err
	}
	rec, err := describe(files)
	if err != nil {
		return nil, err
	}
	if rec.VersionMetadata, err = merged(sent, push.Metadata); err != nil {
		return nil, err
	}
	if err := p.cardComplete(rec.Card); err != nil {
		return nil, err
	}
	if rec.Lineage.Retrain != "" {
		if err := p.succeeds(rec, push.Model); err != nil {
			return nil, err
		}
	}
	if s.Has(registry.GoldenFile) {
		if err := checkGolden(files); err != nil {
			return nil, err
		}
	}
	if rec.Digest, err = files.Digest(ctx); err != nil {
		return nil, err
	}
	if push.Digest != "" && push.Digest != rec.Digest {
		return nil, infer.Errorf(infer.Invalid, "the digest of what arrived is %s, expected %s", rec.Digest, push.Digest)
	}
	rec.Model, rec.Size, rec.Revision, rec.PushedAt, rec.PushedBy = push.Model, s.Size(), 1, time.Now().UTC(), push.By
	return rec, nil
}

// publish gives a version its number, and makes it visible. If the version exists with the same
// digest, it sets the record to that of the existing one.
func (p *Publisher) publish(s *registry.Staging, rec *api.VersionRecord, number int64) (created bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stored, err := p.opts.Repository.Stored(rec.Model)
	if err != nil {
		return false, err
	}
	if rec.Lineage.Retrain != "" {
		if again, err := p.repeated(rec, stored, number); err != nil || again {
			return false, err
		}
	}
	next := int64(1)
	for i := range stored {
		next = max(next, stored[i].Number+1)
		if stored[i].Number != number {
			continue
		}
		if r := stored[i].Record; r != nil && r.Digest == rec.Digest {
			*rec = *r
			return false, nil
		}
		return false, infer.Errorf(infer.Conflict, "version %d of model '%s' exists with another digest: a version never changes; push another number, or none for the next one", number, rec.Model)
	}
	for v, k := range p.fold.known {
		if v.Model != rec.Model {
			continue
		}
		next = max(next, v.Number+1)
		if v.Number == number && k.Digest != rec.Digest {
			return false, infer.Errorf(infer.Conflict, "version %d of model '%s' existed with another digest, and its number cannot be used again; push another number, or none for the next one", number, rec.Model)
		}
	}
	if rec.Version = number; number == 0 {
		rec.Version = next
	}
	v := infer.Version{Model: rec.Model, Number: rec.Version}
	if rec.Lineage.Parent == v.Number {
		return false, infer.Errorf(infer.Invalid, "parent: version %d cannot be made from itself", v.Number)
	}
	if err := s.Record(*rec); err != nil {
		return false, err
	}
	if err := s.Publish(v.Model, v.Number); err != nil {
		return false, err
	}
	if err := p.write(api.EventVersionRegistered, api.OriginAPI, v, rec.PushedBy, rec); err != nil {
		return false, errors.Join(err, p.writer.Delete(v, false))
	}
	return true, nil
}

// usage counts the bytes of the repository while there are uploads.
type usage struct {
	quota   int64
	measure func() (int64, error)

	mu     sync.Mutex
	active int
	bytes  int64
}

func (u *usage) begin() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.active == 0 {
		bytes, err := u.measure()
		if err != nil {
			return err
		}
		u.bytes = bytes
	}
	u.active++
	return nil
}

func (u *usage) take(n int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bytes+n > u.quota {
		return infer.Errorf(infer.Conflict, "the model repository has no room: it may have %d bytes, the max of registry.quota; delete versions or raise it", u.quota)
	}
	u.bytes += n
	return nil
}

func (u *usage) end(taken int64, kept bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.active--; !kept {
		u.bytes -= taken
	}
}
