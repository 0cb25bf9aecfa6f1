package app

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// reference is a profile that a model is compared with, or why it cannot be.
type reference struct {
	profile *drift.Profile
	digest  string
	err     error

	modified time.Time // of the file
	size     int64
}

// same reports whether two references say the same.
func (r *reference) same(o *reference) bool {
	return r == o || r != nil && o != nil && r.err == nil && o.err == nil && r.digest == o.digest
}

// references are the profiles that were read, by path. A file is read again by a
// reload only, as the configuration is: until then what was read is in force.
type references map[string]*reference

// again returns the references whose files are as they were; the others are read
// when they are asked for.
func (r references) again() references {
	next := references{}
	for path, ref := range r {
		if info, err := os.Stat(path); err == nil && ref.err == nil && ref.modified.Equal(info.ModTime()) && ref.size == info.Size() {
			next[path] = ref
		}
	}
	return next
}

// of returns the references of the models that were found, by model.
func (r references) of(cfg *config.Config, found []registry.Found) map[string]*reference {
	list := map[string]*reference{}
	for _, f := range found {
		if path := cfg.Model(f.Name).Drift.Profile; path != "" {
			list[f.Name] = r.read(path)
		}
	}
	return list
}

func (r references) read(path string) *reference {
	if r[path] == nil {
		ref := &reference{}
		ref.err = ref.read(path)
		r[path] = ref
	}
	return r[path]
}

func (r *reference) read(path string) error {
	if info, err := os.Stat(path); err != nil {
		return fileError(err)
	} else if !info.Mode().IsRegular() { // to open a named pipe would wait for a writer, and all changes with it
		return infer.Errorf(infer.Invalid, "it is no regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return fileError(err)
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return fileError(err)
	}
	r.modified, r.size = info.ModTime(), info.Size()
	if r.profile, err = drift.Read(file, drift.MaxProfileBytes); err != nil {
		return err
	}
	r.digest, err = r.profile.Digest()
	return err
}

// CheckProfiles returns what is wrong with the profiles that a configuration names,
// one error for each model, by itself: whether one fits its model shows when it serves.
func CheckProfiles(cfg *config.Config) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Models)) {
		path := cfg.Model(name).Drift.Profile
		if path == "" {
			continue
		}
		if err := new(reference).read(path); err != nil {
			errs = append(errs, fmt.Errorf("models.%s.drift.profile: %s", name, infer.Message(err)))
		}
	}
	return errors.Join(errs...)
}

// fileError is what may be said of a file that cannot be read: not where it is.
func fileError(err error) error {
	why := "it cannot be read"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		why = "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		why = "it may not be read"
	}
	return &infer.Error{Code: infer.Invalid, Msg: why, Err: err}
}

// referenceProblems returns what is wrong with the profiles that a goal names, for
// the versions that answer callers. One that fits some of a model's versions is
// right: it says of which.
func (g *goal) referenceProblems(live map[infer.Version]*registry.Instance) []string {
	var list []string
	for _, f := range g.found {
		ref := g.references[f.Name]
		if ref == nil {
			continue
		}
		err := ref.err
		if err == nil {
			err = ref.fitsAny(f.Name, live)
		}
		if err != nil {
			list = append(list, fmt.Sprintf("models.%s.drift.profile: %s", f.Name, infer.Message(err)))
		}
	}
	return list
}

// fitsAny returns why a profile fits none of a model's versions, the newest's
// reason; nil where it fits one, or there is none.
func (r *reference) fitsAny(model string, live map[infer.Version]*registry.Instance) (err error) {
	newest := int64(0)
	for v, instance := range live {
		if v.Model != model {
			continue
		}
		why := r.profile.Fits(instance.Model())
		if why == nil {
			return nil
		}
		if v.Number > newest {
			newest, err = v.Number, why
		}
	}
	return err
}

// streams returns how many streams are compared with a reference, rounded up to a
// power of two: the promise about false alarms is shared among them, and a new
// share means new thresholds for all.
func (g *goal) streams() int {
	seen := map[drift.Stream]bool{}
	own := map[string]bool{} // models with a route of their name
	for i := range g.routes {
		route := &g.routes[i]
		own[route.Name] = true
		if ref := g.references[route.Model]; ref == nil || ref.err != nil {
			continue
		}
		for _, v := range route.Variants {
			seen[drift.Stream{Version: infer.Version{Model: route.Model, Number: v.Version}, Role: v.Role}] = true
		}
	}
	n := len(seen)
	for model, ref := range g.references {
		if ref.err == nil && !own[model] {
			n++
		}
	}
	share := 1
	for share < n {
		share *= 2
	}
	return share
}
