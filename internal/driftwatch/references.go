package driftwatch

import (
	"maps"
	"sync"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// References are the profiles in a configuration that have been read, by path. Only a reload reads
// a file again; until then the first content is used.
type References map[string]*Reference

func (r References) read(path string) *Reference {
	if r[path] == nil {
		ref := &Reference{from: api.ProfileFromConfig}
		ref.err = ref.read(anywhere{}, path)
		r[path] = ref
	}
	return r[path]
}

// Read reads the profiles of models that a scan has found, so that Of need not.
func (r References) Read(cfg *config.Config, found []registry.Found) {
	for i := range found {
		if path := cfg.Model(found[i].Name).Drift.Profile; path != "" && path != config.NoProfile {
			r.read(path)
		}
	}
}

// Beside are the profiles beside versions in the repository. A profile is read again when a scan of
// the repository finds that it has changed. Its methods may be called from any goroutine.
type Beside struct {
	repo *registry.Repository

	mu    sync.Mutex
	known map[infer.Version]map[string]*Reference // by version, and by the file's state in a scan
	fresh map[infer.Version]string                // the state of the known files in the last Read
}

// NewBeside returns the profiles of a repository, without reading any.
func NewBeside(repo *registry.Repository) *Beside {
	return &Beside{repo: repo, known: map[infer.Version]map[string]*Reference{}}
}

// Read reads profiles in use again if a scan has found that they changed, so that Of need not.
func (b *Beside) Read(found []registry.Found) {
	fresh := map[infer.Version]string{}
	b.mu.Lock()
	for i := range found {
		for _, fv := range found[i].Versions {
			v := infer.Version{Model: found[i].Name, Number: fv.Number}
			if fv.Profile != "" && b.known[v] != nil {
				fresh[v] = fv.Profile
			}
		}
	}
	b.fresh = fresh
	b.mu.Unlock()
	for v, profile := range fresh {
		b.get(v, profile)
	}
}

func (b *Beside) get(v infer.Version, profile string) *Reference {
	b.mu.Lock()
	ref := b.known[v][profile]
	b.mu.Unlock()
	if ref != nil {
		return ref
	}
	ref = &Reference{from: api.ProfileFromVersion}
	ref.err = b.read(ref, v) // without the lock, since a file may be slow
	b.mu.Lock()
	defer b.mu.Unlock()
	if first := b.known[v][profile]; first != nil {
		return first
	}
	if b.known[v] == nil {
		b.known[v] = map[string]*Reference{}
	}
	b.known[v][profile] = ref
	return ref
}

func (b *Beside) read(ref *Reference, v infer.Version) error {
	files, err := b.repo.Open(v)
	if err != nil {
		return err
	}
	defer files.Close() //nolint:errcheck // only read
	return ref.read(files.Root, registry.ProfileFile)
}

// forget drops profiles that are neither in use nor will be after the last Read.
func (b *Beside) forget(inForce map[infer.Version]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for v, refs := range b.known {
		if _, ok := inForce[v]; !ok {
			delete(b.known, v)
		}
		maps.DeleteFunc(refs, func(profile string, _ *Reference) bool { return profile != inForce[v] && profile != b.fresh[v] })
	}
}

// Applied are the references in use.
type Applied struct {
	Models   map[string]*Reference        // from the configuration, by model
	Versions map[infer.Version]*Reference // beside versions of other models
}

// Of returns the reference for a version, nil if there is none.
func (a *Applied) Of(v infer.Version) *Reference {
	if ref := a.Models[v.Model]; ref != nil {
		return ref
	}
	return a.Versions[v]
}

// Same reports whether two Applied have the same references.
func (a *Applied) Same(o *Applied) bool {
	return maps.Equal(a.Models, o.Models) && maps.Equal(a.Versions, o.Versions)
}

// Of returns the references of models that a scan has found, and of their wanted versions. A path
// in the configuration takes precedence over files beside versions.
func (r References) Of(cfg *config.Config, found []registry.Found, wanted map[infer.Version]bool, beside *Beside) Applied {
	a := Applied{Models: map[string]*Reference{}, Versions: map[infer.Version]*Reference{}}
	inForce := map[infer.Version]string{}
	for i := range found {
		f := &found[i]
		switch path := cfg.Model(f.Name).Drift.Profile; path {
		case config.NoProfile:
		case "":
			for _, fv := range f.Versions {
				if v := (infer.Version{Model: f.Name, Number: fv.Number}); fv.Profile != "" && wanted[v] {
					inForce[v] = fv.Profile
					a.Versions[v] = beside.get(v, fv.Profile)
				}
			}
		default:
			a.Models[f.Name] = r.read(path)
		}
	}
	beside.forget(inForce)
	return a
}
