package driftwatch

import (
	"maps"
	"sync"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// References are the profiles that a configuration names and that were read, by path. Such a
// file is read again by a reload only, as the configuration is: until then what was read is in
// force.
type References map[string]*Reference

func (r References) read(path string) *Reference {
	if r[path] == nil {
		ref := &Reference{from: api.ProfileFromConfig}
		ref.err = ref.read(anywhere{}, path)
		r[path] = ref
	}
	return r[path]
}

// Read reads the profiles of models that were found, so that Of need not.
func (r References) Read(cfg *config.Config, found []registry.Found) {
	for i := range found {
		if path := cfg.Model(found[i].Name).Drift.Profile; path != "" && path != config.NoProfile {
			r.read(path)
		}
	}
}

// Beside are the profiles that lie beside versions in the repository. One is read again once a
// scan of the repository finds that it has changed. Its methods may be called from any
// goroutine.
type Beside struct {
	repo *registry.Repository

	mu    sync.Mutex
	known map[infer.Version]map[string]*Reference // by how the file was found
	fresh map[infer.Version]string                // how the last Read found those that are known
}

// NewBeside returns the profiles of a repository; none is read yet.
func NewBeside(repo *registry.Repository) *Beside {
	return &Beside{repo: repo, known: map[infer.Version]map[string]*Reference{}}
}

// Read reads those in force again that a scan has found changed, so that Of need not.
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
	ref.err = b.read(ref, v) // without the lock: a file may be slow
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

// forget drops what is neither in force nor about to be.
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

// Applied are the references that are in force.
type Applied struct {
	Models   map[string]*Reference        // that the configuration names, by model
	Versions map[infer.Version]*Reference // that lie beside versions of other models
}

// Of returns what a version is compared with, nil if with nothing.
func (a *Applied) Of(v infer.Version) *Reference {
	if ref := a.Models[v.Model]; ref != nil {
		return ref
	}
	return a.Versions[v]
}

// Same reports whether the same references are in force.
func (a *Applied) Same(o *Applied) bool {
	return maps.Equal(a.Models, o.Models) && maps.Equal(a.Versions, o.Versions)
}

// Of returns the references of models that were found, and of those of their versions that are
// wanted. The path in the configuration wins over what lies beside versions.
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
