package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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
}

// references reads profiles, each file once for as long as it stays the same.
type references map[string]readReference // by path

type readReference struct {
	modified time.Time
	size     int64
	*reference
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
	info, err := os.Stat(path)
	if err != nil {
		return &reference{err: fileError(err)}
	}
	if old, ok := r[path]; ok && old.modified.Equal(info.ModTime()) && old.size == info.Size() {
		return old.reference
	}
	read := readReference{info.ModTime(), info.Size(), readProfile(path)}
	r[path] = read
	return read.reference
}

func readProfile(path string) *reference {
	file, err := os.Open(path)
	if err != nil {
		return &reference{err: fileError(err)}
	}
	defer file.Close() //nolint:errcheck // only read
	profile, err := drift.Read(file, drift.MaxProfileBytes)
	if err != nil {
		return &reference{err: err}
	}
	digest, err := profile.Digest()
	return &reference{profile: profile, digest: digest, err: err}
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

// referenceProblems returns what is wrong with the profiles that a goal names.
func (g *goal) referenceProblems() []string {
	var list []string
	for _, f := range g.found {
		if ref := g.references[f.Name]; ref != nil && ref.err != nil {
			list = append(list, fmt.Sprintf("models.%s.drift.profile: %s", f.Name, infer.Message(ref.err)))
		}
	}
	return list
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
